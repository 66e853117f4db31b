//! Mail through a server that is not ours: aiosmtpd, delivering to a Maildir.

use std::path::Path;
use std::process::Stdio;

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
