//! A server on a port of its own, over stores in memory and a clock that stands still; and two clients for it.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use api::policy::Policy;
use api::secrets::{AccessKey, MasterKey, Secret};
use api::sigv4::{PathStyle, Signer, payload_hash};
use api::{Options, Server, access_key_row};
use aws_sdk_pinpoint::Client;
use aws_sdk_pinpoint::config::retry::RetryConfig;
use aws_sdk_pinpoint::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_pinpoint::types::CreateApplicationRequest;
use aws_smithy_async::time::StaticTimeSource;
use domain::ids::AccountId;
use domain::time::Timestamp;
use engine::Engine;
use engine::due::Next;
use engine::jobs;
use engine::objects::Objects;
use engine::project::{ProjectError, Projector, Step};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use store::kv::faults::{Fault, FaultPlan, FaultyKv};
use store::kv::memory::MemoryKv;
use store::log::contract::{ManualClock, manual_context};
use store::log::memory::MemoryLog;
use store::tables::accounts::access_key_key;
use store::value::encode;
use store::{Batch, Clock as _, Durability, Kv};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const ACCOUNT: &str = "123456789012";
pub(crate) const REGION: &str = "eu-central-1";
pub(crate) const ROOT_KEY: &str = "CPKAROOT";
pub(crate) const SECRET: &str = "a secret that only tests know";
const MASTER_KEY: [u8; 32] = [7; 32];

/// A running server.
pub(crate) struct World {
    pub(crate) address: String,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) kv: Arc<MemoryKv>,
    /// What the server sees of `kv`.
    pub(crate) faults: Arc<FaultyKv>,
    pub(crate) server: Arc<Server>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) served: JoinHandle<()>,
    /// Where the objects of jobs are, if there is such a place.
    objects: Option<TempDir>,
}

impl World {
    /// Without throttling.
    pub(crate) async fn start() -> Self {
        Self::start_with(Options { throttle_scale: None, ..Options::default() }, |server| server).await
    }

    pub(crate) async fn start_with(options: Options, add: impl FnOnce(Server) -> Server) -> Self {
        Self::start_in(None, options, add).await
    }

    /// Without throttling, and with a place for the objects of jobs.
    pub(crate) async fn start_with_objects() -> Self {
        let objects = TempDir::new().unwrap();
        Self::start_in(Some(objects), Options { throttle_scale: None, ..Options::default() }, |server| server)
            .await
    }

    pub(crate) async fn start_in(
        objects: Option<TempDir>,
        options: Options,
        add: impl FnOnce(Server) -> Server,
    ) -> Self {
        let (context, clock) = manual_context();
        let kv = Arc::new(MemoryKv::new());
        let log = Arc::new(MemoryLog::new(context.clone(), 1));
        let faults = Arc::new(FaultyKv::new(Arc::<MemoryKv>::clone(&kv), FaultPlan::none()));
        let place = objects.as_ref().map_or(Objects::None, |place| Objects::Directory(place.path().into()));
        let engine = Engine::with_objects(context, Arc::<FaultyKv>::clone(&faults), log, place);
        let server = Arc::new(add(Server::new(engine, MasterKey::new(&MASTER_KEY), options)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shutdown = CancellationToken::new();
        let served = tokio::spawn(api::serve(listener, Arc::clone(&server), shutdown.clone()));
        let world = Self { address, clock, kv, faults, server, shutdown, served, objects };
        world.put_key(ROOT_KEY, ACCOUNT, None, false).await;
        world
    }

    /// Where the object of a URL is.
    pub(crate) fn object(&self, url: &str) -> PathBuf {
        let place = self.objects.as_ref().expect("the world was started with objects");
        place.path().join(url.strip_prefix("s3://").unwrap())
    }

    /// Projects the log in the background, as long as the answer lives.
    pub(crate) fn projecting(&self) -> Background {
        let engine = self.server.engine.clone();
        Background(tokio::spawn(async move {
            let Err(fault) = project(&engine).await;
            panic!("{fault:?}");
        }))
    }

    /// Carries out every job that is due, and projects the log meanwhile.
    pub(crate) async fn run_jobs(&self) {
        let stop = CancellationToken::new();
        let engine = &self.server.engine;
        tokio::select! {
            () = async { while jobs::step(engine, &stop).await.unwrap() == Next::Progress {} } => {}
            fault = project(engine) => panic!("{fault:?}"),
        }
    }

    /// The next commits of the server meet these faults.
    pub(crate) fn fail_next(&self, faults: impl IntoIterator<Item = Fault>) {
        let mut plan = FaultPlan::none();
        for (fault, commit) in faults.into_iter().zip(self.faults.commits() + 1..) {
            plan = plan.at(commit, fault);
        }
        self.faults.set_plan(plan);
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn advance(&self, duration: Duration) {
        self.clock.set(self.now().plus(duration));
    }

    /// Adds or changes an access key, of which every one has the same secret.
    pub(crate) async fn put_key(&self, id: &str, account: &str, policy: Option<&str>, disabled: bool) {
        let master_key = MasterKey::new(&MASTER_KEY);
        let key = AccessKey { id: id.to_owned(), secret: Secret::new(SECRET) };
        let policy = policy.map(|document| Policy::parse(document).unwrap());
        let owner = (&AccountId::new(account), "tester");
        let mut row = access_key_row(&master_key, &key, owner, policy.as_ref(), self.now()).unwrap();
        row.disabled = disabled;
        let mut batch = Batch::default();
        batch.put(access_key_key(id), encode(&row));
        self.kv.commit(batch, Durability::Durable).await.unwrap();
        self.server.forget_access_key(id);
    }

    /// AWS's SDK for Rust, with the root key.
    pub(crate) fn sdk(&self) -> Client {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(self.now().0 as u64);
        let config = aws_sdk_pinpoint::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(format!("http://{}", self.address))
            .region(Region::new(REGION))
            .credentials_provider(Credentials::new(ROOT_KEY, SECRET, None, None, "test"))
            .time_source(StaticTimeSource::new(now))
            .retry_config(RetryConfig::disabled())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        Client::from_conf(config)
    }

    /// Makes an application, and answers its id.
    pub(crate) async fn app(&self, name: &str) -> String {
        let request = CreateApplicationRequest::builder().name(name).build();
        let output = self.sdk().create_app().create_application_request(request).send().await.unwrap();
        output.application_response.unwrap().id.unwrap()
    }

    /// A request by hand, signed with the root key unless it says otherwise.
    pub(crate) fn call<'a>(&'a self, method: &'a str, target: &'a str) -> Call<'a> {
        let signed =
            Some(Signed { key: ROOT_KEY, secret: SECRET, service: "mobiletargeting", at: self.now() });
        Call { world: self, method, target, headers: HeaderMap::new(), body: Vec::new(), signed }
    }

    /// Sends bytes as they are, and reads until the server closes.
    pub(crate) async fn exchange(&self, request: &[u8]) -> Response {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        stream.write_all(request).await.unwrap();
        Response::read(&mut stream).await
    }
}

/// A task that ends with the test.
pub(crate) struct Background(pub(crate) JoinHandle<()>);

impl Drop for Background {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Folds the log as it grows.
async fn project(engine: &Engine) -> Result<Infallible, ProjectError> {
    let mut projector = Projector::open(engine.clone()).await?;
    loop {
        if projector.step().await? == Step::Idle {
            projector.wait().await?;
        }
    }
}

/// How a request is signed.
struct Signed<'a> {
    key: &'a str,
    secret: &'a str,
    service: &'a str,
    at: Timestamp,
}

/// A request on its way.
pub(crate) struct Call<'a> {
    world: &'a World,
    method: &'a str,
    /// Path and query, as they are sent.
    target: &'a str,
    headers: HeaderMap,
    body: Vec<u8>,
    signed: Option<Signed<'a>>,
}

