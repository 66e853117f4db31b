//! Names of what is measured, and the one line that is logged for each call.

use model::OperationSpec;

use crate::protocol::Answer;

/// Counter: calls by `operation` and `status`.
pub const REQUESTS_TOTAL: &str = "counterpoint_api_requests_total";
/// Histogram: milliseconds from head to answer, by `operation`.
pub const REQUEST_DURATION_MS: &str = "counterpoint_api_request_duration_ms";

/// What a call that was never routed is counted as.
const NO_OPERATION: &str = "none";

/// Counts and logs a call.
pub(crate) fn answered(operation: Option<&'static OperationSpec>, answer: &Answer, took_ms: u64) {
    let operation = operation.map_or(NO_OPERATION, |spec| spec.name);
    metrics::counter!(REQUESTS_TOTAL, "operation" => operation, "status" => answer.status.to_string())
        .increment(1);
    metrics::histogram!(REQUEST_DURATION_MS, "operation" => operation).record(took_ms as f64);
    tracing::debug!(
        operation,
        status = answer.status,
        error = answer.error_type,
        duration_ms = took_ms,
        "answered"
    );
}
