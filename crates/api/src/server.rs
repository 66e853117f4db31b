//! [`Server`]: everything that requests share.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use engine::Engine;
use engine::usage::Limits;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::callers::Callers;
use crate::context::Cx;
use crate::error::ApiError;
use crate::protocol::Answer;
use crate::routes::{BoxFuture, Routes};
use crate::secrets::MasterKey;
use crate::sigv4::SigningKeys;
use crate::throttle::Throttles;

/// Bytes of request bodies in memory at once; a request whose body finds no room is told to come back (429).
pub const BODIES_BYTES_MAX: usize = 512 << 20;

/// Bodies are counted in units of so many bytes, because a semaphore counts in 32 bits.
pub(crate) const BODY_UNIT_BYTES: usize = 1 << 10;

/// Where our own API begins, beside AWS's.
pub const OWN_PREFIX: &str = "/counterpoint/v1/";

/// What the operator may change.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Multiplies every rate of [`crate::throttle`]; `None`: nothing is throttled.
    pub throttle_scale: Option<f64>,
    pub quotas: Quotas,
}

impl Default for Options {
    fn default() -> Self {
        Self { throttle_scale: Some(1.0), quotas: Quotas::default() }
    }
}

/// What one account may use (design §10); `None`: as much as it likes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quotas {
    /// Bytes of the bodies of `PutEvents`, `UpdateEndpoint` and `UpdateEndpointsBatch`, over all applications.
    pub ingest_bytes_per_second: Option<u64>,
    /// Endpoints of all applications. What is under way when they are reached is still made.
    pub endpoints: Option<u64>,
    /// Memory of the indexes of all applications; when they take more, no further endpoint is made.
    pub index_bytes: Option<u64>,
    /// Pages of the outbox, of all applications. At the quota direct messages are refused and campaigns wait.
    pub outbox_rows: Option<u64>,
}

/// A request to our own API. Its path is behind [`OWN_PREFIX`] and the prefix that the handler was registered with.
#[derive(Debug, Clone)]
pub struct OwnRequest {
    pub method: hyper::Method,
    /// Still percent-encoded; may begin with a slash, or be empty.
    pub path: String,
    pub query: Vec<(String, String)>,
    pub body: Bytes,
}

type OwnHandler = Box<dyn Fn(Cx, OwnRequest) -> BoxFuture<Result<Answer, ApiError>> + Send + Sync>;
type OpenHandler = Box<dyn Fn() -> BoxFuture<Answer> + Send + Sync>;

/// What answers requests. Built once; see [`fn@crate::serve`].
pub struct Server {
    pub engine: Engine,
    pub options: Options,
    pub(crate) master_key: MasterKey,
    pub(crate) callers: Callers,
    pub(crate) signing_keys: SigningKeys,
    pub(crate) throttles: Throttles,
    pub(crate) routes: Routes,
    /// Handlers of our own API, by prefix behind [`OWN_PREFIX`].
    pub(crate) own: Vec<(&'static str, OwnHandler)>,
    /// What anybody may GET, by path.
    pub(crate) open: Vec<(&'static str, OpenHandler)>,
    /// Room for bodies, in units of [`BODY_UNIT_BYTES`].
    pub(crate) body_units: Semaphore,
    /// Requests run as tasks of their own, so that a client that hangs up does not stop a handler half-way.
    pub(crate) tasks: TaskTracker,
    pub(crate) in_flight: AtomicUsize,
}

impl Server {
    pub fn new(engine: Engine, master_key: MasterKey, options: Options) -> Self {
        let Quotas { ingest_bytes_per_second: _, endpoints, index_bytes, outbox_rows } = options.quotas;
        engine.audiences.usage.limit(Limits { endpoints, index_bytes });
        if let Some(rows_max) = outbox_rows {
            engine.queues.rows.limit(rows_max);
        }
        Self {
            engine,
            options,
            master_key,
            callers: Callers::new(),
            signing_keys: SigningKeys::new(),
            throttles: Throttles::default(),
            routes: crate::routes().complete(),
            own: Vec::new(),
            open: Vec::new(),
            body_units: Semaphore::new(BODIES_BYTES_MAX / BODY_UNIT_BYTES),
            tasks: TaskTracker::new(),
            in_flight: AtomicUsize::new(0),
        }
    }

    /// Adds a handler of our own API for all paths below `prefix`, for example `sandbox/messages`. Calls are signed like
    /// those of AWS's; the policy is asked for `counterpoint:Read` (GET) or `counterpoint:Write` on
    /// `arn:aws:counterpoint:<region>:<account>:<path behind /counterpoint/v1/>`.
    #[must_use]
    pub fn own<H, F>(mut self, prefix: &'static str, handler: H) -> Self
    where
        H: Fn(Cx, OwnRequest) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Answer, ApiError>> + Send + 'static,
    {
        self.own.push((prefix, Box::new(move |cx, request| Box::pin(handler(cx, request)))));
        self
    }

    /// Adds a path that anybody may GET, without a signature: `/status`, `/metrics`.
    #[must_use]
    pub fn open<H, F>(mut self, path: &'static str, handler: H) -> Self
    where
        H: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        self.open.push((path, Box::new(move || Box::pin(handler()))));
        self
    }

    /// Reads an access key anew at its next use: after it was changed, disabled or deleted.
    pub fn forget_access_key(&self, access_key_id: &str) {
        self.callers.forget(access_key_id);
    }

    /// Requests being answered now.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// The operations of both services and who answers them.
    pub fn routes(&self) -> &Routes {
        &self.routes
    }

    pub(crate) fn enter(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Server").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Counts a request while it lives.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Server>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
