//! Bodies in chunks (`aws-chunked`), with or without a signature for each chunk.
//!
//! ```text
//! 10000;chunk-signature=<64 hex>\r\n   size in hexadecimal
//! <65536 bytes>\r\n
//! 0;chunk-signature=<64 hex>\r\n       the last chunk is empty
//! \r\n
//! ```
//! Without signatures, trailing headers may stand before the last empty line. Signed chunks have no trailing headers.

use bytes::{Bytes, BytesMut};
use hyper::HeaderMap;
use ring::hmac;

use super::error::SignatureError;
use super::{Scope, hex};

/// Bytes of the line before a chunk, and of a trailing header.
const LINE_BYTES_MAX: usize = 1024;

/// What each chunk's signature is checked against; the chain starts at the signature of the request.
#[derive(Debug)]
pub(super) struct ChunkSignatures<'a> {
    pub(super) key: &'a hmac::Key,
    pub(super) timestamp: &'a str,
    pub(super) scope: Scope<'a>,
    pub(super) seed: [u8; 32],
}

impl ChunkSignatures<'_> {
    pub(super) fn string_to_sign(&self, chunk: &[u8]) -> String {
        let mut text = String::from("AWS4-HMAC-SHA256-PAYLOAD\n");
        text.push_str(self.timestamp);
        text.push('\n');
        self.scope.push_to(&mut text);
        for hash in [hex::encode(&self.seed), hex::sha256(b""), hex::sha256(chunk)] {
            text.push('\n');
            text.push_str(&hash);
        }
        text
    }

    fn check(&mut self, signature: [u8; 32], chunk: &[u8]) -> Result<(), SignatureError> {
        hmac::verify(self.key, self.string_to_sign(chunk).as_bytes(), &signature)
            .map_err(|_| SignatureError::InvalidSignature)?;
        self.seed = signature;
        Ok(())
    }
}

/// The bytes that the chunks hold. `signatures` is `None` where the chunks are not signed.
pub(super) fn decode(
    body: &[u8],
    headers: &HeaderMap,
    mut signatures: Option<ChunkSignatures<'_>>,
) -> Result<Bytes, SignatureError> {
    let mut rest = body;
    let mut decoded = BytesMut::with_capacity(body.len());
    loop {
        let line = take_line(&mut rest)?;
        let (size, signature) = line.split_once(';').unwrap_or((line, ""));
        let size = parse_size(size).filter(|size| *size <= rest.len()).ok_or(MALFORMED)?;
        let (chunk, after) = rest.split_at(size);
        rest = after;
        if let Some(signatures) = &mut signatures {
            let signature =
                signature.strip_prefix("chunk-signature=").and_then(hex::decode).ok_or(MALFORMED)?;
            signatures.check(signature, chunk)?;
        }
        if size == 0 {
            break;
        }
        rest = rest.strip_prefix(b"\r\n").ok_or(MALFORMED)?;
        decoded.extend_from_slice(chunk);
    }
    skip_trailer(rest, signatures.is_none())?;
    check_length(headers, decoded.len())?;
    Ok(decoded.freeze())
}

const MALFORMED: SignatureError =
    SignatureError::InvalidPayload("The body is not well-formed aws-chunked data");

fn take_line<'a>(rest: &mut &'a [u8]) -> Result<&'a str, SignatureError> {
    let window = &rest[..rest.len().min(LINE_BYTES_MAX)];
    let end = window.windows(2).position(|pair| pair == b"\r\n").ok_or(MALFORMED)?;
    let line = std::str::from_utf8(&rest[..end]).map_err(|_| MALFORMED)?;
    *rest = &rest[end + 2..];
    Ok(line)
}

fn parse_size(text: &str) -> Option<usize> {
    // The standard parser would take a leading plus sign.
    if text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        usize::from_str_radix(text, 16).ok()
    } else {
        None
    }
}

fn skip_trailer(mut rest: &[u8], headers_allowed: bool) -> Result<(), SignatureError> {
    loop {
        let line = take_line(&mut rest)?;
        if line.is_empty() {
            break;
        }
        if !headers_allowed || !line.contains(':') {
            return Err(MALFORMED);
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(MALFORMED) }
}

fn check_length(headers: &HeaderMap, length: usize) -> Result<(), SignatureError> {
    let Some(declared) = headers.get("x-amz-decoded-content-length") else { return Ok(()) };
    if declared.to_str().ok().and_then(|text| text.parse::<usize>().ok()) == Some(length) {
        Ok(())
    } else {
        Err(SignatureError::InvalidPayload(
            "x-amz-decoded-content-length does not match the body that was received",
        ))
    }
}
