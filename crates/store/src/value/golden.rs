//! Golden files: the stored bytes of one value per type and format, in `tests/golden/` of this crate.
//!
//! For use in tests of any crate. A new file is written only where [`WRITE_VARIABLE`] is set, an existing one never: when
//! the layout of a type changes, raise its format, keep the old file and check it with [`check_older`].

use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Stored, decode, encode};
use crate::hex;

/// The environment variable that lets [`check`] write files which are missing.
pub const WRITE_VARIABLE: &str = "COUNTERPOINT_WRITE_GOLDEN";

const BYTES_PER_LINE: usize = 32;

/// Panics unless `value` encodes to the bytes of its golden file and these decode to `value`.
pub fn check<T: Stored + PartialEq + Debug>(name: &str, value: &T) {
    check_bytes(name, T::FORMAT, &encode(value));
    check_older(name, T::FORMAT, value);
}

/// Panics unless the bytes are those of the golden file.
pub fn check_bytes(name: &str, format: u8, bytes: &[u8]) {
    let path = path_of(name, format);
    check_shown(name, &path, &to_hex(bytes));
}

/// Panics unless the text is that of the golden file: of layouts that have no format of their own.
pub fn check_text(name: &str, text: &str) {
    check_shown(name, &directory().join(format!("{name}.txt")), text);
}

/// The bytes of a golden file that this release must be able to read, whether or not it would write the same. `write` makes
/// them where the file is missing.
pub fn stored_bytes(name: &str, format: u8, write: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    let path = path_of(name, format);
    if may_write(&path) {
        write_to(&path, &to_hex(&write()));
    }
    from_hex(&read(&path)).unwrap_or_else(|| panic!("{} is not hexadecimal", path.display()))
}

fn check_shown(name: &str, path: &Path, shown: &str) {
    if may_write(path) {
        write_to(path, shown);
    }
    assert_eq!(
        shown,
        read(path),
        "the layout of {name} has changed: raise its FORMAT, migrate from the old one, and check the old file too"
    );
}

fn may_write(path: &Path) -> bool {
    !path.is_file() && std::env::var_os(WRITE_VARIABLE).is_some()
}

fn write_to(path: &Path, shown: &str) {
    fs::write(path, shown).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
}

/// Panics unless the golden file of `format` decodes, migrating where it is an older one, to `expected`.
pub fn check_older<T: Stored + PartialEq + Debug>(name: &str, format: u8, expected: &T) {
    let path = path_of(name, format);
    let stored = from_hex(&read(&path)).unwrap_or_else(|| panic!("{} is not hexadecimal", path.display()));
    match decode::<T>(&stored) {
        Ok(value) => assert_eq!(value, *expected, "{}", path.display()),
        Err(error) => panic!("{}: {error:?}", path.display()),
    }
}

fn path_of(name: &str, format: u8) -> PathBuf {
    directory().join(format!("{name}.v{format}.hex"))
}

fn directory() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| {
        panic!("{}: {error} (set {WRITE_VARIABLE}=1 to write new ones)", path.display())
    })
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.chunks(BYTES_PER_LINE).map(|line| hex::encode(line) + "\n").collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .filter(|digit| !digit.is_whitespace())
        .map(|digit| Some(digit.to_digit(16)? as u8))
        .collect();
    let digits = digits?;
    if digits.len() % 2 != 0 {
        return None;
    }
    Some(digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}
