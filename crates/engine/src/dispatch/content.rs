//! What a page's messages are made of: a campaign's plan or a direct request, its templates compiled once.

use std::collections::HashMap;
use std::sync::Arc;

use domain::audience::AppKey;
use domain::campaigns::{EmailContent, Plan, TemplateRef};
use domain::endpoints::Invalid;
use domain::messages::{DirectEmail, DirectRequest, Overrides};
use domain::rendering::{Escape, Missing, RenderContext, RenderError, Substitutions, Template, Values};
use domain::templates::{EmailChannel, EmailTemplate};
use serde_json::Value;
use store::tables::campaigns::{CampaignState, state_key};
use store::tables::definitions::{self, Body, Definitions, Head};
use store::tables::outbox::{Page, Recipient, Source};
use store::value::{Stored, decode};
use store::{Key, Kv, KvError, Version, Versioned};

use super::{CONTENTS_MAX, Dispatcher};

/// The page's part that decides what is sent: pages of one run share it.
pub(super) type ContentKey = (AppKey, String);

/// A page's messages, ready to be rendered.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) kind: Kind,
    /// The application's email channel, where it is enabled: the default sender.
    pub(super) email_from: Option<String>,
    /// The rows that the content was made of. A claim commits only while they are what they were.
    pub(super) rows: Vec<(Key, Version)>,
}

#[derive(Debug)]
pub(super) enum Kind {
    Campaign { plan: Plan, campaign: String, mails: Vec<Option<Mail>> },
    Direct { request: DirectRequest, mail: Option<Mail>, email: Option<DirectEmail> },
    /// The definition is gone or cannot be read: everybody is skipped.
    Gone,
}

/// A mail's templates. An error is shown with every recipient that it keeps from being sent.
pub(super) type Mail = Result<Compiled, String>;

#[derive(Debug)]
pub(super) struct Compiled {
    subject: Template,
    html: Option<Template>,
    text: Option<Template>,
    headers: Vec<(String, Template)>,
    from: Option<String>,
    defaults: Value,
}

/// A mail as its recipient gets it.
#[derive(Debug, PartialEq)]
pub(super) struct Rendered {
    pub(super) from: Option<String>,
    pub(super) subject: String,
    pub(super) html: Option<String>,
    pub(super) text: Option<String>,
    pub(super) headers: Vec<(String, String)>,
}

impl Content {
    pub(super) fn messages_per_second(&self) -> Option<u32> {
        match &self.kind {
            Kind::Campaign { plan, .. } => plan.limits.messages_per_second,
            Kind::Direct { .. } | Kind::Gone => None,
        }
    }

    /// What is particular to a recipient.
    pub(super) fn overrides(&self, recipient: &Recipient) -> Overrides {
        match (&self.kind, recipient) {
            (Kind::Direct { request, .. }, Recipient::Address(address)) => request.of_address(address),
            (Kind::Direct { request, .. }, Recipient::Endpoint { endpoint, user }) => {
                request.of_endpoint(endpoint, user.as_deref())
            }
            _ => Overrides::default(),
        }
    }

    /// The mail of a treatment.
    pub(super) fn mail(&self, treatment: u8) -> Option<&Mail> {
        match &self.kind {
            Kind::Campaign { mails, .. } => mails.get(usize::from(treatment)).and_then(Option::as_ref),
            Kind::Direct { mail, .. } => mail.as_ref(),
            Kind::Gone => None,
        }
    }

    pub(super) fn direct_email(&self) -> Option<&DirectEmail> {
        match &self.kind {
            Kind::Direct { email, .. } => email.as_ref(),
            Kind::Campaign { .. } | Kind::Gone => None,
        }
    }
}

