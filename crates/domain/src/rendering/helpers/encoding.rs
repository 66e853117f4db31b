//! Base64, digests and unique ids.

#![expect(clippy::unnecessary_wraps, reason = "one signature for all helpers")]

use std::borrow::Cow;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::Digest;
use ring::digest;

use super::{Arguments, Item, Reason};

pub(super) fn encode64<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    Ok(Item::owned(STANDARD.encode(arguments.text(0).as_bytes())))
}

pub(super) fn decode64<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    let text = arguments.text(0);
    let bytes = STANDARD.decode(text.trim()).map_err(|_| Cow::Borrowed("the text is not Base64"))?;
    let decoded = String::from_utf8(bytes).map_err(|_| Cow::Borrowed("the decoded bytes are not UTF-8"))?;
    Ok(Item::owned(decoded))
}

pub(super) fn md5<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    Ok(Item::owned(hex(&md5::Md5::digest(arguments.text(0).as_bytes()))))
}

pub(super) fn sha256<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    Ok(Item::owned(hex(digest::digest(&digest::SHA256, arguments.text(0).as_bytes()).as_ref())))
}

pub(super) fn sha512<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    Ok(Item::owned(hex(digest::digest(&digest::SHA512, arguments.text(0).as_bytes()).as_ref())))
}

/// A version 4 UUID from the rendering's random value and the number of the call, so that each is different.
pub(super) fn uuid<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    let mut seed = arguments.context.random.to_be_bytes().to_vec();
    seed.extend(arguments.serial.to_be_bytes());
    let mut hex = hex(&digest::digest(&digest::SHA256, &seed).as_ref()[..16]);
    let variant = match hex.as_bytes()[16] & 0b11 {
        0 => "8",
        1 => "9",
        2 => "a",
        _ => "b",
    };
    hex.replace_range(12..13, "4");
    hex.replace_range(16..17, variant);
    Ok(Item::owned(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
