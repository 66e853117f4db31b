//! Where `s3://bucket/key` of import and export jobs leads: to files of a directory, or to a server that speaks S3.
//!
//! The role that a request names is stored and echoed, never used: what may be read and written here is for the operator to
//! say, by what this is configured with.

use std::fmt;
use std::fs::File;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ClientOptions, GetOptions, GetRange, ObjectStore, ObjectStoreExt, RetryConfig};

/// Objects below one prefix: what is listed is kept in memory.
pub const OBJECTS_MAX: usize = 100_000;
/// Bytes of a key (S3's own limit).
const KEY_BYTES_MAX: usize = 1_024;
/// Bytes of a bucket's name: S3 allows 63, and once allowed 255.
const BUCKET_BYTES_MAX: usize = 255;
/// Bytes of an object that are held back until they are sent in one piece, and of each piece of a larger one: S3 wants at
/// least 5 MB.
const WRITE_BYTES: usize = 8 << 20;
/// Pieces of an object on their way at once.
const WRITES_MAX: usize = 2;
/// For how long a request that failed is tried again.
const RETRY_FOR: Duration = Duration::from_secs(30);
/// The wait for an answer of the S3 server.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);

/// Where objects are.
#[derive(Debug, Clone, Default)]
pub enum Objects {
    /// Nowhere: jobs are refused.
    #[default]
    None,
    /// `s3://bucket/key` is the file `DIRECTORY/bucket/key`.
    Directory(PathBuf),
    S3(S3Endpoint),
}

/// A server that speaks S3, with paths as `http://host/bucket/key`.
#[derive(Clone)]
pub struct S3Endpoint {
    /// As `http://127.0.0.1:9000`.
    pub url: String,
    pub region: String,
    pub access_key_id: String,
    pub secret_access_key: String,
}

impl fmt::Debug for S3Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, region, access_key_id, secret_access_key: _ } = self;
        formatter
            .debug_tuple("S3Endpoint")
            .field(url)
            .field(region)
            .field(access_key_id)
            .finish_non_exhaustive()
    }
}

/// By what the caller does next. The texts are for clients: causes, which may name what only the operator may see, go to
/// the log.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsError {
    /// The operator has to act.
    #[error(
        "this server has no object store: its operator has to set objects.directory or objects.s3_endpoint"
    )]
    Unconfigured,
    #[error("there is no object {0}, and none below it")]
    Missing(String),
    #[error("there are more than {OBJECTS_MAX} objects below {0}")]
    TooMany(String),
    /// It may work later, or not.
    #[error("{0} {1}")]
    Failed(String, &'static str),
}

/// Not a URL of an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{url:?} is not a URL of an S3 object: {reason}")]
pub struct InvalidS3Url {
    url: String,
    reason: &'static str,
}

/// `s3://bucket/key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Url {
    pub bucket: String,
    /// The key, without a slash at its end; empty: the whole bucket.
    pub path: Path,
    /// The key ends in a slash or is empty: it names no object, only what is below it.
    pub is_folder: bool,
}

/// Reads `s3://bucket/key`. Keys with empty, `.` and `..` parts are refused: no file of a directory could be meant by them.
pub fn parse_s3_url(url: &str) -> Result<S3Url, InvalidS3Url> {
    let invalid = |reason| InvalidS3Url { url: url.chars().take(KEY_BYTES_MAX).collect(), reason };
    let rest = url.strip_prefix("s3://").ok_or_else(|| invalid("it does not begin with s3://"))?;
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let begins_well = bucket.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if !begins_well || bucket.len() > BUCKET_BYTES_MAX || !bucket.bytes().all(is_name) {
        return Err(invalid("the bucket's name is not one"));
    }
    if key.len() > KEY_BYTES_MAX {
        return Err(invalid("the key is too long"));
    }
    if key.starts_with('/') || key.contains('\0') {
        return Err(invalid("the key has an empty part or a NUL"));
    }
    let path = Path::parse(key).map_err(|_| invalid("the key has an empty, . or .. part"))?;
    Ok(S3Url { bucket: bucket.to_owned(), path, is_folder: key.is_empty() || key.ends_with('/') })
}

impl fmt::Display for S3Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "s3://{}/{}", self.bucket, self.path)
    }
}

