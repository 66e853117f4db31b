//! What everybody shares: the context, the seams, and who is to be woken.

use std::sync::Arc;

use store::{Context, Kv, Log};

/// The engine as request handlers and workers see it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Engine {
    pub context: Context,
    pub kv: Arc<dyn Kv>,
    pub log: Arc<dyn Log>,
}

impl Engine {
    pub fn new(context: Context, kv: Arc<dyn Kv>, log: Arc<dyn Log>) -> Self {
        Self { context, kv, log }
    }
}
