//! A disk that fails where a test says so, holds syncs back, and remembers every change.

use std::path::Path;
use std::sync::Condvar;

use super::super::disk::OpenFile;
use super::*;

/// A change, or what the test noted between two changes.
#[derive(Debug, Clone)]
pub(super) enum Event {
    Create {
        path: PathBuf,
        bytes: Vec<u8>,
    },
    Write {
        path: PathBuf,
        offset: u64,
        bytes: Vec<u8>,
    },
    Sync {
        path: PathBuf,
    },
    Truncate {
        path: PathBuf,
        length_bytes: u64,
    },
    Remove {
        path: PathBuf,
    },
    /// The append of this record returned.
    Acknowledged(u64),
}

/// The next call of a kind fails so.
#[derive(Debug, Clone, Copy)]
pub(super) enum Failure {
    /// The write leaves this many bytes.
    Write {
        written_bytes: usize,
        kind: io::ErrorKind,
    },
    Sync,
    Truncate,
    Create(io::ErrorKind),
}

#[derive(Debug, Default)]
struct State {
    events: Vec<Event>,
    failures: Vec<Failure>,
    held: bool,
    /// Syncs that arrived at the gate.
    syncs: u64,
    /// `None`: more than enough.
    free_bytes: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct TestDisk {
    state: Mutex<State>,
    changed: Condvar,
}

impl TestDisk {
    pub(super) fn note(&self, event: Event) {
        self.lock().events.push(event);
    }

    pub(super) fn events(&self) -> Vec<Event> {
        self.lock().events.clone()
    }

    pub(super) fn fail(&self, failure: Failure) {
        self.lock().failures.push(failure);
    }

    /// So much space is left from now on.
    pub(super) fn leave_free(&self, bytes: u64) {
        self.lock().free_bytes = Some(bytes);
    }

    /// No sync returns until [`TestDisk::release`].
    pub(super) fn hold(&self) {
        self.lock().held = true;
    }

    pub(super) fn release(&self) {
        self.lock().held = false;
        self.changed.notify_all();
    }

    /// Blocks until so many syncs have begun.
    pub(super) fn await_syncs(&self, syncs: u64) {
        let state = self.lock();
        drop(self.changed.wait_while(state, |state| state.syncs < syncs).unwrap());
    }

    pub(super) fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    fn take_failure(&self, wanted: impl Fn(&Failure) -> bool) -> Option<Failure> {
        let mut state = self.lock();
        let index = state.failures.iter().position(wanted)?;
        Some(state.failures.remove(index))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Disk for TestDisk {
    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<OpenFile> {
        if let Some(Failure::Create(kind)) = self.take_failure(|it| matches!(it, Failure::Create(_))) {
            return Err(kind.into());
        }
        let file = FileSystem.create(path, bytes)?;
        self.note(Event::Create { path: path.to_path_buf(), bytes: bytes.to_vec() });
        Ok(file)
    }

    fn write_at(&self, file: &OpenFile, bytes: &[u8], offset: u64) -> io::Result<()> {
        let path = file.path.clone();
        if let Some(Failure::Write { written_bytes, kind }) =
            self.take_failure(|it| matches!(it, Failure::Write { .. }))
        {
            let bytes = &bytes[..written_bytes.min(bytes.len())];
            self.note(Event::Write { path, offset, bytes: bytes.to_vec() });
            FileSystem.write_at(file, bytes, offset)?;
            return Err(kind.into());
        }
        self.note(Event::Write { path, offset, bytes: bytes.to_vec() });
        FileSystem.write_at(file, bytes, offset)
    }

    fn sync(&self, file: &OpenFile) -> io::Result<()> {
        let mut state = self.lock();
        state.syncs += 1;
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |state| state.held).unwrap());
        if self.take_failure(|it| matches!(it, Failure::Sync)).is_some() {
            return Err(io::Error::other("planned"));
        }
        FileSystem.sync(file)?;
        self.note(Event::Sync { path: file.path.clone() });
        Ok(())
    }

    fn truncate(&self, file: &OpenFile, length_bytes: u64) -> io::Result<()> {
        if self.take_failure(|it| matches!(it, Failure::Truncate)).is_some() {
            return Err(io::Error::other("planned"));
        }
        self.note(Event::Truncate { path: file.path.clone(), length_bytes });
        FileSystem.truncate(file, length_bytes)?;
        self.note(Event::Sync { path: file.path.clone() });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.note(Event::Remove { path: path.to_path_buf() });
        FileSystem.remove(path)
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(self.lock().free_bytes.unwrap_or(u64::MAX))
    }
}
