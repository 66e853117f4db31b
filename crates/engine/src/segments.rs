//! Who belongs to a segment now: the criteria asked of the audience index, an imported segment's members from the store.

use std::collections::HashMap;
use std::pin::Pin;

use domain::audience::AppKey;
use domain::endpoints::{Endpoint, User};
use domain::ids::SegmentId;
use domain::segments::{Criteria, Document, SOURCE_DEPTH_MAX, SOURCES_MAX, Source};
use domain::time::Timestamp;
use roaring::RoaringBitmap;
use store::tables::audiences::{endpoint_key, user_key};
use store::tables::definitions;
use store::tables::jobs::{JobState, Members, member_users, members, state_key};
use store::value::decode;
use store::{Key, KvError};

use crate::Engine;
use crate::audiences::each_row;
use crate::index::Selection;
use crate::jobs::Kind;

/// Rows that are read at once.
const ROWS_AT_ONCE: usize = 1_000;

/// Why an audience cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// The index is being built, or the import of the segment is not over: ask again.
    #[error("the audience is being built")]
    NotReady,
    #[error("the segment or its version does not exist")]
    Missing,
    #[error("the segment cannot be evaluated: {0}")]
    Invalid(String),
    #[error(transparent)]
    Kv(#[from] KvError),
}

/// The ordinals of a segment's members. Without a version: of its newest one.
pub async fn select(
    engine: &Engine,
    app: &AppKey,
    segment: &SegmentId,
    version: Option<u32>,
    now: Timestamp,
) -> Result<RoaringBitmap, SelectError> {
    let source = Source { segment: segment.clone(), version };
    Evaluation::new(engine, app, now).resolve(&source, SOURCE_DEPTH_MAX).await
}

/// The ordinals that meet criteria which are no segment yet: what a console counts while somebody types.
pub async fn select_criteria(
    engine: &Engine,
    app: &AppKey,
    criteria: &Criteria,
    now: Timestamp,
) -> Result<RoaringBitmap, SelectError> {
    Evaluation::new(engine, app, now).evaluate(criteria, SOURCE_DEPTH_MAX).await
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The evaluation of one segment: each segment that it is built on, in whatever way, is evaluated once.
struct Evaluation<'a> {
    engine: &'a Engine,
    app: &'a AppKey,
    now: Timestamp,
    known: HashMap<Source, RoaringBitmap>,
}

impl<'a> Evaluation<'a> {
    fn new(engine: &'a Engine, app: &'a AppKey, now: Timestamp) -> Self {
        Self { engine, app, now, known: HashMap::new() }
    }

    fn resolve<'b>(
        &'b mut self,
        source: &'b Source,
        depth: usize,
    ) -> Boxed<'b, Result<RoaringBitmap, SelectError>> {
        Box::pin(async move {
            let Some(depth) = depth.checked_sub(1) else {
                return Err(SelectError::Invalid("segments are built on each other too deep".to_owned()));
            };
            let (engine, app) = (self.engine, self.app);
            let definitions = definitions::segments(app.account.as_str(), app.app.as_str());
            let id = source.segment.as_str();
            let (head, _) = definitions.head(&*engine.kv, id).await?.ok_or(SelectError::Missing)?;
            let version = source.version.unwrap_or(head.latest);
            let body = definitions.body(&*engine.kv, id, version).await?.ok_or(SelectError::Missing)?;
            let document: Document = serde_json::from_str(&body.document)
                .map_err(|error| SelectError::Invalid(error.to_string()))?;
            if let Some(origin) = &document.import {
                // Whoever asks for the members of half an import would leave the others out, and nobody would learn of it.
                if is_filling(engine, app, &origin.job).await? {
                    return Err(SelectError::NotReady);
                }
                return imported(engine, app, id, version).await;
            }
            let criteria =
                document.criteria().map_err(|invalid| SelectError::Invalid(invalid.to_string()))?;
            self.evaluate(&criteria, depth).await
        })
    }

    async fn evaluate(&mut self, criteria: &Criteria, depth: usize) -> Result<RoaringBitmap, SelectError> {
        for source in criteria.sources() {
            if !self.known.contains_key(source) {
                if self.known.len() >= SOURCES_MAX {
                    return Err(SelectError::Invalid(format!(
                        "it is built on more than {SOURCES_MAX} segments"
                    )));
                }
                let members = self.resolve(source, depth).await?;
                self.known.insert(source.clone(), members);
            }
        }
        let selected = self.engine.audiences.with(self.app, |index| {
            let members = |source: &Source| self.known.get(source);
            index.select(criteria, self.now, &members).map(Selection::into_bitmap)
        });
        match selected {
            None => Err(SelectError::NotReady),
            Some(None) => Err(SelectError::Missing),
            Some(Some(bitmap)) => Ok(bitmap),
        }
    }
}

/// Whether an import is not over. One that failed is.
async fn is_filling(engine: &Engine, app: &AppKey, job: &str) -> Result<bool, KvError> {
    let Some(row) = engine.kv.get(&state_key(app, Kind::Import.as_str(), job)).await? else {
        return Ok(false);
    };
    let state: JobState = decode(&row.value)?;
    Ok(state.completed.is_none())
}

/// Members of an imported segment: its endpoints, and all endpoints that its users have now (spec/30 §5).
async fn imported(
    engine: &Engine,
    app: &AppKey,
    segment: &str,
    version: u32,
) -> Result<RoaringBitmap, SelectError> {
    let mut bitmap = RoaringBitmap::new();
    each_row(&*engine.kv, &members(app, segment, version), |_, value| {
        let Members(bytes) = decode(value)?;
        bitmap |= crate::bitmap::read(&bytes)?;
        Ok(())
    })
    .await?;
    let prefix = member_users(app, segment, version);
    let mut range = prefix.prefix();
    loop {
        let page = engine.kv.scan(range, ROWS_AT_ONCE).await?;
        let users = page.iter().filter_map(|(key, _)| key.components_behind(&prefix).text());
        let users: Vec<Key> = users.map(|user| user_key(app, &user)).collect();
        add_endpoints_of(engine, app, &users, &mut bitmap).await?;
        match page.last() {
            Some((last, _)) if page.len() == ROWS_AT_ONCE => range = prefix.prefix_after(last),
            _ => return Ok(bitmap),
        }
    }
}

/// Adds the endpoints that users have now; who has none is no user any more.
async fn add_endpoints_of(
    engine: &Engine,
    app: &AppKey,
    users: &[Key],
    bitmap: &mut RoaringBitmap,
) -> Result<(), KvError> {
    let mut keys: Vec<Key> = Vec::new();
    for row in engine.kv.get_many(users).await?.into_iter().flatten() {
        let user: User = decode(&row.value)?;
        keys.extend(user.endpoints.iter().map(|folded| endpoint_key(app, folded)));
    }
    for keys in keys.chunks(ROWS_AT_ONCE) {
        for row in engine.kv.get_many(keys).await?.into_iter().flatten() {
            bitmap.insert(decode::<Endpoint>(&row.value)?.ordinal);
        }
        // A segment of a million users is read for seconds: let others have the thread now and then.
        tokio::task::yield_now().await;
    }
    Ok(())
}
