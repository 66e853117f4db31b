//! SMS and Voice v2: JSON 1.0, every operation a POST to `/` that `X-Amz-Target` names.

use crate::routes::Routes;

/// Adds the service's handlers. There are none yet: every operation is decoded and refused (`not_implemented.txt`).
pub fn routes(routes: Routes) -> Routes {
    routes
}
