//! Lower-case hexadecimal text, in which signatures and payload hashes are written.

use ring::digest;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// `bytes` as lower-case digits.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 0xf)]));
    }
    text
}

/// The 32 bytes of 64 lower-case digits; `None` for any other text. Upper case is refused, so that a signature has one
/// spelling only.
pub(crate) fn decode(text: &str) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = (digit(pair[0])? << 4) | digit(pair[1])?;
    }
    Some(bytes)
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

/// The SHA-256 of `bytes` as 64 lower-case digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    encode(digest::digest(&digest::SHA256, bytes).as_ref())
}
