//! The file behind a mailbox: one JSON document a line, put aside when it is full.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::mailbox::SandboxMessage;

const FILE: &str = "messages.ndjson";
/// The one that was full before.
const PUT_ASIDE: &str = "messages.1.ndjson";
/// A line that is longer was not written by us.
const LINE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// The mailbox cannot be kept in its directory.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox cannot use {}", path.display())]
pub struct SpoolError {
    path: PathBuf,
    source: io::Error,
}

#[derive(Debug)]
pub(super) struct Spool {
    path: PathBuf,
    put_aside: PathBuf,
    file: File,
    bytes: u64,
    bytes_max: u64,
}

impl Spool {
    /// Opens the files of `directory` and reads each message, oldest first. A line that was cut short by a crash is left out.
    pub(super) fn open(
        directory: &Path,
        bytes_max: u64,
        mut each: impl FnMut(SandboxMessage),
    ) -> Result<Self, SpoolError> {
        let path = directory.join(FILE);
        let put_aside = directory.join(PUT_ASIDE);
        let failed = |source| SpoolError { path: directory.to_owned(), source };
        fs::create_dir_all(directory).map_err(failed)?;
        for path in [&put_aside, &path] {
            match File::open(path) {
                Ok(file) => read_messages(file, &mut each).map_err(failed)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error)),
            }
        }
        let (file, bytes) = open_for_append(&path).map_err(failed)?;
        Ok(Self { path, put_aside, file, bytes, bytes_max })
    }

    /// Appends a message. After an error the file is as it was before.
    pub(super) fn append(&mut self, message: &SandboxMessage) -> Result<(), SpoolError> {
        self.try_append(message).map_err(|source| SpoolError { path: self.path.clone(), source })
    }

    fn try_append(&mut self, message: &SandboxMessage) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        if self.bytes > 0 && self.bytes + line.len() as u64 > self.bytes_max {
            fs::rename(&self.path, &self.put_aside)?;
            (self.file, self.bytes) = open_for_append(&self.path)?;
        }
        if let Err(error) = self.file.write_all(&line) {
            // Half a line would spoil the next one.
            self.file.set_len(self.bytes)?;
            return Err(error);
        }
        self.bytes += line.len() as u64;
        Ok(())
    }
}

fn read_messages(file: File, each: &mut impl FnMut(SandboxMessage)) -> io::Result<()> {
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        if io::Read::take(&mut reader, LINE_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        match serde_json::from_slice(&line) {
            Ok(message) => each(message),
            Err(error) => tracing::warn!(%error, "a message of the sandbox cannot be read and is left out"),
        }
    }
}

/// The file and its length, cut behind its last whole line.
fn open_for_append(path: &Path) -> io::Result<(File, u64)> {
    let mut file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
    let bytes = file.metadata()?.len();
    let whole = whole_lines_bytes(&mut file, bytes)?;
    if whole < bytes {
        file.set_len(whole)?;
    }
    Ok((file, whole))
}

/// How many of the file's `bytes` are whole lines, looked for from its end.
fn whole_lines_bytes(file: &mut File, bytes: u64) -> io::Result<u64> {
    const BLOCK_BYTES: u64 = 64 * 1024;
    let mut end = bytes;
    let mut block = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(BLOCK_BYTES);
        block.clear();
        file.seek(SeekFrom::Start(start))?;
        io::Read::read_to_end(&mut io::Read::take(&mut *file, end - start), &mut block)?;
        if let Some(at) = block.iter().rposition(|&byte| byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}
