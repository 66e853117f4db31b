//! What a page's messages are made of: a campaign's plan or a direct request, its templates compiled once.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use domain::audience::AppKey;
use domain::campaigns::{EmailContent, Plan, TemplateRef};
use domain::endpoints::Invalid;
use domain::messages::{DirectEmail, DirectRequest};
use domain::rendering::{
    Escape, Missing, Reads, RenderContext, RenderError, Substitutions, Template, Values,
};
use domain::templates::{EmailChannel, EmailTemplate};
use serde_json::Value;
use store::tables::campaigns::{CampaignState, Status, state_key};
use store::tables::definitions::{self, Body, Definitions, Head};
use store::tables::outbox::{Page, Recipient, Request, Source, request_key};
use store::value::{Stored, decode};
use store::{Key, Kv, KvError, Version, Versioned};

use super::overrides::{Overrides, Particular};
use super::{CONTENTS_MAX, Dispatcher};
use crate::handle::SHARD;
use crate::templates;

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
#[expect(clippy::large_enum_variant, reason = "one stands behind an Arc for a whole page")]
pub(super) enum Kind {
    Campaign {
        plan: Plan,
        campaign: String,
        mails: Vec<Option<Mail>>,
    },
    Direct {
        request: Box<DirectRequest>,
        mail: Option<Mail>,
        email: Option<DirectEmail>,
        overrides: Overrides,
    },
    /// The campaign or its segment was deleted: everybody is skipped.
    Gone,
    /// What it is made of cannot be read: everybody is skipped, with these words.
    Unreadable(String),
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
    /// What all of them read.
    reads: Reads,
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
            Kind::Direct { .. } | Kind::Gone | Kind::Unreadable(_) => None,
        }
    }

    /// What is particular to a recipient; the error says why it cannot be rendered.
    pub(super) fn particular(&self, recipient: &Recipient) -> Result<Option<&Particular>, String> {
        match &self.kind {
            Kind::Direct { overrides, .. } => overrides.of(recipient),
            Kind::Campaign { .. } | Kind::Gone | Kind::Unreadable(_) => Ok(None),
        }
    }

    /// The mail of a treatment.
    pub(super) fn mail(&self, treatment: u8) -> Option<&Mail> {
        match &self.kind {
            Kind::Campaign { mails, .. } => mails.get(usize::from(treatment)).and_then(Option::as_ref),
            Kind::Direct { mail, .. } => mail.as_ref(),
            Kind::Gone | Kind::Unreadable(_) => None,
        }
    }

    pub(super) fn direct_email(&self) -> Option<&DirectEmail> {
        match &self.kind {
            Kind::Direct { email, .. } => email.as_ref(),
            Kind::Campaign { .. } | Kind::Gone | Kind::Unreadable(_) => None,
        }
    }
}

impl Compiled {
    /// What the mail may read of its recipient's document.
    pub(super) fn reads(&self, particular: Option<&Particular>) -> Cow<'_, Reads> {
        let of_particular = particular.into_iter().flat_map(|it| [&it.body, &it.title]).flatten();
        let mut reads = Cow::Borrowed(&self.reads);
        for template in of_particular {
            reads.to_mut().extend(template.reads());
        }
        reads
    }

    pub(super) fn render(
        &self,
        endpoint: &Value,
        message: &Substitutions,
        particular: Option<&Particular>,
        missing: Missing,
        context: &RenderContext,
    ) -> Result<Rendered, RenderError> {
        let mut values = Values::new(endpoint).with_defaults(&self.defaults).with_message(message);
        if let Some(particular) = particular {
            values = values.with_address(&particular.substitutions);
        }
        let render = |template: &Template| template.render(&values, missing, context);
        let body = particular.and_then(|particular| particular.body.as_ref());
        let text = body.or(self.text.as_ref()).map(render).transpose()?;
        let html = self.html.as_ref().filter(|_| body.is_none()).map(render).transpose()?;
        let mut headers = Vec::with_capacity(self.headers.len());
        for (name, template) in &self.headers {
            headers.push((name.clone(), render(template)?));
        }
        let title = particular.and_then(|particular| particular.title.as_ref());
        let subject = render(title.unwrap_or(&self.subject))?;
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
                Source::Direct { request } => request.clone(),
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
            Source::Direct { request } => self.direct(app, request).await,
            Source::Campaign { campaign, version, .. } => self.campaign(app, campaign, *version).await,
        };
        // One row that cannot be read must not keep everybody's messages.
        let kind = match kind {
            Err(KvError::Corrupt(reason)) => {
                tracing::error!(page.id, reason, "what a page is made of cannot be read: it is not sent");
                Kind::Unreadable(format!("cannot be read: {reason}"))
            }
            kind => kind?,
        };
        Ok(Content { kind, email_from, rows: std::mem::take(&mut self.rows) })
    }

    async fn direct(&mut self, app: &AppKey, request: &str) -> Result<Kind, KvError> {
        let row: Option<Request> = self.get(request_key(SHARD, request)).await?;
        // Kept until after its pages have expired.
        let Request(document) = row.ok_or_else(|| KvError::Corrupt("the request is gone".to_owned()))?;
        let request: Box<DirectRequest> =
            serde_json::from_str(&document).map_err(|error| KvError::Corrupt(error.to_string()))?;
        let overrides = Overrides::compile(&request);
        let email = match request.email() {
            Ok(email) => email,
            Err(Invalid(message)) => {
                return Ok(Kind::Direct { request, mail: Some(Err(message)), email: None, overrides });
            }
        };
        let mail = match &email {
            Some(email) => Some(self.compile(app, &email.content).await?),
            None => None,
        };
        Ok(Kind::Direct { request, mail, email, overrides })
    }

    async fn campaign(&mut self, app: &AppKey, campaign: &str, version: u32) -> Result<Kind, KvError> {
        let definitions = definitions::campaigns(app.account.as_str(), app.app.as_str());
        let state: Option<CampaignState> = self.get(state_key(app, campaign)).await?;
        let body: Option<Body> = self.get(definitions.body_key(campaign, version)).await?;
        let (Some(state), Some(body)) = (state, body) else { return Ok(Kind::Gone) };
        if state.status == Status::Deleted {
            return Ok(Kind::Gone);
        }
        let mut plan = match Plan::parse_document(&body.document) {
            Ok(plan) => plan,
            Err(Invalid(reason)) => return Ok(Kind::Unreadable(reason)),
        };
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

    async fn template(
        &mut self,
        app: &AppKey,
        reference: &TemplateRef,
    ) -> Result<Option<EmailTemplate>, KvError> {
        let resolved = templates::resolve(self.kv, &app.account, "EMAIL", reference).await?;
        self.rows.extend(resolved.rows);
        let Some(body) = resolved.body else { return Ok(None) };
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
    let mut reads = subject.reads().clone();
    for template in html.iter().chain(&text).chain(headers.iter().map(|(_, template)| template)) {
        reads.extend(template.reads());
    }
    let defaults = template.defaults.clone();
    Ok(Compiled { subject, html, text, headers, from: content.from.clone(), defaults, reads })
}
