//! Backup of a data directory while it is in use, and restore into a new one.
//!
//! ```text
//! BACKUP/state.rows     snapshot of the state (see `kv::embedded`)
//! BACKUP/log/…          the files of the log, as they were
//! BACKUP/manifest.json  format level, sequence of the state, and each file with length and SHA-256; written last
//! ```
//!
//! **Order.** State first, then log: every cursor in the state then lies within the copied log, and the records behind it are
//! applied after the restore as after a crash. Files of the log only grow and a torn end is repaired on open, so they are
//! copied as they are. The caller holds trimming meanwhile; a file that vanishes fails the backup.
//!
//! **Not in a backup**: `keys/`, because who finds a backup must not find the key to its secrets, and `objects/`.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Component, Path, PathBuf};

use domain::time::Timestamp;
use ring::digest;
use serde::{Deserialize, Serialize};

use crate::directory::{
    self, DataDirectory, DirectoryError, Format, create_directory, failed, holds_files, sync_directory,
};
use crate::hex;
use crate::kv::embedded::{EmbeddedKv, EmbeddedOptions, TransferError};

const STATE_FILE: &str = "state.rows";
const LOG_DIRECTORY: &str = "log";
const MANIFEST_FILE: &str = "manifest.json";

/// Bytes copied at a time.
const COPY_BYTES: usize = 256 << 10;

/// The longest manifest that is read: some hundred thousand files.
const MANIFEST_BYTES_MAX: u64 = 64 << 20;