impl Compiled {
    pub(super) fn render(
        &self,
        endpoint: &Value,
        message: &Substitutions,
        overrides: &Overrides,
        missing: Missing,
        context: &RenderContext,
    ) -> Result<Rendered, RenderError> {
        let values = Values::new(endpoint)
            .with_defaults(&self.defaults)
            .with_message(message)
            .with_address(&overrides.substitutions);
        let render = |template: &Template| template.render(&values, missing, context);
        let text = match &overrides.body {
            Some(body) => Some(body.clone()),
            None => self.text.as_ref().map(render).transpose()?,
        };
        let html = if overrides.body.is_some() { None } else { self.html.as_ref().map(render).transpose()? };
        let mut headers = Vec::with_capacity(self.headers.len());
        for (name, template) in &self.headers {
            headers.push((name.clone(), render(template)?));
        }
        let subject = match &overrides.title {
            Some(title) => title.clone(),
            None => render(&self.subject)?,
        };
        Ok(Rendered { from: self.from.clone(), subject, html, text, headers })
    }
}

impl Dispatcher {
    /// The content of a page: compiled once for all pages of a run, and again when a row that it was made of has changed.
    pub(super) async fn content(&mut self, page: &Page) -> Result<Arc<Content>, KvError> {
        let key: ContentKey = (
            page.app.clone(),
            match &page.source {
                Source::Campaign { run, .. } => run.clone(),
                Source::Direct { .. } => page.id.split('.').next().unwrap_or_default().to_owned(),
            },
        );
        if let Some(content) = self.contents.get(&key)
            && self.is_current(content).await?
        {
            return Ok(Arc::clone(content));
        }
        let mut reader = Reader { kv: &*self.engine.kv, rows: Vec::new() };
        let content = Arc::new(reader.load(page).await?);
        if self.contents.len() >= CONTENTS_MAX {
            self.contents = HashMap::new();
        }
        self.contents.insert(key, Arc::clone(&content));
        Ok(content)
    }

    async fn is_current(&self, content: &Content) -> Result<bool, KvError> {
        let keys: Vec<Key> = content.rows.iter().map(|(key, _)| key.clone()).collect();
        let rows = self.engine.kv.get_many(&keys).await?;
        let version = |row: &Option<Versioned>| row.as_ref().map_or(Version::ABSENT, |row| row.version);
        Ok(rows.iter().zip(&content.rows).all(|(row, (_, before))| version(row) == *before))
    }
}

/// Reads definitions and remembers of which rows the content is made.
struct Reader<'a> {
    kv: &'a dyn Kv,
    rows: Vec<(Key, Version)>,
}