impl Objects {
    pub fn is_configured(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// A bucket to read from.
    pub fn bucket(&self, name: &str) -> Result<Bucket, ObjectsError> {
        let url = format!("s3://{name}");
        match self {
            Self::None => Err(ObjectsError::Unconfigured),
            Self::Directory(directory) => {
                let bucket = directory.join(name);
                if !bucket.is_dir() {
                    return Err(ObjectsError::Missing(url));
                }
                let store =
                    LocalFileSystem::new_with_prefix(&bucket).map_err(|cause| failed(&url, &cause))?;
                let store = Arc::new(store);
                let files = Some(Files { store: Arc::clone(&store), root: directory.clone() });
                Ok(Bucket { name: name.to_owned(), store, files })
            }
            Self::S3(endpoint) => {
                let store = endpoint.open(name).map_err(|cause| failed(&url, &cause))?;
                Ok(Bucket { name: name.to_owned(), store: Arc::new(store), files: None })
            }
        }
    }

    /// Whether the store answers and takes our keys, by asking for an object that need not exist, in a bucket that need not
    /// either.
    pub async fn probe(&self, bucket: &str) -> Result<(), ObjectsError> {
        let bucket = self.bucket(bucket)?;
        let path = Path::from("probe");
        match bucket.store.head(&path).await {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(cause) => Err(failed(&bucket.url(&path), &cause)),
        }
    }

    /// A bucket to write to: the directory of one is made.
    pub async fn bucket_to_write(&self, name: &str) -> Result<Bucket, ObjectsError> {
        if let Self::Directory(directory) = self {
            let made = tokio::fs::create_dir_all(directory.join(name)).await;
            made.map_err(|cause| failed(&format!("s3://{name}"), &cause))?;
        }
        self.bucket(name)
    }
}

impl S3Endpoint {
    fn open(&self, bucket: &str) -> Result<impl ObjectStore + use<>, object_store::Error> {
        let retry = RetryConfig { retry_timeout: RETRY_FOR, ..RetryConfig::default() };
        AmazonS3Builder::new()
            .with_endpoint(self.url.trim_end_matches('/'))
            .with_region(&self.region)
            .with_access_key_id(&self.access_key_id)
            .with_secret_access_key(&self.secret_access_key)
            .with_bucket_name(bucket)
            .with_virtual_hosted_style_request(false)
            .with_client_options(ClientOptions::new().with_timeout(REQUEST_TIMEOUT).with_allow_http(true))
            .with_retry(retry)
            .build()
    }
}

/// An object that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub path: Path,
    pub bytes: u64,
}

/// A bucket of either kind.
#[derive(Debug, Clone)]
pub struct Bucket {
    name: String,
    store: Arc<dyn ObjectStore>,
    files: Option<Files>,
}

/// The files behind a bucket: what is written has to be synced, which their store does not do.
#[derive(Debug, Clone)]
struct Files {
    store: Arc<LocalFileSystem>,
    /// Every directory down from here may be new.
    root: PathBuf,
}

impl Bucket {
    /// How a client names an object.
    pub fn url(&self, path: &Path) -> String {
        format!("s3://{}/{path}", self.name)
    }

    /// The object of this name, or else every object below it, sub-folders too, in the order of their keys. Empty objects
    /// below a prefix are left out: many tools mark folders by them.
    pub async fn find(&self, url: &S3Url) -> Result<Vec<Found>, ObjectsError> {
        let S3Url { path, is_folder, .. } = url;
        if !is_folder {
            match self.store.head(path).await {
                Ok(object) => return Ok(vec![Found { path: object.location, bytes: object.size }]),
                Err(object_store::Error::NotFound { .. }) => {}
                Err(cause) => return Err(failed(&self.url(path), &cause)),
            }
        }
        let mut found = Vec::new();
        let mut objects = self.store.list(Some(path).filter(|path| !path.is_root()));
        while let Some(object) = objects.try_next().await.map_err(|cause| failed(&self.url(path), &cause))? {
            if object.size == 0 {
                continue;
            }
            if found.len() == OBJECTS_MAX {
                return Err(ObjectsError::TooMany(self.url(path)));
            }
            found.push(Found { path: object.location, bytes: object.size });
        }
        if found.is_empty() {
            return Err(ObjectsError::Missing(self.url(path)));
        }
        found.sort_by(|one, other| one.path.as_ref().cmp(other.path.as_ref()));
        Ok(found)
    }

