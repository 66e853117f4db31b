//! The canonical request: the one text on which signer and verifier must agree.
//!
//! Rules: AWS documentation "Create a signed AWS API request", for every service but S3 (path normalised and encoded a
//! second time); where it leaves room, what the `aws-sigv4` crate does.

use std::borrow::Cow;
use std::fmt::Write as _;

use hyper::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

use super::Request;

/// Everything but RFC 3986 "unreserved" is encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Room for a usual canonical request, so that it is allocated once.
const CANONICAL_REQUEST_BYTES: usize = 1024;

/// How a service wants the path in the canonical request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathStyle {
    /// Dot segments and empty segments removed, then encoded once more: every service but S3.
    Normalised,
    /// As sent: S3.
    AsSent,
}

/// A signed header is not in the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MissingHeader;

/// The canonical request, in bytes, since header values need not be UTF-8.
pub(super) fn canonical_request(
    request: &Request<'_>,
    style: PathStyle,
    signed_headers: &str,
    payload_line: &str,
) -> Result<Vec<u8>, MissingHeader> {
    let mut text = Vec::with_capacity(CANONICAL_REQUEST_BYTES);
    text.extend_from_slice(request.method.as_bytes());
    text.push(b'\n');
    match style {
        PathStyle::Normalised => push_path(&mut text, request.path),
        PathStyle::AsSent if request.path.is_empty() => text.push(b'/'),
        PathStyle::AsSent => text.extend_from_slice(request.path.as_bytes()),
    }
    text.push(b'\n');
    if !request.query.is_empty() {
        text.extend_from_slice(canonical_query(request.query).as_bytes());
    }
    text.push(b'\n');
    for name in signed_headers.split(';') {
        push_header(&mut text, request.headers, name)?;
    }
    text.push(b'\n');
    text.extend_from_slice(signed_headers.as_bytes());
    text.push(b'\n');
    text.extend_from_slice(payload_line.as_bytes());
    Ok(text)
}

/// The path without empty and dot segments (RFC 3986 §5.2.4), each segment encoded once more: a `%` becomes `%25`.
fn push_path(text: &mut Vec<u8>, path: &str) {
    let mut segments: Vec<&str> = Vec::new();
    let mut ends_with_slash = true;
    for segment in path.split('/') {
        ends_with_slash = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            _ => segments.push(segment),
        }
    }
    for segment in &segments {
        text.push(b'/');
        push_encoded(text, segment.as_bytes());
    }
    if ends_with_slash || segments.is_empty() {
        text.push(b'/');
    }
}

fn push_encoded(text: &mut Vec<u8>, bytes: &[u8]) {
    for piece in percent_encode(bytes, ENCODED) {
        text.extend_from_slice(piece.as_bytes());
    }
}

/// Names and values decoded, encoded strictly, and sorted in their encoded form. The signature itself is left out.
fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (reencoded(name), reencoded(value)))
        .filter(|(name, _)| name != "X-Amz-Signature")
        .collect();
    pairs.sort_unstable();
    let mut text = String::with_capacity(query.len() + pairs.len());
    for (name, value) in &pairs {
        let separator = if text.is_empty() { "" } else { "&" };
        // Writing to a String cannot fail.
        let _ = write!(text, "{separator}{name}={value}");
    }
    text
}

/// A plus sign stands for a space here, as in forms.
fn reencoded(text: &str) -> String {
    let text = if text.contains('+') { Cow::Owned(text.replace('+', " ")) } else { Cow::Borrowed(text) };
    let decoded: Cow<'_, [u8]> = percent_decode(text.as_bytes()).into();
    percent_encode(&decoded, ENCODED).to_string()
}

/// `name:value,value` with outer spaces trimmed and inner runs of spaces made one.
fn push_header(text: &mut Vec<u8>, headers: &HeaderMap, name: &str) -> Result<(), MissingHeader> {
    text.extend_from_slice(name.as_bytes());
    let mut separator = b':';
    for value in headers.get_all(name) {
        text.push(separator);
        separator = b',';
        push_value(text, value.as_bytes());
    }
    text.push(b'\n');
    if separator == b':' { Err(MissingHeader) } else { Ok(()) }
}

fn push_value(text: &mut Vec<u8>, value: &[u8]) {
    let mut words = value.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    if let Some(first) = words.next() {
        text.extend_from_slice(first);
    }
    for word in words {
        text.push(b' ');
        text.extend_from_slice(word);
    }
}
