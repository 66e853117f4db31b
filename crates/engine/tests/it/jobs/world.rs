//! An engine with a directory of objects, and a projector that runs while a job does.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::sync::Arc;

use domain::audience::AppKey;
use domain::endpoints::document;
use domain::ids::{EndpointId, SegmentId};
use domain::jobs::{ExportDocument, ImportDocument};
use domain::records::{Body, EndpointItem, Record};
use domain::segments::{Document, ImportOrigin};
use engine::jobs::{self, JobError, Kind, Outcome};
use engine::objects::Objects;
use engine::project::{Projector, Step};
use engine::segments::select;
use engine::{Engine, reads};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use store::kv::memory::MemoryKv;
use store::log::contract::manual_context;
use store::log::memory::MemoryLog;
use store::tables::definitions;
use store::tables::jobs::{JobState, state_key};
use store::value::decode;
use store::{Batch, Context, Durability, Key, Kv, Log, Table};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub(crate) struct World {
    pub context: Context,
    pub kv: Arc<MemoryKv>,
    pub log: Arc<MemoryLog>,
    pub objects: TempDir,
    pub engine: Engine,
}

pub(crate) fn app(name: &str) -> AppKey {
    AppKey { account: "123456789012".into(), app: name.into() }
}

impl World {
    pub(crate) fn new() -> Self {
        let (context, _) = manual_context();
        let kv = Arc::new(MemoryKv::new());
        let log = Arc::new(MemoryLog::new(context.clone(), 1));
        let objects = TempDir::new().unwrap();
        let store = Objects::Directory(objects.path().to_owned());
        let engine = Engine::with_objects(
            context.clone(),
            Arc::<MemoryKv>::clone(&kv),
            Arc::<MemoryLog>::clone(&log),
            store,
        );
        Self { context, kv, log, objects, engine }
    }

    /// Another process over the same directory, or wrappers of its stores.
    pub(crate) fn restarted(&self, kv: Arc<dyn Kv>, log: Arc<dyn Log>) -> Engine {
        let store = Objects::Directory(self.objects.path().to_owned());
        Engine::with_objects(self.context.clone(), kv, log, store)
    }

