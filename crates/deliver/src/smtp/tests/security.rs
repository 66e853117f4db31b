//! Encryption and credentials.

use std::io::Write;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, crypto::ring};
use tempfile::NamedTempFile;
use tokio_rustls::TlsAcceptor;

use super::*;

/// An acceptor with a certificate of its own making, and the file that makes a client trust it.
fn acceptor(name: &str) -> (TlsAcceptor, NamedTempFile) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(cert.pem().as_bytes()).unwrap();
    (TlsAcceptor::from(Arc::new(config)), file)
}

const OFFERS_TLS: &str = "250-test\r\n250-PIPELINING\r\n250 STARTTLS\r\n";
const OFFERS_AUTH: &str = "250-test\r\n250-PIPELINING\r\n250 AUTH PLAIN LOGIN\r\n";

/// What becomes of a mail sent by the URL, in which PORT and CA are filled in.
async fn outcome_of(url: &str, server: &Server, ca: &NamedTempFile) -> Outcome {
    let url = url
        .replace("PORT", &server.port().to_string())
        .replace("CA", &format!("ca_file={}", ca.path().display()));
    let mut options: SmtpOptions = url.parse().unwrap();
    options.timeouts = super::options(server).timeouts;
    SmtpClient::new(options).unwrap().send(&small()).await
}

fn start_tls(acceptor: &TlsAcceptor) -> Vec<Act> {
    let upgrade = vec![
        Act::Say("220 test\r\n"),
        Act::Expect("EHLO"),
        Act::Say(OFFERS_TLS),
        Act::Expect("STARTTLS"),
        Act::Say("220 go\r\n"),
        Act::StartTls(acceptor.clone()),
        Act::Expect("EHLO"),
        Act::Say(OFFERS_AUTH),
    ];
    [upgrade, taken()].concat()
}

#[tokio::test]
async fn start_tls_is_used_when_offered_and_the_certificate_is_checked() {
    let (acceptor, ca) = acceptor("localhost");
    for (url, expected) in [
        ("smtp://localhost:PORT?CA", "accepted"),
        ("smtp://localhost:PORT?tls=required&CA", "accepted"),
        ("smtp://localhost:PORT?tls=insecure", "accepted"),
        // Not the name in the certificate.
        ("smtp://127.0.0.1:PORT?CA", "push back"),
        // Not signed by anybody the public trusts.
        ("smtp://localhost:PORT", "push back"),
    ] {
        let server = Server::start(vec![start_tls(&acceptor)]).await;
        let outcome = outcome_of(url, &server, &ca).await;
        assert_eq!(kind(&outcome), expected, "{url}: {outcome:?}");
    }
}

#[tokio::test]
async fn what_is_required_is_not_done_without() {
    let (_, ca) = acceptor("localhost");
    let plain = || session(taken());
    for (url, expected) in [
        ("smtp://localhost:PORT?tls=required", "push back"),
        ("smtp://ann:secret@localhost:PORT", "push back"),
        ("smtp://localhost:PORT", "accepted"),
        ("smtp://localhost:PORT?tls=none", "accepted"),
    ] {
        let server = Server::start(vec![plain()]).await;
        let outcome = outcome_of(url, &server, &ca).await;
        assert_eq!(kind(&outcome), expected, "{url}: {outcome:?}");
    }
}

#[tokio::test]
async fn implicit_tls() {
    let (acceptor, ca) = acceptor("localhost");
    for (url, expected) in [
        ("smtps://localhost:PORT?CA", "accepted"),
        ("smtps://localhost:PORT?tls=insecure", "accepted"),
        ("smtps://localhost:PORT", "push back"),
    ] {
        let server =
            Server::start(vec![[vec![Act::StartTls(acceptor.clone())], session(taken())].concat()]).await;
        let outcome = outcome_of(url, &server, &ca).await;
        assert_eq!(kind(&outcome), expected, "{url}: {outcome:?}");
    }
}

/// Over TLS too: what was not wholly sent was not delivered, what was sent and not answered is unknown.
#[tokio::test]
async fn the_boundary_holds_when_encrypted() {
    let (acceptor, ca) = acceptor("localhost");
    let large = message(&b"01234567890123456789012345678901234567890123456789\r\n".repeat(250_000));
    for (act, mail, expected) in
        [(Act::SomeOfMessage, large, "transient"), (Act::Message, small(), "unknown")]
    {
        let acts = vec![Act::Group(3), Act::Say("250 ok\r\n250 ok\r\n354 go\r\n"), act];
        let server =
            Server::start(vec![[vec![Act::StartTls(acceptor.clone())], session(acts)].concat()]).await;
        let url = format!("smtps://localhost:{}?ca_file={}", server.port(), ca.path().display());
        let outcome = SmtpClient::new(url.parse().unwrap()).unwrap().send(&mail).await;
        assert_eq!(kind(&outcome), expected, "{outcome:?}");
    }
}

/// What someone in between puts behind the reply to STARTTLS must not be read as said under encryption.
#[tokio::test]
async fn plain_text_behind_start_tls_is_refused() {
    let (_, ca) = acceptor("localhost");
    let server = Server::start(vec![vec![
        Act::Say("220 test\r\n"),
        Act::Expect("EHLO"),
        Act::Say(OFFERS_TLS),
        Act::Expect("STARTTLS"),
        Act::Say("220 go\r\n250 injected\r\n"),
    ]])
    .await;
    let outcome = outcome_of("smtp://localhost:PORT?CA", &server, &ca).await;
    let Outcome::PushBack { detail, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(detail, "plain text after the reply to STARTTLS");
}

#[tokio::test]
async fn credentials_are_given_as_the_server_wants_them() {
    let (_, ca) = acceptor("localhost");
    let begin = |offer| vec![Act::Say("220 test\r\n"), Act::Expect("EHLO"), Act::Say(offer)];
    let plain = vec![Act::Expect("AUTH PLAIN AGFubgBzL2V0\r\n"), Act::Say("235 welcome\r\n")];
    let login = vec![
        Act::Expect("AUTH LOGIN\r\n"),
        Act::Say("334 VXNlcm5hbWU6\r\n"),
        Act::Expect("YW5u\r\n"),
        Act::Say("334 UGFzc3dvcmQ6\r\n"),
        Act::Expect("cy9ldA==\r\n"),
        Act::Say("235 welcome\r\n"),
    ];
    let refused = vec![Act::Expect("AUTH PLAIN"), Act::Say("535 5.7.8 no\r\n")];
    let old = "250-test\r\n250-PIPELINING\r\n250 AUTH=LOGIN\r\n";
    for (script, expected) in [
        ([begin(OFFERS_AUTH), plain, taken()].concat(), "accepted"),
        ([begin(old), login, taken()].concat(), "accepted"),
        ([begin(OFFERS_AUTH), refused].concat(), "push back"),
        (begin("250-test\r\n250 AUTH CRAM-MD5\r\n"), "push back"),
        (begin(HELLO), "push back"),
    ] {
        let server = Server::start(vec![script]).await;
        let outcome = outcome_of("smtp://ann:s%2Fet@localhost:PORT?tls=none", &server, &ca).await;
        assert_eq!(kind(&outcome), expected, "{outcome:?}");
    }
}