impl Reader<'_> {
    async fn get<T: Stored>(&mut self, key: Key) -> Result<Option<T>, KvError> {
        let row = self.kv.get(&key).await?;
        self.rows.push((key, row.as_ref().map_or(Version::ABSENT, |row| row.version)));
        Ok(row.map(|row| decode(&row.value)).transpose()?)
    }

    async fn load(&mut self, page: &Page) -> Result<Content, KvError> {
        let app = &page.app;
        let email_from = self.email_channel(app).await?;
        let kind = match &page.source {
            Source::Direct { request } => self.direct(app, request).await?,
            Source::Campaign { campaign, version, .. } => self.campaign(app, campaign, *version).await?,
        };
        Ok(Content { kind, email_from, rows: std::mem::take(&mut self.rows) })
    }

    async fn direct(&mut self, app: &AppKey, request: &str) -> Result<Kind, KvError> {
        let request: DirectRequest =
            serde_json::from_str(request).map_err(|error| KvError::Corrupt(error.to_string()))?;
        let email = match request.email() {
            Ok(email) => email,
            Err(Invalid(message)) => return Ok(Kind::Direct { request, mail: Some(Err(message)), email: None }),
        };
        let mail = match &email {
            Some(email) => Some(self.compile(app, &email.content).await?),
            None => None,
        };
        Ok(Kind::Direct { request, mail, email })
    }

    async fn campaign(&mut self, app: &AppKey, campaign: &str, version: u32) -> Result<Kind, KvError> {
        let definitions = definitions::campaigns(app.account.as_str(), app.app.as_str());
        let state: Option<CampaignState> = self.get(state_key(app, campaign)).await?;
        let body: Option<Body> = self.get(definitions.body_key(campaign, version)).await?;
        let (Some(state), Some(body)) = (state, body) else { return Ok(Kind::Gone) };
        let Ok(mut plan) = Plan::parse_document(&body.document) else { return Ok(Kind::Gone) };
        plan.limits = plan.limits.or_defaults(&state.default_limits);
        plan.quiet_time = plan.quiet_time.or(state.default_quiet_time);
        let mut mails = Vec::with_capacity(plan.treatments.len());
        for treatment in &plan.treatments {
            mails.push(match &treatment.email {
                Some(content) => Some(self.compile(app, content).await?),
                None => None,
            });
        }
        Ok(Kind::Campaign { plan, campaign: campaign.to_owned(), mails })
    }

    /// The default sender of the email channel; `None` where the channel is missing or disabled.
    async fn email_channel(&mut self, app: &AppKey) -> Result<Option<String>, KvError> {
        let channels = definitions::channels(app.account.as_str(), app.app.as_str());
        let Some(body) = self.newest(&channels, "email").await? else { return Ok(None) };
        let channel = EmailChannel::parse_document(&body.document).map_err(corrupt)?;
        Ok(channel.enabled.then_some(channel.from))
    }

    async fn compile(&mut self, app: &AppKey, content: &EmailContent) -> Result<Mail, KvError> {
        let mut template = EmailTemplate::default();
        if let Some(reference) = &content.template {
            match self.template(app, reference).await? {
                Some(found) => template = found,
                None => return Ok(Err(format!("Template {} does not exist", reference.name))),
            }
        }
        Ok(compile(content, &template))
    }

    async fn template(&mut self, app: &AppKey, reference: &TemplateRef) -> Result<Option<EmailTemplate>, KvError> {
        let templates = definitions::templates(app.account.as_str(), "EMAIL");
        let head: Option<Head> = self.get(templates.head_key(&reference.name)).await?;
        let Some(head) = head else { return Ok(None) };
        let version = reference.version.unwrap_or(head.active);
        let body: Option<Body> = self.get(templates.body_key(&reference.name, version)).await?;
        let Some(body) = body else { return Ok(None) };
        EmailTemplate::parse_document(&body.document).map(Some).map_err(corrupt)
    }

    async fn newest(&mut self, definitions: &Definitions, id: &str) -> Result<Option<Body>, KvError> {
        let head: Option<Head> = self.get(definitions.head_key(id)).await?;
        let Some(head) = head else { return Ok(None) };
        self.get(definitions.body_key(id, head.latest)).await
    }
}

fn corrupt(Invalid(message): Invalid) -> KvError {
    KvError::Corrupt(message)
}

/// Compiles a mail: what the message says, then what the template says (spec/80 §1).
fn compile(content: &EmailContent, template: &EmailTemplate) -> Mail {
    let part = |name: &str, message: &Option<String>, template: &Option<String>, escape: Escape| {
        let source = message.as_ref().or(template.as_ref());
        let compiled = source.map(|source| Template::compile(source, escape)).transpose();
        compiled.map_err(|error| format!("{name}: {error}"))
    };
    let plain = |text: &str| Template::compile(text, Escape::None).map_err(|error| error.to_string());
    let subject = match part("Subject", &content.subject, &template.subject, Escape::None)? {
        Some(subject) => subject,
        None => plain("")?,
    };
    let html = part("HtmlPart", &content.html, &template.html, Escape::Html)?;
    let text = part("TextPart", &content.text, &template.text, Escape::None)?;
    let headers = if content.headers.is_empty() { &template.headers } else { &content.headers };
    let headers = headers
        .iter()
        .map(|(name, value)| Ok((name.clone(), plain(value)?)))
        .collect::<Result<Vec<_>, String>>()?;
    let defaults = template.defaults.clone();
    Ok(Compiled { subject, html, text, headers, from: content.from.clone(), defaults })
}
