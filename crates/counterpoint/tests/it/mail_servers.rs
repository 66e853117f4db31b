//! Mail through a server that is not ours: aiosmtpd, delivering to a Maildir.

use std::path::Path;
use std::process::Stdio;

use aws_sdk_pinpoint::types::{
    AddressConfiguration, ChannelType, DirectMessageConfiguration, EmailMessage, MessageRequest, SimpleEmail,
    SimpleEmailPart,
};
use mail_parser::MessageParser;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use crate::support::{World, app, campaign, ended, metric, people, python};

/// A mail server that delivers to a Maildir. Starts on a port of its choice and tells it.
async fn mail_server(maildir: &Path) -> (Child, String) {
    let mut child = python("mail_server.py").arg(maildir).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap();
    let line =
        line.expect("no mail server: `cargo xtask test` fetches the Python package aiosmtpd that it needs");
    (child, line.strip_prefix("listening on ").unwrap().to_owned())
}

/// A key for Ed25519 signatures, made for this test (PKCS #8).
const DKIM_KEY: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_is_signed_and_says_where_to_unsubscribe() {
    let world = World::new();
    let (maildir, key) = (world.path("maildir"), world.path("dkim.pem"));
    std::fs::write(&key, DKIM_KEY).unwrap();
    let (_mail_server, address) = mail_server(&maildir).await;
    let world = world.with_file(&format!(
        "[email]\ntransport = \"smtp://{address}\"\nlist_unsubscribe_url = \"https://shop.example/u?d={{delivery_id}}\"\n\
         list_unsubscribe_mailto = \"unsubscribe@shop.example\"\n\
         dkim = [{{ domain = \"example.com\", selector = \"sel\", key_file = {:?} }}]\n",
        key.display().to_string()
    ));
    let server = world.serve().await;
    let sdk = server.sdk();
    let app = app(&sdk).await;
    people(&sdk, &app, 1).await;
    let campaign = campaign(&sdk, &app).await;
    ended(&sdk, &app, &campaign).await;
    // Whoever asked for a message is on no list.
    let email = SimpleEmail::builder().text_part(SimpleEmailPart::builder().data("code 123").build()).build();
    let request = MessageRequest::builder()
        .addresses(
            "one@example.com",
            AddressConfiguration::builder().channel_type(ChannelType::Email).build(),
        )
        .message_configuration(
            DirectMessageConfiguration::builder()
                .email_message(EmailMessage::builder().simple_email(email).build())
                .build(),
        )
        .build();
    sdk.send_messages().application_id(&app).message_request(request).send().await.unwrap();
    server.stop().await;

    let read = |entry: std::io::Result<std::fs::DirEntry>| std::fs::read(entry.unwrap().path()).unwrap();
    let mut mails: Vec<_> = std::fs::read_dir(maildir.join("new")).unwrap().map(read).collect();
    mails.sort_by_key(|mail| !contains(mail, "person-0@example.com"));
    let [campaign, direct] = mails.as_slice() else { panic!("{} mails", mails.len()) };
    let message = MessageParser::new().parse(campaign).unwrap();
    let header =
        |name: &str| message.header_raw(name).unwrap_or_else(|| panic!("no {name}")).replace("\r\n", "\n");
    let id = message.message_id().unwrap().split('@').next().unwrap();
    assert_eq!(
        header("List-Unsubscribe").split_whitespace().collect::<Vec<_>>(),
        [&*format!("<https://shop.example/u?d={id}>,"), "<mailto:unsubscribe@shop.example>"]
    );
    assert_eq!(header("List-Unsubscribe-Post").trim(), "List-Unsubscribe=One-Click");
    // RFC 8058 wants both under a signature.
    let signature = header("DKIM-Signature").to_lowercase();
    for part in ["a=ed25519-sha256", "d=example.com", "s=sel", "list-unsubscribe:", "list-unsubscribe-post"] {
        assert!(signature.contains(part), "{part}: {signature}");
    }
    assert!(contains(direct, "code 123") && contains(direct, "DKIM-Signature"));
    assert!(!contains(direct, "List-Unsubscribe:"), "{}", String::from_utf8_lossy(direct));
}

fn contains(mail: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(mail).contains(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_arrives_in_a_maildir() {
    let world = World::new();
    let maildir = world.path("maildir");
    let (_mail_server, address) = mail_server(&maildir).await;
    let world = world.with("EMAIL__TRANSPORT", &format!("smtp://{address}"));
    let server = world.serve().await;
    let sdk = server.sdk();
    let app = app(&sdk).await;
    people(&sdk, &app, 40).await;
    let campaign = campaign(&sdk, &app).await;
    let activity = ended(&sdk, &app, &campaign).await;
    assert_eq!(metric(&activity, "SUCCESS"), 40, "{activity:?}");

    let mut subjects = Vec::new();
    for entry in std::fs::read_dir(maildir.join("new")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let message = MessageParser::new().parse(&bytes).unwrap();
        let to = message.to().unwrap().first().unwrap().address().unwrap().to_owned();
        assert_eq!(message.body_text(0).unwrap().trim_end(), format!("Hello {to}"));
        assert_eq!(message.body_html(0).unwrap().trim_end(), format!("<p>Hello {to}</p>"));
        assert!(message.message_id().unwrap().ends_with("@example.com"));
        subjects.push((to, message.subject().unwrap().to_owned()));
    }
    subjects.sort();
    subjects.dedup();
    assert_eq!(subjects.len(), 40);
    assert!(
        subjects.contains(&("person-7@example.com".to_owned(), "News for s1".to_owned())),
        "{subjects:?}"
    );
    let found = world.printed(&["doctor"], &[]).await;
    assert!(found.contains("ok   mail"), "{found}");
    server.stop().await;
}
