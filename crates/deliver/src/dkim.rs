//! DKIM signatures (RFC 6376, RFC 8463): relaxed/relaxed, with an RSA or Ed25519 key.
//!
//! Our own and not lettre's, because a signature here is a function of message and key: lettre signs with the system's time,
//! only messages that it built itself, and by an RSA that leaks timing (docs/decisions/003-smtp-client.md).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use domain::time::Timestamp;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use crate::mime::fields::{Field, split};

mod canonical;
#[cfg(test)]
mod tests;

/// Signed where they are present, each occurrence of them. RFC 8058 wants the two about unsubscribing.
const SIGNED_HEADERS: [&str; 14] = [
    "from",
    "to",
    "cc",
    "reply-to",
    "subject",
    "date",
    "message-id",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "in-reply-to",
    "references",
    "list-unsubscribe",
    "list-unsubscribe-post",
];
/// Signed once more than they are present, so that nobody adds another one on the way.
const OVERSIGNED_HEADERS: [&str; 1] = ["from"];
/// Characters of the signature in a line.
const SIGNATURE_LINE_CHARACTERS: usize = 72;

/// The private key of a sending domain.
pub struct DkimKey {
    domain: String,
    selector: String,
    pair: KeyPair,
}

enum KeyPair {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

/// The key cannot be used. The text never holds the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DkimKeyError {
    #[error("the domain is not a host name")]
    Domain,
    #[error("the selector may hold letters, digits, - and . only")]
    Selector,
    #[error("the key is not a private key in PEM (PKCS#8 or PKCS#1)")]
    Pem,
    #[error("the key is neither RSA with 2048 to 4096 bits nor Ed25519")]
    Kind,
}

impl DkimKey {
    /// The key behind the DNS record `selector._domainkey.domain`, from its PEM text.
    pub fn new(domain: &str, selector: &str, pem: &str) -> Result<Self, DkimKeyError> {
        let domain = idna::domain_to_ascii(domain).map_err(|_| DkimKeyError::Domain)?;
        let is_name = |text: &str| {
            let usable = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
            (1..=253).contains(&text.len()) && text.bytes().all(usable)
        };
        if !is_name(&domain) || !domain.contains('.') {
            return Err(DkimKeyError::Domain);
        }
        if !is_name(selector) {
            return Err(DkimKeyError::Selector);
        }
        let pair = match PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| DkimKeyError::Pem)? {
            PrivateKeyDer::Pkcs1(der) => {
                let pair = RsaKeyPair::from_der(der.secret_pkcs1_der()).map_err(|_| DkimKeyError::Kind)?;
                KeyPair::Rsa(Box::new(pair))
            }
            PrivateKeyDer::Pkcs8(der) => {
                let der = der.secret_pkcs8_der();
                // "Maybe unchecked": OpenSSL writes keys without the public half.
                match (RsaKeyPair::from_pkcs8(der), Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)) {
                    (Ok(pair), _) => KeyPair::Rsa(Box::new(pair)),
                    (_, Ok(pair)) => KeyPair::Ed25519(pair),
                    _ => return Err(DkimKeyError::Kind),
                }
            }
            _ => return Err(DkimKeyError::Kind),
        };
        Ok(Self { domain, selector: selector.to_owned(), pair })
    }

    /// The domain that the key signs for, in ASCII.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The key of `domain` or of the closest domain above it.
    pub(crate) fn of_domain<'a>(keys: &'a [Self], domain: &str) -> Option<&'a Self> {
        let domain = domain.to_ascii_lowercase();
        let covers = |key: &&Self| {
            domain.strip_suffix(&key.domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        keys.iter().filter(covers).max_by_key(|key| key.domain.len())
    }
}

impl KeyPair {
    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "rsa-sha256",
            Self::Ed25519(_) => "ed25519-sha256",
        }
    }

    fn sign(&self, data: &[u8]) -> Result<Vec<u8>, &'static str> {
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                // The randomness only blinds the computation; the signature does not depend on it.
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), data, &mut signature)
                    .map_err(|_| "the RSA key does not sign")?;
                Ok(signature)
            }
            // RFC 8463 signs the hash, where RSA hashes by itself.
            Self::Ed25519(pair) => Ok(pair.sign(digest(&SHA256, data).as_ref()).as_ref().to_vec()),
        }
    }
}

/// The DKIM-Signature field of `message`, with its line end, to stand before it.
pub(crate) fn sign(message: &[u8], key: &DkimKey, at: Timestamp) -> Result<Vec<u8>, &'static str> {
    let (fields, body) = split(message).ok_or("it has no headers")?;
    let mut names = Vec::new();
    let mut data = Vec::with_capacity(1_024);
    for name in SIGNED_HEADERS {
        // A verifier takes occurrences from the last one up (RFC 6376 §5.4.2).
        for field in fields.iter().rev().filter(|field| field.is(name)) {
            names.push(name);
            canonical::header(field, &mut data);
        }
        if OVERSIGNED_HEADERS.contains(&name) {
            names.push(name);
        }
    }
    let body_hash = BASE64.encode(digest(&SHA256, &canonical::body(body)));
    let mut value = format!(
        " v=1; a={}; c=relaxed/relaxed;\r\n d={};\r\n s={}; t={};\r\n h={};\r\n bh={body_hash};\r\n b=",
        key.pair.algorithm(),
        key.domain,
        key.selector,
        at.as_millis().max(0) / 1_000,
        names.chunks(5).map(|some| some.join(":")).collect::<Vec<_>>().join(":\r\n "),
    );
    // The field signs itself, with an empty signature and without its line end.
    canonical::header(&Field { name: b"DKIM-Signature", value: value.as_bytes() }, &mut data);
    data.truncate(data.len() - 2);
    let signature = BASE64.encode(key.pair.sign(&data)?);
    for line in signature.as_bytes().chunks(SIGNATURE_LINE_CHARACTERS) {
        value.push_str("\r\n ");
        value.extend(line.iter().map(|&byte| char::from(byte)));
    }
    Ok(format!("DKIM-Signature:{value}\r\n").into_bytes())
}

impl fmt::Debug for DkimKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { domain, selector, pair: _secret } = self;
        formatter
            .debug_struct("DkimKey")
            .field("domain", domain)
            .field("selector", selector)
            .finish_non_exhaustive()
    }
}