    /// The bytes of an object as they come.
    pub async fn read(
        &self,
        path: &Path,
    ) -> Result<BoxStream<'static, Result<Bytes, ObjectsError>>, ObjectsError> {
        let url = self.url(path);
        let object = self.store.get(path).await.map_err(|cause| failed(&url, &cause))?;
        Ok(object.into_stream().map_err(move |cause| failed(&url, &cause)).boxed())
    }

    /// The first bytes of an object.
    pub async fn read_start(&self, path: &Path, bytes_max: u64) -> Result<Bytes, ObjectsError> {
        let options = GetOptions { range: Some(GetRange::Bounded(0..bytes_max)), ..GetOptions::default() };
        let object =
            self.store.get_opts(path, options).await.map_err(|cause| failed(&self.url(path), &cause))?;
        object.bytes().await.map_err(|cause| failed(&self.url(path), &cause))
    }

    /// Begins an object, which is not there before it is whole.
    pub fn create(&self, path: &Path) -> NewObject {
        let writer = BufWriter::with_capacity(Arc::clone(&self.store), path.clone(), WRITE_BYTES);
        NewObject {
            bucket: self.clone(),
            path: path.clone(),
            writer: writer.with_max_concurrency(WRITES_MAX),
        }
    }

    /// Deletes an object. False: there was none.
    pub async fn delete(&self, path: &Path) -> Result<bool, ObjectsError> {
        // S3 does not tell whether what it deletes was there.
        match self.store.head(path).await {
            Ok(_) => {}
            Err(object_store::Error::NotFound { .. }) => return Ok(false),
            Err(cause) => return Err(failed(&self.url(path), &cause)),
        }
        self.store.delete(path).await.map_err(|cause| failed(&self.url(path), &cause))?;
        Ok(true)
    }
}

/// An object that is being written.
#[derive(Debug)]
pub struct NewObject {
    bucket: Bucket,
    path: Path,
    writer: BufWriter,
}

impl NewObject {
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), ObjectsError> {
        self.writer.put(bytes).await.map_err(|cause| failed(&self.bucket.url(&self.path), &cause))
    }

    /// Ends the object; it is whole, there, and durable on return.
    pub async fn finish(mut self) -> Result<(), ObjectsError> {
        let url = self.bucket.url(&self.path);
        let ended = tokio::io::AsyncWriteExt::shutdown(&mut self.writer).await;
        ended.map_err(|cause| failed(&url, &cause))?;
        let Some(Files { store, root }) = self.bucket.files else { return Ok(()) };
        let file = store.path_to_filesystem(&self.path).map_err(|cause| failed(&url, &cause))?;
        let synced = tokio::task::spawn_blocking(move || sync(&file, &root)).await;
        synced.map_err(std::io::Error::other).flatten().map_err(|cause| failed(&url, &cause))
    }

    /// Gives the object up.
    pub async fn abort(mut self) {
        if let Err(cause) = self.writer.abort().await {
            tracing::warn!(%cause, url = self.bucket.url(&self.path), "parts of an unfinished object are left behind");
        }
    }
}

/// Makes a file and the directories that lead to it durable.
fn sync(file: &FilePath, root: &FilePath) -> std::io::Result<()> {
    File::open(file)?.sync_all()?;
    let root = root.canonicalize()?;
    for directory in file.ancestors().skip(1) {
        File::open(directory)?.sync_all()?;
        if directory == root {
            break;
        }
    }
    Ok(())
}

/// What a client may know of a failure; the rest goes to the log.
fn failed(url: &str, cause: &(dyn std::error::Error + 'static)) -> ObjectsError {
    let cause_of_store = cause.downcast_ref::<object_store::Error>();
    let reason = match cause_of_store {
        Some(object_store::Error::NotFound { .. }) => "is not there",
        Some(object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. }) => {
            "may not be accessed by this server"
        }
        _ => "cannot be read or written",
    };
    tracing::warn!(error = cause, url, "an object {reason}");
    ObjectsError::Failed(url.to_owned(), reason)
}

#[cfg(test)]
mod tests;
