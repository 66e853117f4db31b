//! Pinpoint: one line for each operation, grouped as in `model`. A handler is named like its operation, in snake case.

use model::pinpoint::{
    CreateApp, DeleteApp, GetApp, GetApps, ListTagsForResource, TagResource, UntagResource,
};

use crate::routes::Routes;

mod apps;
mod tags;

/// Adds the service's handlers.
#[rustfmt::skip] // a table: one line for each operation
pub fn routes(routes: Routes) -> Routes {
    routes
        // apps
        .op(CreateApp, apps::create_app)
        .op(DeleteApp, apps::delete_app)
        .op(GetApp, apps::get_app)
        .op(GetApps, apps::get_apps)
        // tags
        .op(ListTagsForResource, tags::list_tags_for_resource)
        .op(TagResource, tags::tag_resource)
        .op(UntagResource, tags::untag_resource)
}
