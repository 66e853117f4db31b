//! Our own API, beside AWS's, below `/counterpoint/v1/`: what a console, an operator or an auditor asks that Pinpoint has no
//! operation for. Signed like AWS's calls; described in docs/openapi.json.
//!
//! | call | answer |
//! |---|---|
//! | `GET keys`, `POST keys`, `PUT keys/{id}`, `DELETE keys/{id}` | access keys ([`crate::keys`]) |
//! | `POST apps/{app}/segments/count` | how many endpoints meet criteria that are no segment yet |
//! | `GET apps/{app}/segments/{segment}/count` | how many endpoints are in a segment now |
//! | `GET apps/{app}/events/counts` | events by day and type |
//! | `GET apps/{app}/endpoints/{endpoint}/deliveries` | why each message was, or was not, sent to an endpoint |
//! | `GET apps/{app}/deliveries/unknown` | deliveries of which nobody knows whether they arrived |

use hyper::Method;
use serde_json::json;

use crate::context::Cx;
use crate::error::ApiError;
use crate::protocol::Answer;
use crate::router::decode_label;
use crate::server::{OwnRequest, Server};

mod deliveries;
mod events;
mod keys;
mod segments;

/// Adds what belongs to applications and access keys.
pub fn add(server: Server) -> Server {
    server.own("keys", keys::answer).own("apps", apps)
}

/// What belongs to an application.
async fn apps(cx: Cx, request: OwnRequest) -> Result<Answer, ApiError> {
    let parts = parts(&request.path)?;
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let Some((app, rest)) = parts.split_first() else { return Err(ApiError::not_found()) };
    let app = cx.app(app).await?;
    match (&request.method, rest) {
        (&Method::POST, ["segments", "count"]) => segments::count_criteria(&cx, &app, &request.body).await,
        (&Method::GET, ["segments", segment, "count"]) => {
            segments::count_segment(&cx, &app, segment, &request.query).await
        }
        (&Method::GET, ["events", "counts"]) => events::counts(&cx, &app).await,
        (&Method::GET, ["endpoints", endpoint, "deliveries"]) => {
            deliveries::of_endpoint(&cx, &app, endpoint, &request.query).await
        }
        (&Method::GET, ["deliveries", "unknown"]) => deliveries::unknown(&cx, &app, &request.query).await,
        (
            _,
            ["segments", "count"]
            | ["segments", _, "count"]
            | ["events", "counts"]
            | ["deliveries", "unknown"]
            | ["endpoints", _, "deliveries"],
        ) => Err(ApiError::method_not_allowed()),
        _ => Err(ApiError::not_found()),
    }
}

/// The parts of a raw path, decoded; an empty path has none.
fn parts(path: &str) -> Result<Vec<String>, ApiError> {
    path.split('/').filter(|part| !part.is_empty()).map(decode_label).collect()
}

/// A list, as Pinpoint's lists look.
fn list(items: &[serde_json::Value], next_token: Option<String>) -> Answer {
    let mut document = json!({ "Item": items });
    if let Some(token) = next_token {
        document["NextToken"] = token.into();
    }
    Answer::json(document.to_string())
}

/// The value of a parameter of the query.
fn parameter<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}
