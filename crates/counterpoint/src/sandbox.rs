//! What arrived in the sandbox: `GET /counterpoint/v1/sandbox/messages`, and one message by its id below it.

use std::sync::Arc;

use api::{Answer, ApiError, OwnRequest, Server};
use deliver::sandbox::{Filter, Mailbox};
use domain::channels::ChannelType;
use domain::time::Timestamp;

/// Where the messages are.
const PREFIX: &str = "sandbox/messages";
/// Messages of a page that names no limit.
const PAGE_MESSAGES: usize = 100;

/// Adds the sandbox to our own API.
pub(crate) fn add(server: Server, mailbox: Arc<Mailbox>) -> Server {
    server.own(PREFIX, move |_, request| {
        let answer = answer(&mailbox, &request);
        async move { answer }
    })
}

fn answer(mailbox: &Mailbox, request: &OwnRequest) -> Result<Answer, ApiError> {
    if request.method != hyper::Method::GET {
        return Err(ApiError::method_not_allowed());
    }
    match request.path.trim_matches('/') {
        "" => {
            let (filter, before, limit) = asked(&request.query)?;
            Ok(Answer::json(serde_json::to_vec(&mailbox.messages(&filter, before, limit))?))
        }
        id => {
            let message =
                id.parse().ok().and_then(|id| mailbox.message(id)).ok_or_else(ApiError::not_found)?;
            Ok(Answer::json(serde_json::to_vec(&*message)?))
        }
    }
}

fn asked(query: &[(String, String)]) -> Result<(Filter, Option<u64>, usize), ApiError> {
    let mut filter = Filter::default();
    let mut before = None;
    let mut limit = PAGE_MESSAGES;
    for (name, value) in query {
        let invalid = || ApiError::bad_request(format!("{name} is not valid"));
        match name.as_str() {
            "channel" => filter.channel = Some(ChannelType::parse(value).ok_or_else(invalid)?),
            "recipient" => filter.recipient = Some(value.clone()),
            "subject" => filter.subject = Some(value.clone()),
            "since" => filter.since = Some(Timestamp::parse(value).ok_or_else(invalid)?),
            "delivery-id" => filter.delivery_id = Some(value.clone()),
            "before" => before = Some(value.parse().map_err(|_| invalid())?),
            "page-size" => limit = value.parse().map_err(|_| invalid())?,
            _ => return Err(ApiError::bad_request(format!("{name} is not a parameter of this call"))),
        }
    }
    Ok((filter, before, limit))
}
