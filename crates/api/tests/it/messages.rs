//! Direct messages, with a projection and a dispatcher in the background and a provider that keeps what it is given.

use std::sync::{Arc, Mutex};

use api::{Options, Quotas};
use aws_sdk_pinpoint::types::{
    AddressConfiguration, ChannelType, DefaultMessage, DeliveryStatus, DirectMessageConfiguration,
    EmailMessage, MessageRequest, SimpleEmail, SimpleEmailPart,
};
use deliver::{Email, EmailTransport, Outcome};
use engine::dispatch::{self, DispatchOptions, Dispatcher};
use serde_json::{Value, json};
use store::tables::outbox::Lane;
use tokio_util::sync::CancellationToken;

use crate::sending::{done, shop};
use crate::support::{Background, World};

/// What the provider was given.
type Mails = Arc<Mutex<Vec<Email>>>;

/// Sends direct messages in the background.
fn sending(world: &World) -> (Mails, Background) {
    let mails = Mails::default();
    let seen = Arc::clone(&mails);
    let transport = EmailTransport::simulated(move |mail| {
        seen.lock().unwrap().push(mail.clone());
        if mail.to.starts_with("bounces") {
            return Outcome::Permanent { code: Some(550), detail: "no such mailbox".to_owned() };
        }
        Outcome::Accepted { detail: "taken".to_owned() }
    });
    let engine = world.server.engine.clone();
    let (options, stop) = (DispatchOptions::default(), CancellationToken::new());
    let mut dispatcher = Dispatcher::new(engine.clone(), Lane::Transactional, transport, options, stop);
    let task = tokio::spawn(async move {
        loop {
            match dispatcher.step().await.unwrap() {
                dispatch::Next::Claim(claim) => dispatch::send(&dispatcher.sender(), *claim).await.unwrap(),
                dispatch::Next::Wait(_) => engine.queues.wait(Lane::Transactional).await,
            }
        }
    });
    (mails, Background(task))
}

/// A world with an application whose email channel is enabled.
struct Shop {
    world: World,
    app: String,
    mails: Mails,
    _background: [Background; 2],
}

impl Shop {
    async fn open() -> Self {
        let world = World::start().await;
        let (mails, sending) = sending(&world);
        let projecting = world.projecting();
        let app = world.app("shop").await;
        let channel = json!({"FromAddress": "shop@example.com", "Identity": "arn:aws:ses:x"});
        done(&world, "PUT", &format!("apps/{app}/channels/email"), &channel).await;
        Self { world, app, mails, _background: [sending, projecting] }
    }

    async fn endpoint(&self, id: &str, body: &Value) {
        done(&self.world, "PUT", &format!("apps/{}/endpoints/{id}", self.app), body).await;
    }

    async fn send(&self, request: Value) -> Value {
        done(&self.world, "POST", &format!("apps/{}/messages", self.app), &request).await
    }

    async fn send_to_users(&self, request: Value) -> Value {
        done(&self.world, "POST", &format!("apps/{}/users-messages", self.app), &request).await
    }

    async fn refusal(&self, request: &Value) -> String {
        let path = format!("/v1/apps/{}/messages", self.app);
        let answer = self.world.call("POST", &path).body(request.to_string()).send().await;
        let message = answer.json()["Message"].as_str().unwrap_or_default().to_owned();
        answer.assert_error(400, "BadRequestException", &message);
        message
    }

    /// The mails since the last look, in order of their addresses.
    fn mails(&self) -> Vec<Email> {
        let mut mails = std::mem::take(&mut *self.mails.lock().unwrap());
        mails.sort_by(|one, other| one.to.cmp(&other.to));
        mails
    }

    /// Subject and text of the only mail.
    fn mail(&self) -> (String, String) {
        let [mail] = &self.mails()[..] else { panic!("not one mail") };
        assert_eq!(mail.html, None);
        (mail.subject.clone(), mail.text.clone().unwrap())
    }
}

