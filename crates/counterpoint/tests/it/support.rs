//! A running server, and what tests need around it.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::secrets::Secret;
use api::sigv4::{PathStyle, Signer, payload_hash};
use aws_sdk_pinpoint::Client;
use aws_sdk_pinpoint::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_pinpoint::types::{
    ActivityResponse, CampaignEmailMessage, ChannelType, CreateApplicationRequest, EmailChannelRequest,
    EndpointBatchItem, EndpointBatchRequest, MessageConfiguration, Schedule, WriteCampaignRequest,
    WriteSegmentRequest,
};
use domain::time::Timestamp;
use hyper::HeaderMap;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

pub(crate) const ACCESS_KEY_ID: &str = "CPKATESTTESTTESTTEST";
pub(crate) const SECRET_ACCESS_KEY: &str = "a-secret-that-only-tests-know";
pub(crate) const ACCOUNT: &str = "000123456789";
const REGION: &str = "eu-west-1";

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_mins(1);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The binary on a directory, running or not.
pub(crate) struct World {
    home: Arc<TempDir>,
    settings: Vec<(String, String)>,
}

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    /// Lasts as long as the process that writes to it: a world of one statement ends with it.
    _home: Arc<TempDir>,
}

impl World {
    pub(crate) fn new() -> Self {
        let home = TempDir::new().unwrap();
        let directory = |name: &str| home.path().join(name).display().to_string();
        let settings = [
            ("SERVER__LISTEN", "127.0.0.1:0".to_owned()),
            ("SERVER__DATA_DIR", directory("data")),
            ("OBJECTS__DIRECTORY", directory("objects")),
            ("AUTH__ACCOUNT_ID", ACCOUNT.to_owned()),
            ("AUTH__ROOT_ACCESS_KEY_ID", ACCESS_KEY_ID.to_owned()),
            ("AUTH__ROOT_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY.to_owned()),
            ("TELEMETRY__LEVEL", "warn".to_owned()),
        ];
        let settings = settings.map(|(key, value)| (format!("COUNTERPOINT_{key}"), value));
        Self { home: Arc::new(home), settings: settings.to_vec() }
    }

    /// With a key of the configuration, written as in `EMAIL__TRANSPORT`.
    pub(crate) fn with(mut self, key: &str, value: &str) -> Self {
        let name = format!("COUNTERPOINT_{key}");
        self.settings.retain(|(known, _)| *known != name);
        self.settings.push((name, value.to_owned()));
        self
    }

    /// Sets a variable of the server's environment.
    pub(crate) fn set(&mut self, name: &str, value: &Path) {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.display().to_string()));
    }

    /// With a configuration file of this text.
    pub(crate) fn with_file(mut self, text: &str) -> Self {
        let path = self.path("counterpoint.toml");
        std::fs::write(&path, text).unwrap();
        self.settings.push(("COUNTERPOINT_CONFIG".to_owned(), path.display().to_string()));
        self
    }

    /// Without a key that tests set.
    pub(crate) fn without(mut self, key: &str) -> Self {
        self.settings.retain(|(known, _)| *known != format!("COUNTERPOINT_{key}"));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_counterpoint"));
        for (name, value) in &self.settings {
            command.env(name, value);
        }
        command.kill_on_drop(true);
        command
    }

    /// Starts `serve`, and waits for nothing.
    pub(crate) fn start(&self) -> Child {
        self.command().arg("serve").stdout(Stdio::piped()).spawn().unwrap()
    }

    /// Starts `serve` and waits for its readiness line.
    pub(crate) async fn serve(&self) -> Server {
        self.serve_and_read().await.0
    }

    /// The same, and what it printed before.
    pub(crate) async fn serve_and_read(&self) -> (Server, Vec<String>) {
        let mut child = self.start();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut printed = Vec::new();
        loop {
            let line = lines.next_line().await.unwrap().expect("the server ended before it was ready");
            if let Some(address) = line.strip_prefix("listening on http://") {
                let server = Server { child, address: address.to_owned(), _home: Arc::clone(&self.home) };
                return (server, printed);
            }
            printed.push(line);
        }
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = self.command();
        command.args(arguments).envs(variables.iter().copied()).stdin(Stdio::null());
        command.output().await.unwrap()
    }

    /// What a command that must succeed prints.
    pub(crate) async fn printed(&self, arguments: &[&str], variables: &[(&str, &str)]) -> String {
        let output = self.run(arguments, variables).await;
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a command that must fail complains of.
    pub(crate) async fn complaint(&self, arguments: &[&str], variables: &[(&str, &str)]) -> String {
        let output = self.run(arguments, variables).await;
        assert!(!output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

impl Server {
    pub(crate) fn sdk(&self) -> Client {
        self.sdk_of(ACCESS_KEY_ID, SECRET_ACCESS_KEY)
    }

    pub(crate) fn sdk_of(&self, access_key_id: &str, secret_access_key: &str) -> Client {
        let config = aws_sdk_pinpoint::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(format!("http://{}", self.address))
            .region(Region::new(REGION))
            .credentials_provider(Credentials::new(access_key_id, secret_access_key, None, None, "test"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        Client::from_conf(config)
    }

    /// A call of our own API, or of the pages that need no signature: status and body.
    pub(crate) async fn call(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        self.call_as("counterpoint", method, path, body).await
    }

    /// The same, signed for a service.
    pub(crate) async fn call_as(&self, service: &str, method: &str, path: &str, body: &str) -> (u16, String) {
        self.try_call_as(service, method, path, body).await.unwrap()
    }

    /// The same; `None` if the server is gone before it has answered.
    pub(crate) async fn try_call_as(
        &self,
        service: &str,
        method: &str,
        path: &str,
        body: &str,
    ) -> Option<(u16, String)> {
        let mut headers = HeaderMap::new();
        headers.insert("host", self.address.parse().unwrap());
        let secret = Secret::new(SECRET_ACCESS_KEY);
        let signer = Signer {
            access_key_id: ACCESS_KEY_ID,
            secret: &secret,
            security_token: None,
            region: REGION,
            service,
            path_style: PathStyle::Normalised,
        };
        let (bare, query) = path.split_once('?').unwrap_or((path, ""));
        signer.sign((method, bare, query), &mut headers, &payload_hash(body.as_bytes()), now()).unwrap();
        let headers = headers.iter().map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap()));
        let head: String = headers.collect();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\n{head}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        let mut stream = TcpStream::connect(&self.address).await.ok()?;
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call("GET", path, "").await;
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Waits until the projection has folded all that was acknowledged.
    pub(crate) async fn settled(&self) {
        until("the projection reaches the end of the log", async || {
            let status = self.get("/status").await;
            status["projection"]["behind"] == 0
        })
        .await;
    }

    /// SIGKILL: as if the machine lost power, but for what the kernel still writes.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// The same, of a server that others use too.
    pub(crate) fn kill_at_once(&self) {
        let id = self.child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-KILL", &id]).status().unwrap().success());
    }

    /// SIGTERM, and the end that follows it.
    pub(crate) async fn stop(mut self) {
        let id = self.child.id().unwrap().to_string();
        Command::new("kill").args(["-TERM", &id]).status().await.unwrap();
        assert!(self.child.wait().await.unwrap().success());
    }
}

/// Looks until it is so; fails after a minute.
pub(crate) async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < PATIENCE, "in vain: {what}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "the server under test has the machine's clock")]
fn now() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp(since_epoch.as_millis() as i64)
}

/// An application with an email channel.
pub(crate) async fn app(sdk: &Client) -> String {
    let request = CreateApplicationRequest::builder().name("test").build();
    let output = sdk.create_app().create_application_request(request).send().await.unwrap();
    let app = output.application_response.unwrap().id.unwrap();
    let channel = EmailChannelRequest::builder()
        .from_address("Shop <shop@example.com>")
        .identity("arn:aws:ses:eu-west-1:000123456789:identity/example.com")
        .build();
    sdk.update_email_channel().application_id(&app).email_channel_request(channel).send().await.unwrap();
    app
}

/// Endpoints `person-<number>` with addresses `person-<number>@example.com`.
pub(crate) async fn people(sdk: &Client, app: &str, count: usize) {
    let numbers: Vec<usize> = (0..count).collect();
    for chunk in numbers.chunks(100) {
        let item = |number: &usize| {
            EndpointBatchItem::builder()
                .id(format!("person-{number}"))
                .channel_type(ChannelType::Email)
                .address(format!("person-{number}@example.com"))
                .attributes("shard", vec![format!("s{}", number % 2)])
                .build()
        };
        let request =
            EndpointBatchRequest::builder().set_item(Some(chunk.iter().map(item).collect())).build();
        sdk.update_endpoints_batch()
            .application_id(app)
            .endpoint_batch_request(request)
            .send()
            .await
            .unwrap();
    }
}

/// A campaign to everybody that starts at once.
pub(crate) async fn campaign(sdk: &Client, app: &str) -> String {
    campaign_named(sdk, app, "News for {{Attributes.shard}}").await
}

/// The same, with this subject.
pub(crate) async fn campaign_named(sdk: &Client, app: &str, subject: &str) -> String {
    let segment = WriteSegmentRequest::builder().name("everybody").build();
    let output =
        sdk.create_segment().application_id(app).write_segment_request(segment).send().await.unwrap();
    let segment = output.segment_response.unwrap().id.unwrap();
    let email = CampaignEmailMessage::builder()
        .title(subject)
        .body("Hello {{Address}}")
        .html_body("<p>Hello {{Address}}</p>")
        .build();
    let request = WriteCampaignRequest::builder()
        .name("news")
        .segment_id(segment)
        .schedule(Schedule::builder().start_time("IMMEDIATE").build())
        .message_configuration(MessageConfiguration::builder().email_message(email).build())
        .build();
    let output =
        sdk.create_campaign().application_id(app).write_campaign_request(request).send().await.unwrap();
    output.campaign_response.unwrap().id.unwrap()
}

/// The activity of a campaign once it has ended.
pub(crate) async fn ended(sdk: &Client, app: &str, campaign: &str) -> ActivityResponse {
    let activity = async || {
        let output =
            sdk.get_campaign_activities().application_id(app).campaign_id(campaign).send().await.unwrap();
        let items = output.activities_response.unwrap().item.unwrap_or_default();
        items.into_iter().find(|activity| activity.state.as_deref() == Some("COMPLETED"))
    };
    until("the campaign ends", async || activity().await.is_some()).await;
    activity().await.unwrap()
}

/// A counter of an activity.
pub(crate) fn metric(activity: &ActivityResponse, name: &str) -> u64 {
    let metrics = activity.execution_metrics.as_ref();
    metrics.and_then(|metrics| metrics.get(name)).map_or(0, |count| count.parse().unwrap())
}

/// A Python program beside these tests.
pub(crate) fn python(script: &str) -> Command {
    let mut command = Command::new("python3");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(script));
    if let Some(path) = std::env::var_os("COUNTERPOINT_TEST_PYTHONPATH") {
        command.env("PYTHONPATH", path);
    }
    command.kill_on_drop(true);
    command
}