/// By what the operator does next.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Choose another destination.
    #[error("{} is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// Take another backup: this one was interrupted, or its files are not what was written.
    #[error("the backup is damaged: {}: {reason}", .path.display())]
    Damaged { path: PathBuf, reason: String },
    /// Trimming was not held: take the backup again.
    #[error("{} vanished while the log was copied", .0.display())]
    Trimmed(PathBuf),
    #[error(transparent)]
    Transfer(#[from] TransferError),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Of the directory that was copied; the restored directory gets the same.
    pub format: Format,
    pub taken: Timestamp,
    /// The latest commit of the state that is in the backup.
    pub sequence: u64,
    pub rows: u64,
    pub files: Vec<CopiedFile>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopiedFile {
    /// Relative to the backup, with `/` between its parts.
    pub path: String,
    pub bytes: u64,
    /// 64 lower-case hexadecimal characters, as `sha256sum` prints them.
    pub sha256: String,
}

/// Copies state and log into the new directory `destination` while both are in use; durable on return. Blocks until then:
/// call it on a blocking thread. The caller holds trimming of the log.
pub fn backup(
    kv: &EmbeddedKv,
    directory: &DataDirectory,
    destination: &Path,
    now: Timestamp,
) -> Result<Manifest, BackupError> {
    create_empty(destination)?;
    let state_path = destination.join(STATE_FILE);
    let mut output = HashingWriter::create(&state_path)?;
    let summary = kv.export_snapshot(&mut output)?;
    let mut files = vec![output.finish(&state_path, STATE_FILE)?];

    let mut log_files = Vec::new();
    list_files(&directory.log(), LOG_DIRECTORY, &mut log_files)?;
    log_files.sort();
    create_directory(&destination.join(LOG_DIRECTORY))?;
    for relative in log_files {
        let source = directory.path().join(&relative);
        let copied = copy(&source, destination, &relative).map_err(|error| match error {
            BackupError::Directory(DirectoryError::Io { source: cause, path, .. })
                if cause.kind() == io::ErrorKind::NotFound && path == source =>
            {
                BackupError::Trimmed(path)
            }
            error => error,
        })?;
        files.push(copied);
    }
    let (sequence, rows) = (summary.sequence.0, summary.rows);
    let manifest = Manifest { format: directory.format().clone(), taken: now, sequence, rows, files };
    write_manifest(destination, &manifest)?;
    Ok(manifest)
}

/// Makes a data directory of a backup in `destination`, which must be empty or absent; durable on return. Blocks until then.
/// After an error or a crash `destination` has no `FORMAT`, so nothing opens it: delete it. The master key is not in a
/// backup; put it into `keys/`.
pub fn restore(
    source: &Path,
    destination: &Path,
    options: &EmbeddedOptions,
) -> Result<Manifest, BackupError> {
    let manifest = read_manifest(source)?;
    directory::check_readable(source, &manifest.format)?;
    create_empty(destination)?;
    let _lock = directory::lock(destination)?;
    create_directory(&destination.join(LOG_DIRECTORY))?;
    let mut has_state = false;
    for file in &manifest.files {
        if file.path == STATE_FILE {
            restore_state(source, destination, file, options)?;
            has_state = true;
            continue;
        }
        if !is_log_path(&file.path) {
            return Err(damaged(source.join(&file.path), "it lies outside of the backup"));
        }
        let from = source.join(&file.path);
        if copy(&from, destination, &file.path)? != *file {
            return Err(damaged(from, "its length or checksum is not that of the manifest"));
        }
    }
    if !has_state {
        return Err(damaged(source.join(MANIFEST_FILE), "it lists no state"));
    }
    directory::write_format(destination, &manifest.format)?;
    Ok(manifest)
}

fn restore_state(
    source: &Path,
    destination: &Path,
    expected: &CopiedFile,
    options: &EmbeddedOptions,
) -> Result<(), BackupError> {
    let path = source.join(STATE_FILE);
    let mut input = open(&path)?;
    let mut hasher = HashingWriter::new(io::sink());
    pour(&mut input, &path, &mut hasher, &path)?;
    if hasher.hashed(STATE_FILE) != *expected {
        return Err(damaged(path, "its length or checksum is not that of the manifest"));
    }
    let state = destination.join("state");
    create_directory(&state)?;
    EmbeddedKv::import(&state, options, &mut BufReader::with_capacity(COPY_BYTES, open(&path)?))?;
    Ok(())
}

fn create_empty(path: &Path) -> Result<(), BackupError> {
    create_directory(path)?;
    if holds_files(path)? { Err(BackupError::NotEmpty(path.to_path_buf())) } else { Ok(()) }
}

fn damaged(path: PathBuf, reason: &str) -> BackupError {
    BackupError::Damaged { path, reason: reason.to_owned() }
}

fn open(path: &Path) -> Result<File, DirectoryError> {
    File::open(path).map_err(failed("open", path))
}

/// A manifest is input: no path in it may lead out of the directory that is written.
fn is_log_path(path: &str) -> bool {
    let path = Path::new(path);
    path.starts_with(LOG_DIRECTORY) && path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// All files below `directory`, as paths that begin with `prefix`.
fn list_files(directory: &Path, prefix: &str, found: &mut Vec<String>) -> Result<(), BackupError> {
    for entry in fs::read_dir(directory).map_err(failed("list", directory))? {
        let entry = entry.map_err(failed("list", directory))?;
        let Ok(name) = entry.file_name().into_string() else {
            return Err(damaged(entry.path(), "its name is not UTF-8"));
        };
        let relative = format!("{prefix}/{name}");
        if entry.file_type().map_err(failed("look at", &entry.path()))?.is_dir() {
            list_files(&entry.path(), &relative, found)?;
        } else {
            found.push(relative);
        }
    }
    Ok(())
}

/// Copies one file to the same place below `destination`; durable on return.
fn copy(source: &Path, destination: &Path, relative: &str) -> Result<CopiedFile, BackupError> {
    let target = destination.join(relative);
    if let Some(parent) = target.parent() {
        create_directory(parent)?;
    }
    let mut input = open(source)?;
    let mut output = HashingWriter::create(&target)?;
    pour(&mut input, source, &mut output, &target)?;
    output.finish(&target, relative)
}

fn pour<W: Write>(
    input: &mut File,
    source: &Path,
    output: &mut HashingWriter<W>,
    target: &Path,
) -> Result<(), DirectoryError> {
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        let length = input.read(&mut buffer).map_err(failed("read", source))?;
        if length == 0 {
            return Ok(());
        }
        output.write_all(&buffer[..length]).map_err(failed("write", target))?;
    }
}

fn write_manifest(destination: &Path, manifest: &Manifest) -> Result<(), BackupError> {
    let path = destination.join(MANIFEST_FILE);
    let mut text =
        serde_json::to_vec_pretty(manifest).map_err(|error| failed("write", &path)(error.into()))?;
    text.push(b'\n');
    Ok(directory::write_durably(&path, &text)?)
}

fn read_manifest(source: &Path) -> Result<Manifest, BackupError> {
    let path = source.join(MANIFEST_FILE);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(damaged(path, "it is missing: the backup was not finished"));
        }
        Err(error) => return Err(failed("open", &path)(error).into()),
    };
    let mut text = Vec::new();
    file.take(MANIFEST_BYTES_MAX).read_to_end(&mut text).map_err(failed("read", &path))?;
    serde_json::from_slice(&text).map_err(|error| damaged(path, &error.to_string()))
}

/// Passes bytes on, and knows their number and SHA-256.
struct HashingWriter<W> {
    inner: W,
    bytes: u64,
    digest: digest::Context,
}

impl<W: Write> HashingWriter<W> {
    fn new(inner: W) -> Self {
        Self { inner, bytes: 0, digest: digest::Context::new(&digest::SHA256) }
    }

    fn hashed(self, relative: &str) -> CopiedFile {
        let sha256 = hex::encode(self.digest.finish().as_ref());
        CopiedFile { path: relative.to_owned(), bytes: self.bytes, sha256 }
    }
}

impl HashingWriter<BufWriter<File>> {
    fn create(path: &Path) -> Result<Self, DirectoryError> {
        let file = File::create_new(path).map_err(failed("create", path))?;
        Ok(Self::new(BufWriter::with_capacity(COPY_BYTES, file)))
    }

    /// Makes the file and its name durable.
    fn finish(mut self, path: &Path, relative: &str) -> Result<CopiedFile, BackupError> {
        self.inner.flush().and_then(|()| self.inner.get_ref().sync_all()).map_err(failed("write", path))?;
        if let Some(parent) = path.parent() {
            sync_directory(parent)?;
        }
        Ok(self.hashed(relative))
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests;