/// A request to one mail address.
fn to_address(configuration: &Value, message: &Value) -> Value {
    let mut address = json!({"ChannelType": "EMAIL"});
    address.as_object_mut().unwrap().extend(configuration.as_object().unwrap().clone());
    json!({ "Addresses": { "ann@example.com": address }, "MessageConfiguration": message })
}

fn email(body: &str) -> Value {
    json!({ "EmailMessage": { "SimpleEmail": { "Subject": { "Data": "s" }, "TextPart": { "Data": body } } } })
}

fn withheld(code: u16, status: &str, text: &str) -> Value {
    json!({"DeliveryStatus": status, "StatusCode": code, "StatusMessage": text})
}

#[tokio::test]
async fn a_mail_is_sent_and_its_outcome_answered() {
    let shop = Shop::open().await;
    let part = |text: &str| SimpleEmailPart::builder().data(text).build();
    let simple =
        SimpleEmail::builder().subject(part("Hi {{Name}}")).html_part(part("<p>{{Name}}</p>")).build();
    let message = EmailMessage::builder().simple_email(simple).from_address("me@example.com").build();
    let of = |name: &str| {
        let address = AddressConfiguration::builder().channel_type(ChannelType::Email);
        address.substitutions("Name", vec![name.to_owned()]).build()
    };
    let request = MessageRequest::builder()
        .addresses("ann@example.com", of("<Ann>"))
        .addresses("bounces@example.com", of("Bob"))
        .message_configuration(DirectMessageConfiguration::builder().email_message(message).build())
        .build();
    let sdk = shop.world.sdk();
    let call = sdk.send_messages().application_id(&shop.app).message_request(request).send();
    let output = Box::pin(call).await.unwrap();
    let response = output.message_response.unwrap();
    assert_eq!(response.application_id.as_ref(), Some(&shop.app));
    assert_eq!(response.endpoint_result, None);
    let results = response.result.unwrap();
    let taken = &results["ann@example.com"];
    assert_eq!(taken.delivery_status, Some(DeliveryStatus::Successful));
    assert_eq!((taken.status_code, taken.message_id.as_ref().unwrap().len()), (Some(200), 32));
    let bounced = &results["bounces@example.com"];
    assert_eq!(bounced.delivery_status, Some(DeliveryStatus::PermanentFailure));
    assert_eq!((bounced.status_code, bounced.message_id.as_ref()), (Some(400), None));
    assert_eq!(bounced.status_message.as_deref(), Some("550 no such mailbox"));

    let mails = shop.mails();
    let [mail, _] = &mails[..] else { panic!("{mails:?}") };
    assert_eq!(mail.delivery_id.as_str(), taken.message_id.as_ref().unwrap());
    assert_eq!((mail.to.as_str(), mail.from.as_str()), ("ann@example.com", "me@example.com"));
    assert_eq!((mail.subject.as_str(), mail.html.as_deref()), ("Hi <Ann>", Some("<p>&lt;Ann&gt;</p>")));
}