    pub(crate) fn object(&self, name: &str, bytes: &[u8]) {
        let path = self.objects.path().join("bucket").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Makes an import as `CreateImportJob` does; with a segment of the same name unless it says otherwise.
    pub(crate) async fn import(&self, app: &AppKey, job: &str, definition: Value) -> String {
        let mut definition = definition;
        let mut batch = Batch::default();
        let now = self.context.now();
        let defines = definition["DefineSegment"] != json!(false);
        definition["RoleArn"] = json!("arn:aws:iam::1:role/r");
        if defines {
            definition["SegmentId"] = json!(job);
            let origin = ImportOrigin { job: job.to_owned(), ..ImportOrigin::default() };
            let segment = Document { import: Some(origin), ..Document::default() };
            let segment = serde_json::to_string(&segment).unwrap();
            definitions::segments(app.account.as_str(), app.app.as_str()).create(
                &mut batch,
                job,
                segment,
                BTreeMap::new(),
                now,
            );
        }
        let document = ImportDocument {
            definition: serde_json::from_value(definition).unwrap(),
            segment_version: defines.then_some(1),
        };
        let document = serde_json::to_string(&document).unwrap();
        jobs::create(&mut batch, app, Kind::Import, job, document, now);
        self.kv.commit(batch, Durability::Durable).await.unwrap();
        job.to_owned()
    }

    pub(crate) async fn export(&self, app: &AppKey, job: &str, prefix: &str, segment: Option<&str>) {
        let mut definition = json!({"RoleArn": "r", "S3UrlPrefix": prefix});
        if let Some(segment) = segment {
            definition["SegmentId"] = json!(segment);
        }
        let document = ExportDocument { definition: serde_json::from_value(definition).unwrap() };
        let mut batch = Batch::default();
        let document = serde_json::to_string(&document).unwrap();
        jobs::create(&mut batch, app, Kind::Export, job, document, self.context.now());
        self.kv.commit(batch, Durability::Durable).await.unwrap();
    }

    /// Makes and carries out an import.
    pub(crate) async fn imported(&self, app: &AppKey, job: &str, definition: Value) -> JobState {
        self.import(app, job, definition).await;
        let stop = CancellationToken::new();
        let run = jobs::run_import(&self.engine, app, job, &stop);
        assert_eq!(projecting(&self.engine, run).await.unwrap(), Outcome::Ended);
        self.state(app, Kind::Import, job).await
    }

    pub(crate) async fn exported(
        &self,
        app: &AppKey,
        job: &str,
        prefix: &str,
        segment: Option<&str>,
    ) -> JobState {
        self.export(app, job, prefix, segment).await;
        let ended = jobs::run_export(&self.engine, app, job, &CancellationToken::new()).await;
        assert_eq!(ended.unwrap(), Outcome::Ended);
        self.state(app, Kind::Export, job).await
    }

    pub(crate) async fn state(&self, app: &AppKey, kind: Kind, job: &str) -> JobState {
        let row = self.kv.get(&state_key(app, kind.as_str(), job)).await.unwrap().unwrap();
        decode(&row.value).unwrap()
    }

    /// Folds all that is on the log.
    pub(crate) async fn project(&self) {
        let mut projector = Projector::open(self.engine.clone()).await.unwrap();
        while projector.step().await.unwrap() == Step::Progress {}
    }

    pub(crate) async fn put_endpoint(&self, app: &AppKey, id: &str, json: &Value) {
        let json = json.to_string();
        let items = vec![EndpointItem { id, json: &json }];
        let record = Record {
            account: app.account.as_str(),
            app: app.app.as_str(),
            request_id: "r",
            body: Body::Endpoints { items },
        };
        self.engine.append(app, &record).await.unwrap();
        self.project().await;
    }

    /// An endpoint as the wire shows it.
    pub(crate) async fn endpoint(&self, app: &AppKey, id: &str) -> Option<Value> {
        let folded = EndpointId::new(id).folded();
        let (endpoint, user) = reads::endpoint(&*self.kv, app, &folded).await.unwrap()?;
        Some(document(&app.app, &endpoint, user.as_ref()))
    }

    /// How many members an imported segment has.
    pub(crate) async fn members(&self, app: &AppKey, segment: &str) -> u64 {
        let now = self.context.now();
        select(&self.engine, app, &SegmentId::new(segment), None, now).await.unwrap().len()
    }

    /// Every row that is not about how far somebody is.
    pub(crate) fn rows(&self) -> BTreeMap<Key, Vec<u8>> {
        let is_state = |key: &Key| {
            let tag = key.as_bytes()[0];
            tag != Table::Meta as u8 && tag != Table::Due as u8
        };
        self.kv.snapshot().into_iter().filter(|(key, _)| is_state(key)).collect()
    }
}

/// Carries a job out while the log is projected. A projector that fails ends it too.
pub(crate) async fn projecting(
    engine: &Engine,
    job: impl Future<Output = Result<Outcome, JobError>>,
) -> Result<Outcome, String> {
    let project = async {
        let mut projector = Projector::open(engine.clone()).await.map_err(|fault| fault.to_string())?;
        loop {
            if projector.step().await.map_err(|fault| fault.to_string())? == Step::Idle {
                projector.wait().await.map_err(|fault| fault.to_string())?;
            }
        }
    };
    tokio::select! {
        outcome = job => outcome.map_err(|fault| fault.to_string()),
        fault = project => fault,
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A CSV file of new endpoints, from number `from` on.
pub(crate) fn csv(from: usize, count: usize) -> String {
    let mut text = "ChannelType,Address,Location.Country,Attributes.Ride,Attributes.Ride\n".to_owned();
    for number in from..from + count {
        text.push_str("EMAIL,e");
        text.push_str(&number.to_string());
        text.push_str("@example.com,DE,\"Bus, fast\",Train\n");
    }
    text
}
