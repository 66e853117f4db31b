//! What is particular to the recipients of a direct message: compiled with its content, once for all attempts.

use std::collections::HashMap;

use domain::ids::folded;
use domain::messages::{self, DirectRequest};
use domain::rendering::{Escape, Substitutions, Template};
use store::tables::outbox::Recipient;

/// By recipient, as the request names it; endpoints by folded id. An error says why an override is no template.
#[derive(Debug)]
pub(super) struct Overrides {
    addresses: HashMap<String, Result<Particular, String>>,
    endpoints: HashMap<String, Result<Particular, String>>,
    users: HashMap<String, Result<Particular, String>>,
}

/// What is particular to one recipient (spec/80 §1).
#[derive(Debug)]
pub(super) struct Particular {
    pub(super) body: Option<Template>,
    pub(super) title: Option<Template>,
    pub(super) substitutions: Substitutions,
}

impl Overrides {
    pub(super) fn compile(request: &DirectRequest) -> Self {
        let DirectRequest {
            message_configuration: _,
            template_configuration: _,
            addresses,
            endpoints,
            users,
        } = request;
        let compiled = |id: &String, overrides: messages::Overrides| (id.clone(), compile(overrides));
        Self {
            addresses: addresses.iter().map(|(id, it)| compiled(id, it.into())).collect(),
            endpoints: endpoints
                .iter()
                .map(|(id, it)| compiled(&folded(id).into_owned(), it.into()))
                .collect(),
            users: users.iter().map(|(id, it)| compiled(id, it.into())).collect(),
        }
    }

    /// What is particular to a recipient: to the user through whom an endpoint was found, or to the endpoint that was named.
    pub(super) fn of(&self, recipient: &Recipient) -> Result<Option<&Particular>, String> {
        let found = match recipient {
            Recipient::Address(address) => self.addresses.get(address),
            Recipient::Endpoint { endpoint, user: None } => self.endpoints.get(endpoint),
            Recipient::Endpoint { user: Some(user), .. } => self.users.get(user),
            Recipient::Ordinal(_) => None,
        };
        found.map(Result::as_ref).transpose().map_err(Clone::clone)
    }
}

fn compile(overrides: messages::Overrides) -> Result<Particular, String> {
    let messages::Overrides { body, title, substitutions } = overrides;
    let template = |name: &str, text: Option<String>| {
        let compiled = text.map(|text| Template::compile(&text, Escape::None)).transpose();
        compiled.map_err(|error| format!("{name}: {error}"))
    };
    Ok(Particular {
        body: template("BodyOverride", body)?,
        title: template("TitleOverride", title)?,
        substitutions,
    })
}