#[tokio::test]
async fn the_default_message_is_for_mail_too() {
    let shop = Shop::open().await;
    let default =
        DefaultMessage::builder().body("Hello {{Name}}").substitutions("Name", vec!["you".to_owned()]);
    let address = AddressConfiguration::builder().channel_type(ChannelType::Email).build();
    let request = MessageRequest::builder()
        .addresses("ann@example.com", address)
        .message_configuration(DirectMessageConfiguration::builder().default_message(default.build()).build())
        .build();
    let sdk = shop.world.sdk();
    let call = sdk.send_messages().application_id(&shop.app).message_request(request).send();
    let output = Box::pin(call).await.unwrap();
    let results = output.message_response.unwrap().result.unwrap();
    assert_eq!(results["ann@example.com"].delivery_status, Some(DeliveryStatus::Successful));
    assert_eq!(shop.mail(), (String::new(), "Hello you".to_owned()));

    // The email message overrides it, and each layer of values the one before.
    let default = json!({"Body": "default", "Substitutions": {"a": ["1"], "b": ["1"], "c": ["1"]}});
    let simple = json!({"Subject": {"Data": "s"}, "TextPart": {"Data": "{{a}}{{b}}{{c}}"}});
    let message = json!({"SimpleEmail": simple, "Substitutions": {"b": ["2"], "c": ["2"]}});
    let request = json!({"DefaultMessage": default, "EmailMessage": message});
    shop.send(to_address(&json!({"Substitutions": {"c": ["3"]}}), &request)).await;
    assert_eq!(shop.mail(), ("s".to_owned(), "123".to_owned()));
    let request = json!({"DefaultMessage": default, "EmailMessage": {"FromAddress": "me@example.com"}});
    shop.send(to_address(&json!({}), &request)).await;
    assert_eq!(shop.mail().1, "default");

    // The template's texts are sent, with the default message's values over its own.
    let template = json!({"Subject": "t{{a}}", "TextPart": "{{b}}{{c}}",
        "DefaultSubstitutions": r#"{"a":"0","b":"0","c":"0"}"#});
    done(&shop.world, "POST", "templates/mail/email", &template).await;
    let values = json!({"DefaultMessage": {"Body": "unused", "Substitutions": {"b": ["1"]}}});
    let mut request = to_address(&json!({}), &values);
    request["TemplateConfiguration"] = json!({"EmailTemplate": {"Name": "mail"}});
    shop.send(request).await;
    assert_eq!(shop.mail(), ("t0".to_owned(), "10".to_owned()));
}

#[tokio::test]
async fn what_withholds_a_message_is_told() {
    let shop = Shop::open().await;
    let mailbox = |status: &str, opt_out: &str| json!({"Address": "x@example.com", "ChannelType": "EMAIL", "EndpointStatus": status, "OptOut": opt_out});
    shop.endpoint("inactive", &mailbox("INACTIVE", "NONE")).await;
    shop.endpoint("out", &mailbox("ACTIVE", "ALL")).await;
    shop.endpoint("bare", &json!({})).await;
    shop.endpoint("unaddressed", &json!({"ChannelType": "EMAIL"})).await;
    shop.endpoint("device", &json!({"Address": "token", "ChannelType": "GCM"})).await;
    let ids = ["inactive", "OUT", "bare", "unaddressed", "device", "nobody"];
    let endpoints: serde_json::Map<_, _> = ids.iter().map(|id| ((*id).to_owned(), json!({}))).collect();
    let answer = shop.send(json!({"Endpoints": endpoints, "MessageConfiguration": email("b")})).await;
    let result = |id: &str| {
        let mut result = answer["EndpointResult"][id].clone();
        result.as_object_mut().unwrap().remove("Address");
        result
    };
    assert_eq!(result("inactive"), withheld(400, "PERMANENT_FAILURE", "Endpoint is inactive"));
    assert_eq!(result("OUT"), withheld(400, "OPT_OUT", "Endpoint is opted out"), "by the id that was sent");
    assert_eq!(result("bare"), withheld(400, "PERMANENT_FAILURE", "Missing ChannelType"));
    assert_eq!(result("unaddressed"), withheld(400, "PERMANENT_FAILURE", "Missing Address"));
    let text = "Messages to endpoints of type GCM are not supported by this version";
    assert_eq!(result("device"), withheld(400, "PERMANENT_FAILURE", text));
    assert_eq!(result("nobody"), withheld(404, "PERMANENT_FAILURE", "Endpoint not found"));
    assert_eq!(answer["EndpointResult"]["OUT"]["Address"], "x@example.com");
    assert_eq!(answer.get("Result"), None);

    let push = to_address(&json!({}), &json!({"GCMMessage": {"Body": "b"}}));
    let text = "Either template or email message must be specified";
    assert_eq!(shop.send(push).await["Result"]["ann@example.com"], withheld(400, "PERMANENT_FAILURE", text));
    done(&shop.world, "DELETE", &format!("apps/{}/channels/email", shop.app), &Value::Null).await;
    let text = format!("No channel of type EMAIL is enabled for the application {}", shop.app);
    let answer = shop.send(to_address(&json!({}), &email("b"))).await;
    assert_eq!(answer["Result"]["ann@example.com"], withheld(400, "PERMANENT_FAILURE", &text));
    assert!(shop.mails().is_empty());
}

#[tokio::test]
async fn overrides_are_templates_of_their_recipient() {
    let shop = Shop::open().await;
    let user = json!({"UserId": "u", "UserAttributes": {"Name": ["Ann"]}});
    shop.endpoint("e", &json!({"Address": "ann@example.com", "ChannelType": "EMAIL", "User": user})).await;
    let configuration = json!({"BodyOverride": "Dear {{User.UserAttributes.Name}}, {{code}}", "TitleOverride": "For {{Id}}",
        "Substitutions": {"code": ["4711"]}});
    let html =
        json!({"EmailMessage": {"SimpleEmail": {"Subject": {"Data": "s"}, "HtmlPart": {"Data": "<p>"}}}});
    shop.send(json!({"Endpoints": {"E": configuration}, "MessageConfiguration": html})).await;
    let expected = ("For e".to_owned(), "Dear Ann, 4711".to_owned());
    assert_eq!(shop.mail(), expected, "the text instead of the message's HTML");
    shop.send_to_users(json!({"Users": {"u": configuration}, "MessageConfiguration": html})).await;
    assert_eq!(shop.mail(), expected);
    let configuration =
        json!({"BodyOverride": "{{Address}}", "TitleOverride": "{{capitalizeFirst \"title\"}}"});
    shop.send(to_address(&configuration, &email("b"))).await;
    assert_eq!(shop.mail(), ("Title".to_owned(), "ann@example.com".to_owned()));

    // One that is no template keeps only its own recipient's message.
    let broken = json!({"ChannelType": "EMAIL", "BodyOverride": "{{#if}}"});
    let addresses = json!({"ann@example.com": {"ChannelType": "EMAIL"}, "bob@example.com": broken});
    let answer = shop.send(json!({"Addresses": addresses, "MessageConfiguration": email("b")})).await;
    let refused = &answer["Result"]["bob@example.com"];
    assert_eq!(
        (&refused["DeliveryStatus"], &refused["StatusCode"]),
        (&json!("PERMANENT_FAILURE"), &json!(400))
    );
    assert!(refused["StatusMessage"].as_str().unwrap().starts_with("BodyOverride: line 1"), "{refused}");
    assert_eq!(shop.mail().1, "b");
}

#[tokio::test]
async fn a_value_that_is_missing_is_a_blank() {
    let shop = Shop::open().await;
    let answer = shop.send(to_address(&json!({}), &email("Dear {{User.UserAttributes.Name}}!"))).await;
    assert_eq!(answer["Result"]["ann@example.com"]["DeliveryStatus"], "SUCCESSFUL");
    assert_eq!(shop.mail().1, "Dear !");
}

#[tokio::test]
async fn every_endpoint_of_a_user_is_listed() {
    let shop = Shop::open().await;
    let of_user = |address: &str, channel: &str| json!({"Address": address, "ChannelType": channel, "User": {"UserId": "u"}});
    shop.endpoint("Mail", &of_user("ann@example.com", "EMAIL")).await;
    shop.endpoint("device", &of_user("token", "APNS")).await;
    let request = |message: Value| json!({"Users": {"u": {}, "nobody": {}}, "MessageConfiguration": message});
    let answer = shop.send_to_users(request(email("b"))).await;
    assert_eq!(answer["Result"]["u"]["Mail"]["DeliveryStatus"], "SUCCESSFUL");
    assert_eq!(answer["Result"]["u"]["Mail"]["Address"], "ann@example.com");
    assert_eq!(answer["Result"]["u"]["device"]["StatusCode"], 400);
    let unknown = withheld(400, "PERMANENT_FAILURE", "No endpoints found for userId.");
    assert_eq!(answer["Result"]["nobody"]["nobody"], unknown);
    assert_eq!(shop.mail().1, "b");

    let answer = shop.send_to_users(request(json!({"APNSMessage": {"Body": "b"}}))).await;
    let text = "Either template or email message must be specified";
    assert_eq!(answer["Result"]["u"]["Mail"]["StatusMessage"], text);
    assert!(shop.mails().is_empty());
}

#[tokio::test]
async fn a_request_that_cannot_be_meant_is_refused_as_a_whole() {
    let shop = Shop::open().await;
    let addresses = |count: usize| -> Value {
        let one = |number: usize| (format!("a{number}@example.com"), json!({"ChannelType": "EMAIL"}));
        (0..count).map(one).collect::<serde_json::Map<_, _>>().into()
    };
    let to = |addresses: Value| json!({"Addresses": addresses, "MessageConfiguration": email("b")});
    assert_eq!(shop.refusal(&to(addresses(101))).await, "A request has at most 100 recipients");
    assert!(shop.refusal(&to(json!({}))).await.starts_with("No recipients"));
    assert_eq!(shop.refusal(&to(json!({"a@b.c": {}}))).await, "Missing ChannelType of address a@b.c");
    shop.refusal(&json!({"Addresses": addresses(1)})).await;
    assert!(shop.mails().is_empty());
    let answer = shop.send(to(addresses(100))).await;
    assert_eq!(answer["Result"].as_object().unwrap().len(), 100);
    assert_eq!(shop.mails().len(), 100);

    // The same mailbox twice gets one mail.
    let twice =
        json!({"ann@example.com": {"ChannelType": "EMAIL"}, "Ann@example.com": {"ChannelType": "EMAIL"}});
    let answer = shop.send(to(twice)).await;
    let mut statuses: Vec<&str> = answer["Result"]
        .as_object()
        .unwrap()
        .values()
        .map(|result| result["DeliveryStatus"].as_str().unwrap())
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, ["DUPLICATE", "SUCCESSFUL"]);
    assert_eq!(shop.mails().len(), 1);
}

#[tokio::test]
async fn a_repeat_finds_its_messages_when_they_have_filled_the_outbox() {
    let quotas = Quotas { outbox_rows: Some(1), ..Quotas::default() };
    let world = World::start_with(Options { throttle_scale: None, quotas }, |server| server).await;
    let _projecting = world.projecting();
    let (app, _) = shop(&world).await;
    let path = format!("/v1/apps/{app}/messages");
    let request = to_address(&json!({}), &email("x")).to_string();
    let send = |invocation: &str| {
        world.call("POST", &path).body(request.clone()).header("amz-sdk-invocation-id", invocation).send()
    };
    // Nobody sends until the outbox was found full.
    let fill_and_repeat = async {
        world.server.engine.queues.wait(Lane::Transactional).await;
        let refuse_another = async {
            send("other").await.assert_error(429, "TooManyRequestsException", "Too many requests");
            sending(&world)
        };
        tokio::join!(send("one"), refuse_another)
    };
    let (first, (repeat, (mails, _sending))) = tokio::join!(send("one"), fill_and_repeat);
    let result = |answer: &Value| answer["Result"]["ann@example.com"].clone();
    assert_eq!(result(&first.json())["DeliveryStatus"], "SUCCESSFUL");
    assert_eq!((repeat.status, result(&repeat.json())), (200, result(&first.json())));
    assert_eq!(mails.lock().unwrap().len(), 1);
}