impl<'a> Call<'a> {
    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        self
    }

    pub(crate) fn unsigned(mut self) -> Self {
        self.signed = None;
        self
    }

    pub(crate) fn key(mut self, key: &'a str) -> Self {
        self.signed.as_mut().unwrap().key = key;
        self
    }

    pub(crate) fn secret(mut self, secret: &'a str) -> Self {
        self.signed.as_mut().unwrap().secret = secret;
        self
    }

    pub(crate) fn service(mut self, service: &'a str) -> Self {
        self.signed.as_mut().unwrap().service = service;
        self
    }

    pub(crate) fn at(mut self, at: Timestamp) -> Self {
        self.signed.as_mut().unwrap().at = at;
        self
    }

    pub(crate) async fn send(self) -> Response {
        let world = self.world;
        world.exchange(&self.bytes()).await
    }

    /// The request as it is sent; the connection closes behind the answer.
    pub(crate) fn bytes(mut self) -> Vec<u8> {
        self.headers.insert("host", HeaderValue::from_str(&self.world.address).unwrap());
        if let Some(signed) = &self.signed {
            let signer = Signer {
                access_key_id: signed.key,
                secret: &Secret::new(signed.secret),
                security_token: None,
                region: REGION,
                service: signed.service,
                path_style: PathStyle::Normalised,
            };
            let (path, query) = self.target.split_once('?').unwrap_or((self.target, ""));
            let hash = payload_hash(&self.body);
            signer.sign((self.method, path, query), &mut self.headers, &hash, signed.at).unwrap();
        }
        let headers =
            self.headers.iter().map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap()));
        let headers: String = headers.collect();
        let length = self.body.len();
        let request = format!(
            "{} {} HTTP/1.1\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n",
            self.method, self.target
        );
        let mut request = request.into_bytes();
        request.extend_from_slice(&self.body);
        request
    }
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Response {
    pub(crate) async fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP answer: {text:?}"));
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Self { status, headers, body: body.to_owned() }
    }

    /// The header of this name, in lower case; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|fault| panic!("{fault}: {self:?}"))
    }

    /// Asserts that this is an error of Pinpoint: status, code in the header, text, and the request's id in both places.
    #[track_caller]
    pub(crate) fn assert_error(&self, status: u16, code: &str, message: &str) {
        let request_id = self.header("x-amzn-requestid");
        assert_eq!(request_id.len(), 36, "{self:?}");
        let expected = serde_json::json!({"Message": message, "RequestID": request_id});
        let actual = (self.status, self.header("x-amzn-errortype"), self.json());
        assert_eq!(actual, (status, code, expected));
        assert_eq!(self.header("content-type"), "application/json");
        assert_eq!(self.header("access-control-allow-origin"), "*");
    }
}
