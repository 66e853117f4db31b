//! Secrets at rest: the master key, what it seals, and new access keys.
//!
//! Keys, nonces and identifiers here come from the operating system through `ring::rand::SystemRandom`, not from the
//! context's ids: that is the one source of cryptographic randomness, and a simulated world has nothing to replay in it.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::hint::black_box;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::sigv4::hex;

#[cfg(test)]
mod tests;

/// Bytes of the master key: AES-256.
pub const MASTER_KEY_BYTES: usize = 32;
/// Permissions of the master key file.
const MASTER_KEY_MODE: u32 = 0o600;
/// First byte of sealed bytes, for a later change of the cipher.
const SEALED_FORMAT: u8 = 1;
/// Every access key id of ours begins so, which tells it from one of AWS (`AKIA`).
pub const ACCESS_KEY_PREFIX: &str = "CPKA";
/// Random bytes of an access key id: 16 characters in base 32.
const ACCESS_KEY_ID_BYTES: usize = 10;
/// Random bytes of a secret access key: 40 characters in base 64.
const SECRET_ACCESS_KEY_BYTES: usize = 30;

/// A text that is never shown: `Debug` and `Display` print nothing of it, and its memory is overwritten when dropped.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("…")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        wipe(&mut std::mem::take(&mut self.0).into_bytes());
    }
}

/// Overwrites bytes that are about to be freed. `black_box` keeps the optimiser from dropping the writes; copies that were
/// made earlier are not found by this.
fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    black_box(bytes);
}

/// By what the operator or the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    #[error("master key file {} cannot be read or created", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// Others could have read the key.
    #[error(
        "master key file {} is open to other users (mode {mode:03o}): run `chmod 600` on it, and consider its key known",
        path.display()
    )]
    WidePermissions { path: PathBuf, mode: u32 },
    #[error("master key file {} must hold {} hexadecimal digits (lower case) and nothing else", path.display(), MASTER_KEY_BYTES * 2)]
    Malformed { path: PathBuf },
    /// Another master key, another context, or damaged bytes.
    #[error("a sealed secret cannot be opened with this master key")]
    CannotOpen,
    #[error("the operating system gave no random bytes")]
    NoRandomness,
}

/// Seals secrets before they are stored.
pub struct MasterKey(LessSafeKey);

impl fmt::Debug for MasterKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MasterKey(…)")
    }
}

impl MasterKey {
    /// Reads the master key from its file, which is made first if there is none. The file belongs to this user alone
    /// (mode 600) and is on disk when this returns.
    pub fn load_or_create(path: &Path) -> Result<Self, SecretsError> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create(path)?;
                File::open(path)
            }
            opened => opened,
        };
        let text = file.and_then(|file| {
            let mode = file.metadata()?.permissions().mode() & 0o777;
            Ok((mode, Secret::new(io::read_to_string(file)?)))
        });
        let (mode, text) = text.map_err(|source| SecretsError::Io { path: path.to_owned(), source })?;
        if mode & 0o077 != 0 {
            return Err(SecretsError::WidePermissions { path: path.to_owned(), mode });
        }
        let mut bytes = hex::decode(text.reveal().trim_ascii())
            .ok_or_else(|| SecretsError::Malformed { path: path.to_owned() })?;
        let key = Self::new(&bytes);
        wipe(&mut bytes);
        Ok(key)
    }

    pub fn new(bytes: &[u8; MASTER_KEY_BYTES]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, bytes).expect("AES-256 takes 32 bytes");
        Self(LessSafeKey::new(key))
    }

    /// Encrypts `plaintext`. What it belongs to - `context`, such as an access key id - is authenticated with it, so that
    /// one row's secret cannot be put into another row.
    pub fn seal(&self, plaintext: &str, context: &[u8]) -> Result<Vec<u8>, SecretsError> {
        // A random nonce of 96 bits is safe for some 2^32 seals by one key; secrets of a server are far fewer.
        let nonce: [u8; NONCE_LEN] = random()?;
        let mut ciphertext = plaintext.as_bytes().to_vec();
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context),
                &mut ciphertext,
            )
            .expect("shorter than the 64 GB that AES-GCM can seal");
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + ciphertext.len());
        sealed.push(SEALED_FORMAT);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        Ok(sealed)
    }

    /// Decrypts what [`MasterKey::seal`] gave for the same context.
    pub fn open(&self, sealed: &[u8], context: &[u8]) -> Result<Secret, SecretsError> {
        let Some((&SEALED_FORMAT, rest)) = sealed.split_first() else { return Err(SecretsError::CannotOpen) };
        let Some((nonce, ciphertext)) = rest.split_first_chunk::<NONCE_LEN>() else {
            return Err(SecretsError::CannotOpen);
        };
        let mut buffer = ciphertext.to_vec();
        let opened = self
            .0
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(context), &mut buffer)
            .ok()
            .and_then(|plaintext| String::from_utf8(plaintext.to_vec()).ok());
        wipe(&mut buffer);
        opened.map(Secret::new).ok_or(SecretsError::CannotOpen)
    }
}

/// Makes the file with a new key, unless another process made it meanwhile. It appears under its name only when whole and
/// on disk: a crash leaves no file, or a good one (and perhaps a temporary one, whose key nobody used).
fn create(path: &Path) -> Result<(), SecretsError> {
    let mut text = hex::encode(&random::<MASTER_KEY_BYTES>()?).into_bytes();
    text.push(b'\n');
    let suffix = hex::encode(&random::<8>()?);
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{suffix}"));
    let made = write_and_link(&text, Path::new(&temporary), path);
    wipe(&mut text);
    match made {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
            Err(SecretsError::Io { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

fn write_and_link(text: &[u8], temporary: &Path, path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MASTER_KEY_MODE).open(temporary)?;
    let written = file.write_all(text).and_then(|()| file.sync_all());
    // A link, not a rename: it refuses to replace a key that is there already.
    let linked = written.and_then(|()| fs::hard_link(temporary, path));
    fs::remove_file(temporary)?;
    linked?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

/// A new access key.
#[derive(Debug, Clone)]
pub struct AccessKey {
    /// 20 characters: `CPKA` and 16 of `A`-`Z`, `2`-`7`.
    pub id: String,
    /// 40 characters of base 64.
    pub secret: Secret,
}

impl AccessKey {
    pub fn generate() -> Result<Self, SecretsError> {
        let id = format!("{ACCESS_KEY_PREFIX}{}", base32(random::<ACCESS_KEY_ID_BYTES>()?));
        let secret = Secret::new(STANDARD.encode(random::<SECRET_ACCESS_KEY_BYTES>()?));
        Ok(Self { id, secret })
    }
}

/// 16 characters for 80 bits.
fn base32(bytes: [u8; ACCESS_KEY_ID_BYTES]) -> String {
    const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits = bytes.into_iter().fold(0_u128, |bits, byte| (bits << 8) | u128::from(byte));
    (0..16).rev().map(|place| char::from(DIGITS[(bits >> (place * 5)) as usize & 31])).collect()
}

fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], SecretsError> {
    let mut bytes = [0; LENGTH];
    SystemRandom::new().fill(&mut bytes).map_err(|_| SecretsError::NoRandomness)?;
    Ok(bytes)
}
