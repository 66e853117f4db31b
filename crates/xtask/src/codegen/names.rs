//! Names: from the wire's to Rust's.

use anyhow::{bail, ensure};

/// `GPSPointDimension` → `gps_point_dimension`, `E164PhoneNumber` → `e164_phone_number`.
pub(crate) fn snake_case(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (index, &char) in chars.iter().enumerate() {
        if char.is_ascii_uppercase() && index > 0 {
            let previous = chars[index - 1];
            let next_is_lower = chars.get(index + 1).is_some_and(char::is_ascii_lowercase);
            if !previous.is_ascii_uppercase() || next_is_lower {
                snake.push('_');
            }
        }
        snake.push(char.to_ascii_lowercase());
    }
    snake
}

/// What serde's `rename_all = "PascalCase"` makes of a field name.
pub(crate) fn pascal_case(snake: &str) -> String {
    snake.split('_').map(capitalised).collect()
}

/// `APNS_VOIP_SANDBOX` → `ApnsVoipSandbox`, `iso-country-code` → `IsoCountryCode`, `HR_24` → `Hr24`.
pub(crate) fn variant(value: &str) -> anyhow::Result<String> {
    let mut name = String::new();
    for word in value.split(['_', '-']) {
        ensure!(
            word.chars().all(|c| c.is_ascii_alphanumeric()),
            "cannot make a name of the enum value {value}"
        );
        name.push_str(&capitalised(&word.to_ascii_lowercase()));
    }
    if !name.starts_with(|c: char| c.is_ascii_uppercase()) {
        bail!("cannot make a name of the enum value {value}");
    }
    Ok(name)
}

/// A field name as it can stand in Rust.
pub(crate) fn identifier(snake: &str) -> String {
    const KEYWORDS: &[&str] =
        &["enum", "final", "in", "loop", "match", "mod", "move", "ref", "type", "use", "where"];
    if KEYWORDS.contains(&snake) { format!("r#{snake}") } else { snake.to_owned() }
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    match chars.next() {
        Some(first) => first.to_ascii_uppercase().to_string() + chars.as_str(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_names() {
        let check = |wire: &str, rust: &str| assert_eq!(snake_case(wire), rust);
        check("ApplicationId", "application_id");
        check("GPSPoint", "gps_point");
        check("E164PhoneNumber", "e164_phone_number");
        check("CleansedPhoneNumberE164", "cleansed_phone_number_e164");
        check("RequestID", "request_id");
        check("S3UrlPrefix", "s3_url_prefix");
        check("tags", "tags");
        assert_eq!(pascal_case("gps_point"), "GpsPoint");
        assert_eq!(identifier("type"), "r#type");
    }

    #[test]
    fn variant_names() {
        let check = |value: &str, rust: &str| assert_eq!(variant(value).unwrap(), rust);
        check("APNS_VOIP_SANDBOX", "ApnsVoipSandbox");
        check("iso-country-code", "IsoCountryCode");
        check("HR_24", "Hr24");
        assert!(variant("24_HR").is_err());
        assert!(variant("A B").is_err());
        assert!(variant("").is_err());
    }
}
