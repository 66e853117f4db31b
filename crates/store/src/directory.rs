//! The data directory: who may use it, in which format it is written, and what lies where.
//!
//! ```text
//! DIR/LOCK      held by the process that uses the directory
//! DIR/FORMAT    format level, project and time of creation, as JSON
//! DIR/state/    the embedded Kv
//! DIR/log/      the embedded log
//! DIR/objects/  files of import and export jobs
//! DIR/keys/     the master key; never in a backup
//! ```
//!
//! **Format level.** One number for everything in the directory. A release reads its own level and the one before. A
//! directory of the level before is written as that level, so that the release before can take it back, until the
//! operator calls [`DataDirectory::finalise`].

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The level that this release writes into a new directory.
pub const FORMAT_LEVEL: u32 = 1;

/// Written into `FORMAT`, so that no other program's directory is taken for ours.
pub const PROJECT: &str = "counterpoint";

/// Only the owner may enter.
const DIRECTORY_MODE: u32 = 0o700;

const LOCK_FILE: &str = "LOCK";
const FORMAT_FILE: &str = "FORMAT";

/// By what the operator does next.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    #[error("data directory {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// Install the newer release again.
    #[error("data directory {} has format level {found}, this release knows only up to {newest}", .path.display())]
    TooNew { path: PathBuf, found: u32, newest: u32 },
    /// Install the releases between, one after another.
    #[error("data directory {} has format level {found}, this release reads none before {oldest}", .path.display())]
    TooOld { path: PathBuf, found: u32, oldest: u32 },
    /// Choose another directory. Also what an interrupted restore leaves.
    #[error("{} holds files but is no data directory: it has no FORMAT file", .0.display())]
    Foreign(PathBuf),
    #[error("{} is damaged: {reason}", .path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error("cannot {action} {}", .path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
}

/// What `FORMAT` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Format {
    pub project: String,
    pub level: u32,
    /// When the directory was created; shown to people only.
    pub created: Timestamp,
}

/// The levels that a release can work with.
#[derive(Debug, Clone, Copy)]
struct Levels {
    oldest: u32,
    newest: u32,
}

impl Levels {
    /// Level 1 is the first; from level 2 on `oldest` is the level before.
    const THIS_RELEASE: Self = Self { oldest: FORMAT_LEVEL, newest: FORMAT_LEVEL };
}

/// An open data directory: while it lives, no other process can open it.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    format: Format,
    levels: Levels,
    /// Held, not read: closing it frees the directory.
    _lock: File,
}

impl DataDirectory {
    /// Opens the directory `path`, creating it where there is none or an empty one. `now` is remembered as the time of
    /// creation.
    pub fn open(path: &Path, now: Timestamp) -> Result<Self, DirectoryError> {
        Self::open_with(path, now, Levels::THIS_RELEASE)
    }

    fn open_with(path: &Path, now: Timestamp, levels: Levels) -> Result<Self, DirectoryError> {
        create_directory(path)?;
        let lock = lock(path)?;
        let format = if let Some(format) = read_format(path)? {
            check_level(path, &format, levels)?;
            format
        } else {
            if holds_files(path)? {
                return Err(DirectoryError::Foreign(path.to_path_buf()));
            }
            let format = Format { project: PROJECT.to_owned(), level: levels.newest, created: now };
            write_format(path, &format)?;
            format
        };
        let directory = Self { path: path.to_path_buf(), format, levels, _lock: lock };
        for part in [directory.state(), directory.log(), directory.objects(), directory.keys()] {
            create_directory(&part)?;
        }
        sync_directory(path)?;
        Ok(directory)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What `FORMAT` says: all writing must keep to its level.
    pub fn format(&self) -> &Format {
        &self.format
    }

    pub fn state(&self) -> PathBuf {
        self.path.join("state")
    }

    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    pub fn objects(&self) -> PathBuf {
        self.path.join("objects")
    }

    pub fn keys(&self) -> PathBuf {
        self.path.join("keys")
    }

    /// Raises the directory to this release's level: the release before cannot read it any more. Durable on return.
    pub fn finalise(&mut self) -> Result<(), DirectoryError> {
        if self.format.level == self.levels.newest {
            return Ok(());
        }
        let raised = Format { level: self.levels.newest, ..self.format.clone() };
        write_format(&self.path, &raised)?;
        self.format = raised;
        Ok(())
    }
}

/// Bytes that this user may still write to the disk of `path`.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn check_level(path: &Path, format: &Format, levels: Levels) -> Result<(), DirectoryError> {
    let (path, found) = (path.to_path_buf(), format.level);
    if found > levels.newest {
        return Err(DirectoryError::TooNew { path, found, newest: levels.newest });
    }
    if found < levels.oldest {
        return Err(DirectoryError::TooOld { path, found, oldest: levels.oldest });
    }
    Ok(())
}

/// Fails where this release could not read what has the level of `format`.
pub(crate) fn check_readable(path: &Path, format: &Format) -> Result<(), DirectoryError> {
    check_level(path, format, Levels::THIS_RELEASE)
}

/// Held until the file is closed.
pub(crate) fn lock(path: &Path) -> Result<File, DirectoryError> {
    let lock_path = path.join(LOCK_FILE);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock_path)
        .map_err(failed("create", &lock_path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(DirectoryError::InUse(path.to_path_buf())),
        Err(fs::TryLockError::Error(error)) => Err(failed("lock", &lock_path)(error)),
    }
}

fn read_format(path: &Path) -> Result<Option<Format>, DirectoryError> {
    let format_path = path.join(FORMAT_FILE);
    let text = match fs::read(&format_path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", &format_path)(error)),
    };
    let format: Format = serde_json::from_slice(&text)
        .map_err(|error| DirectoryError::Damaged { path: format_path.clone(), reason: error.to_string() })?;
    if format.project != PROJECT {
        let reason = format!("it names the project {:?}", format.project);
        return Err(DirectoryError::Damaged { path: format_path, reason });
    }
    Ok(Some(format))
}

/// Writes `FORMAT` so that a crash leaves the old one or the new one. Durable on return.
pub(crate) fn write_format(path: &Path, format: &Format) -> Result<(), DirectoryError> {
    let format_path = path.join(FORMAT_FILE);
    let mut text =
        serde_json::to_vec_pretty(format).map_err(|error| failed("write", &format_path)(error.into()))?;
    text.push(b'\n');
    write_durably(&format_path, &text)
}

/// Replaces the file `path` by one with these bytes, so that a crash leaves the old one or the new one. Durable on return.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), DirectoryError> {
    let new_path = path.with_extension("new");
    let mut file = File::create(&new_path).map_err(failed("create", &new_path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed("write", &new_path))?;
    fs::rename(&new_path, path).map_err(failed("replace", path))?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// Creates the directory and those above it where they are missing.
pub(crate) fn create_directory(path: &Path) -> Result<(), DirectoryError> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path).map_err(failed("create", path))?;
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), sync_directory)
}

pub(crate) fn sync_directory(path: &Path) -> Result<(), DirectoryError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(failed("sync", path))
}

/// Whether the directory holds anything but our own lock and a `FORMAT` that was never finished.
pub(crate) fn holds_files(path: &Path) -> Result<bool, DirectoryError> {
    for entry in fs::read_dir(path).map_err(failed("list", path))? {
        let name = entry.map_err(failed("list", path))?.file_name();
        if name != LOCK_FILE && name != "FORMAT.new" {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(crate) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DirectoryError {
    let path = path.to_path_buf();
    move |source| DirectoryError::Io { action, path, source }
}

#[cfg(test)]
mod tests;
