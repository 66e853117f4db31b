//! A new database appears under its name only when it is whole and durable.
//!
//! fjall makes its files one after another and cannot go on where a crash cut that short: it finds a journal without a
//! marker, or a marker without trees, and refuses for ever. So they are made beside, and what is left of an attempt that was
//! cut short is removed: nobody can have written to it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::{EmbeddedOptions, Rows, TREES, failed};
use crate::kv::KvError;

/// Makes the database where there is none: where `path` does not exist, or is an empty directory.
pub(super) fn create_if_new(path: &Path, options: &EmbeddedOptions) -> Result<(), KvError> {
    let is_new = match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => return Err(failed(error)),
    };
    if !is_new {
        return Ok(());
    }
    let beside = beside(path);
    remove(&beside).map_err(failed)?;
    drop(Rows::open(&beside, options)?);
    publish(&beside, path).map_err(failed)
}

/// Where the files are made.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn publish(beside: &Path, path: &Path) -> io::Result<()> {
    sync_names(beside)?;
    fs::rename(beside, path)?;
    // `parent` of a bare name is empty, and means the directory that the process is in.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

/// Makes the names of the trees and of their files durable: fjall leaves some of them to the file system.
pub(super) fn sync_names(directory: &Path) -> io::Result<()> {
    let trees = directory.join(TREES);
    for tree in fs::read_dir(&trees)? {
        let tree = tree?.path();
        File::open(tree.join("tables"))?.sync_all()?;
        File::open(tree)?.sync_all()?;
    }
    File::open(trees)?.sync_all()?;
    File::open(directory)?.sync_all()
}
