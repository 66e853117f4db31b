//! The engine stepped by hand: projection, due rows and dispatcher, over a provider that keeps what it is given.

use std::sync::{Arc, Mutex};

use deliver::{Email, EmailTransport, Outcome};
use domain::audience::AppKey;
use domain::records::{Body, EndpointItem, Record};
use engine::dispatch::{self, DispatchOptions, Dispatcher};
use engine::due;
use engine::project::{Projector, Step};
use serde_json::{Value, json};
use store::tables::outbox::Lane;
use tokio_util::sync::CancellationToken;

use crate::support::{ACCOUNT, World};

/// The workers of a world's engine: nothing happens but what a test steps.
pub(crate) struct Sending<'a> {
    world: &'a World,
    projector: Projector,
    dispatcher: Dispatcher,
    mails: Arc<Mutex<Vec<Email>>>,
}

impl<'a> Sending<'a> {
    /// The provider takes every mail.
    pub(crate) async fn start(world: &'a World) -> Self {
        Self::start_with(world, |_| Outcome::Accepted { detail: String::new() }).await
    }

    pub(crate) async fn start_with(
        world: &'a World,
        answer: impl Fn(&Email) -> Outcome + Send + Sync + 'static,
    ) -> Self {
        Self::start_as(world, answer, DispatchOptions::default()).await
    }

    pub(crate) async fn start_as(
        world: &'a World,
        answer: impl Fn(&Email) -> Outcome + Send + Sync + 'static,
        options: DispatchOptions,
    ) -> Self {
        let mails: Arc<Mutex<Vec<Email>>> = Arc::default();
        let seen = Arc::clone(&mails);
        let transport = EmailTransport::simulated(move |mail| {
            seen.lock().unwrap().push(mail.clone());
            answer(mail)
        });
        let engine = world.server.engine.clone();
        let stop = CancellationToken::new();
        let dispatcher = Dispatcher::new(engine.clone(), Lane::Campaign, transport, options, stop);
        Self { world, projector: Projector::open(engine).await.unwrap(), dispatcher, mails }
    }

    pub(crate) async fn project(&mut self) {
        while self.projector.step().await.unwrap() == Step::Progress {}
    }

    /// Puts endpoints where `UpdateEndpoint` would.
    pub(crate) async fn register<'b>(
        &mut self,
        app: &str,
        endpoints: impl IntoIterator<Item = (&'b str, Value)>,
    ) {
        let endpoints: Vec<_> = endpoints.into_iter().map(|(id, json)| (id, json.to_string())).collect();
        let items = endpoints.iter().map(|(id, json)| EndpointItem { id, json }).collect();
        let body = Body::Endpoints { items };
        let record = Record { account: ACCOUNT, app, request_id: "r", body };
        self.world.server.engine.append(&app_key(app), &record).await.unwrap();
        self.project().await;
    }

    /// Carries out what is due now; false: nothing was.
    pub(crate) async fn due(&mut self) -> bool {
        due::step(&self.world.server.engine).await.unwrap() == due::Next::Progress
    }

    /// Claims once and hands over; false: there was nothing.
    pub(crate) async fn dispatch(&mut self) -> bool {
        let dispatch::Next::Claim(claim) = self.dispatcher.step().await.unwrap() else { return false };
        dispatch::send(&self.dispatcher.sender(), *claim).await.unwrap();
        true
    }

    /// Until there is nothing to do at this time; answers the mails of it, in order of their addresses.
    pub(crate) async fn settle(&mut self) -> Vec<Email> {
        loop {
            self.project().await;
            if !(self.due().await || self.dispatch().await) {
                break;
            }
        }
        let mut mails = std::mem::take(&mut *self.mails.lock().unwrap());
        mails.sort_by(|one, other| one.to.cmp(&other.to));
        mails
    }
}

pub(crate) fn app_key(app: &str) -> AppKey {
    AppKey { account: ACCOUNT.into(), app: app.into() }
}

/// An endpoint that can be mailed.
pub(crate) fn mailbox(address: &str) -> Value {
    json!({"Address": address, "ChannelType": "EMAIL"})
}

/// A call of Pinpoint; the answer's status and document.
pub(crate) async fn call(world: &World, method: &str, target: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = world.call(method, &format!("/v1/{target}")).body(body).send().await;
    (answer.status, answer.json())
}

/// A call that must succeed.
pub(crate) async fn done(world: &World, method: &str, target: &str, body: &Value) -> Value {
    let (status, answer) = call(world, method, target, body).await;
    assert!(status < 300, "{method} {target}: {status} {answer}");
    answer
}

/// An application whose email channel is enabled, and a segment of everybody.
pub(crate) async fn shop(world: &World) -> (String, String) {
    let app = world.app("shop").await;
    let channel = json!({"FromAddress": "shop@example.com", "Identity": "arn:aws:ses:x"});
    done(world, "PUT", &format!("apps/{app}/channels/email"), &channel).await;
    let segment = done(world, "POST", &format!("apps/{app}/segments"), &json!({"Name": "everybody"})).await;
    let id = segment["Id"].as_str().unwrap().to_owned();
    (app, id)
}

/// A campaign that mails at once, with other members over it.
pub(crate) fn campaign(segment: &str, changes: Value) -> Value {
    let mut document = json!({
        "Name": "news", "SegmentId": segment, "Schedule": {"StartTime": "IMMEDIATE"},
        "MessageConfiguration": {"EmailMessage": {"Title": "t", "HtmlBody": "<p>h</p>"}},
    });
    let Value::Object(changes) = changes else { panic!("changes are an object") };
    document.as_object_mut().unwrap().extend(changes);
    document
}
