//! The table of operations: which handler answers which, with the types erased.
//!
//! [`Routes::op`] takes a typed handler, `async fn(Cx, Input) -> Result<Output, ApiError>`; a mismatch does not compile.
//! Operations without one are decoded and then refused with a modelled error, so that no operation of the model is unknown.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::pin::Pin;

use bytes::Bytes;
use model::{Operation, OperationSpec, OperationVisitor, RequestParts, Service, pinpoint, sms_voice_v2};

use crate::context::Cx;
use crate::error::ApiError;
use crate::protocol::{Answer, Protocol};
use crate::router::{Found, Router, label_names};

/// How often a handler decides anew because a row that it read was changed, before the client is told to try again.
pub const DECISIONS_MAX: usize = 8;

/// A future whose type is forgotten.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

type TypedHandler =
    Box<dyn Fn(Cx, &RequestParts<'_>) -> Result<BoxFuture<Result<Answer, ApiError>>, ApiError> + Send + Sync>;
type RawHandler = Box<dyn Fn(Cx, Labels, Bytes) -> BoxFuture<Result<RawAnswer, ApiError>> + Send + Sync>;

/// The labels of a path, decoded: what a raw handler gets instead of an input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(pub Vec<(&'static str, String)>);

impl Labels {
    /// The label of this name; empty where the operation's path has none.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(label, _)| *label == name).map_or("", |(_, value)| value)
    }
}

/// What a raw handler answers: a body that is encoded already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawAnswer {
    pub status: u16,
    pub body: Vec<u8>,
}

pub(crate) enum Handler {
    /// Decodes while it borrows the request; the future owns what it needs.
    Typed(TypedHandler),
    /// Reads the body itself: the hot path.
    Raw(RawHandler),
}

impl fmt::Debug for Handler {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Typed(_) => "Typed",
            Self::Raw(_) => "Raw",
        })
    }
}

/// An operation and who answers it.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) spec: &'static OperationSpec,
    pub(crate) labels: Vec<&'static str>,
    pub(crate) handler: Handler,
}

/// All operations of both services.
#[derive(Debug, Default)]
pub struct Routes {
    table: Vec<Route>,
    router: Router<usize>,
    /// JSON 1.0 operations, by what `X-Amz-Target` says.
    targets: HashMap<String, usize>,
    not_implemented: Vec<&'static OperationSpec>,
}

impl Routes {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a handler for an operation. A mutating one must decide from what it reads and commit once, at its end
    /// ([`Cx::commit`]): where a row was changed meanwhile, it is called again.
    #[must_use]
    pub fn op<O, H, F>(self, _: O, handler: H) -> Self
    where
        O: Operation,
        H: Fn(Cx, O::Input) -> F + Copy + Send + Sync + 'static,
        F: Future<Output = Result<O::Output, ApiError>> + Send + 'static,
    {
        let typed: TypedHandler = Box::new(move |cx, request| {
            let input = O::decode(request)?;
            Ok(Box::pin(call::<O, H, F>(cx, input, handler)))
        });
        self.add(O::SPEC, Handler::Typed(typed))
    }

    /// Adds a handler that gets the body as it came. No answer is remembered for it, so it must be idempotent.
    #[must_use]
    pub fn raw<O, H, F>(self, _: O, handler: H) -> Self
    where
        O: Operation,
        H: Fn(Cx, Labels, Bytes) -> F + Copy + Send + Sync + 'static,
        F: Future<Output = Result<RawAnswer, ApiError>> + Send + 'static,
    {
        let raw: RawHandler = Box::new(move |cx, labels, body| Box::pin(handler(cx, labels, body)));
        self.add(O::SPEC, Handler::Raw(raw))
    }

    fn add(mut self, spec: &'static OperationSpec, handler: Handler) -> Self {
        let place = self.table.len();
        match spec.service.target_prefix() {
            Some(prefix) => {
                self.targets.insert(format!("{prefix}.{}", spec.name), place);
            }
            None => self.router.add(spec.method, spec.path, place),
        }
        self.table.push(Route { spec, labels: label_names(spec.path), handler });
        self
    }

    /// Adds a refusal for each operation of the model that has no handler.
    #[must_use]
    pub(crate) fn complete(self) -> Self {
        let known = self.table.iter().map(|route| (route.spec.service, route.spec.name)).collect();
        let mut missing = Missing { known, routes: self };
        pinpoint::visit_operations(&mut missing);
        sms_voice_v2::visit_operations(&mut missing);
        missing.routes
    }

    /// Operations that are routed, decoded and then refused.
    pub fn not_implemented(&self) -> &[&'static OperationSpec] {
        &self.not_implemented
    }

    pub(crate) fn find<'a>(&'a self, method: &str, path: &'a str) -> Found<'a, usize> {
        self.router.find(method, path)
    }

    pub(crate) fn target(&self, target: &str) -> Option<usize> {
        self.targets.get(target).copied()
    }

    pub(crate) fn route(&self, place: usize) -> &Route {
        &self.table[place]
    }
}

/// Registers what nobody registered.
struct Missing {
    known: HashSet<(Service, &'static str)>,
    routes: Routes,
}

impl OperationVisitor for Missing {
    fn visit<O: Operation>(&mut self) {
        if self.known.contains(&(O::SPEC.service, O::SPEC.name)) {
            return;
        }
        let typed: TypedHandler = Box::new(|_, request| {
            O::decode(request)?;
            Err(not_implemented(O::SPEC))
        });
        self.routes = std::mem::take(&mut self.routes).add(O::SPEC, Handler::Typed(typed));
        self.routes.not_implemented.push(O::SPEC);
    }
}

/// The models have no code for this; a bad request is at least not tried again.
fn not_implemented(spec: &OperationSpec) -> ApiError {
    ApiError::bad_request(format!("{} is not implemented yet in this version", spec.name))
        .reason("UNKNOWN_OPERATION")
}

/// Calls a handler: a repeat of an SDK gets the answer that the first call got, and a lost race is decided again.
async fn call<O, H, F>(mut cx: Cx, input: O::Input, handler: H) -> Result<Answer, ApiError>
where
    O: Operation,
    H: Fn(Cx, O::Input) -> F,
    F: Future<Output = Result<O::Output, ApiError>>,
{
    if !O::SPEC.mutating {
        return encode::<O>(&handler(cx, input).await?);
    }
    if cx.may_be_repeat()
        && let Some(answer) = cx.remembered().await?
    {
        return Ok(answer);
    }
    let mut decisions = 0;
    loop {
        let error = match handler(cx.clone(), input.clone()).await {
            Ok(output) => return encode::<O>(&output),
            // It may have been carried out and not be durable: nothing that is read now proves that it is.
            Err(error) if error.status() >= 500 => return Err(error),
            Err(error) => error,
        };
        // What was in the way may be the first call of this very invocation, which is answered by now.
        if let Some(answer) = cx.remembered().await? {
            return Ok(answer);
        }
        decisions += 1;
        if !error.decide_again || decisions == DECISIONS_MAX {
            return Err(error);
        }
    }
}

fn encode<O: Operation>(output: &O::Output) -> Result<Answer, ApiError> {
    Ok(Answer::document(Protocol::of_service(O::SPEC.service), O::SPEC.status, O::encode(output)?))
}
