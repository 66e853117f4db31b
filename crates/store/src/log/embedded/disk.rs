//! What the log asks of the file system to change anything: the place where tests record writes and plan failures.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::directory::free_bytes;

/// An open file and its name.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) file: File,
    pub(super) path: PathBuf,
}

impl OpenFile {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(path)?;
        Ok(Self { file, path: path.to_path_buf() })
    }
}

/// Every change to the log's files. Reads do not pass here.
pub(super) trait Disk: Send + Sync + fmt::Debug {
    /// Creates a file with these bytes: it bears its name only when it is complete, and is durable on return.
    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<OpenFile>;

    /// Writes all bytes at an offset; durable after [`Disk::sync`].
    fn write_at(&self, file: &OpenFile, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes all writes to the file durable.
    fn sync(&self, file: &OpenFile) -> io::Result<()>;

    /// Cuts the file; durable on return, with all writes to it: the next thing that is written may be another file, and what was cut
    /// off must not come back in a file that is taken for whole.
    fn truncate(&self, file: &OpenFile, length_bytes: u64) -> io::Result<()>;

    /// Removes the file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Bytes that may still be written to the disk of `path`.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
}

/// The file system.
#[derive(Debug)]
pub(super) struct FileSystem;

/// The name ending of a file that is not complete yet.
pub(super) const INCOMPLETE_EXTENSION: &str = "new";

impl Disk for FileSystem {
    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<OpenFile> {
        let incomplete = path.with_extension(INCOMPLETE_EXTENSION);
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&incomplete)?;
        let written = file.write_all_at(bytes, 0).and_then(|()| file.sync_all());
        if let Err(error) = written.and_then(|()| fs::rename(&incomplete, path)) {
            // best effort: what remains is removed at the next start
            let _ = fs::remove_file(&incomplete);
            return Err(error);
        }
        sync_directory_of(path)?;
        Ok(OpenFile { file, path: path.to_path_buf() })
    }

    fn write_at(&self, file: &OpenFile, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.file.write_all_at(bytes, offset)
    }

    fn sync(&self, file: &OpenFile) -> io::Result<()> {
        file.file.sync_data()
    }

    fn truncate(&self, file: &OpenFile, length_bytes: u64) -> io::Result<()> {
        file.file.set_len(length_bytes)?;
        file.file.sync_all()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        free_bytes(path)
    }
}

/// Makes the names in the directory of `path` durable.
pub(super) fn sync_directory_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

/// Whether an error means that there is no room: it passes when room is made.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
