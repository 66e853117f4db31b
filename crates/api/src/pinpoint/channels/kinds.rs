//! What is particular to each type of channel.

use domain::channels::ChannelType;
use model::pinpoint as wire;
use serde_json::{Value, json};

use super::{AUTHENTICATION_METHOD, ChannelKind, Members, has_text};
use crate::error::ApiError;

/// Messages a second through a channel, as answers say it. Nothing here is limited so; AWS's samples show these numbers.
const EMAIL_MESSAGES_PER_SECOND: u32 = 1;
const SMS_MESSAGES_PER_SECOND: u32 = 20;
/// Characters of a sender id.
const SENDER_ID_CHARACTERS_MAX: usize = 11;

/// The text that clients know (spec/97 §6.2).
const MISSING_CREDENTIALS: &str = "Missing credentials";

pub(in super::super) struct Adm;
pub(in super::super) struct Apns;
pub(in super::super) struct ApnsSandbox;
pub(in super::super) struct ApnsVoip;
pub(in super::super) struct ApnsVoipSandbox;
pub(in super::super) struct Baidu;
pub(in super::super) struct Email;
pub(in super::super) struct Gcm;
pub(in super::super) struct Sms;
pub(in super::super) struct Voice;

impl ChannelKind for Adm {
    type Request = wire::ADMChannelRequest;
    type Response = wire::ADMChannelResponse;
    const CHANNEL: ChannelType = ChannelType::Adm;
    const SECRETS: &'static [&'static str] = &["ClientId", "ClientSecret"];

    fn check(members: &mut Members) -> Result<(), ApiError> {
        require(members, &["ClientId", "ClientSecret"])
    }
}

impl ChannelKind for Baidu {
    type Request = wire::BaiduChannelRequest;
    type Response = wire::BaiduChannelResponse;
    const CHANNEL: ChannelType = ChannelType::Baidu;
    /// Not the `ApiKey`: the answer shows it, as `Credential`.
    const SECRETS: &'static [&'static str] = &["SecretKey"];

    fn check(members: &mut Members) -> Result<(), ApiError> {
        require(members, &["ApiKey", "SecretKey"])
    }

    fn extra(members: &Members) -> Vec<(&'static str, Value)> {
        vec![("Credential", members.get("ApiKey").cloned().unwrap_or_default())]
    }
}

impl ChannelKind for Gcm {
    type Request = wire::GCMChannelRequest;
    type Response = wire::GCMChannelResponse;
    const CHANNEL: ChannelType = ChannelType::Gcm;
    const SECRETS: &'static [&'static str] = &["ApiKey", "ServiceJson"];
    const CREDENTIALS: &'static [&'static str] = &["ApiKey", "ServiceJson"];

    fn check(members: &mut Members) -> Result<(), ApiError> {
        let (has_key, has_service) = (has_text(members, "ApiKey"), has_text(members, "ServiceJson"));
        if has_service {
            let service: Result<Members, _> =
                serde_json::from_str(members["ServiceJson"].as_str().unwrap_or_default());
            if service.is_err() {
                return Err(ApiError::bad_request("ServiceJson is not a JSON object"));
            }
        }
        authentication_method(members, &[("KEY", has_key), ("TOKEN", has_service)])
    }

    fn extra(members: &Members) -> Vec<(&'static str, Value)> {
        vec![("HasFcmServiceCredentials", json!(has_text(members, "ServiceJson")))]
    }
}

impl ChannelKind for Email {
    type Request = wire::EmailChannelRequest;
    type Response = wire::EmailChannelResponse;
    const CHANNEL: ChannelType = ChannelType::Email;

    fn check(members: &mut Members) -> Result<(), ApiError> {
        require(members, &["FromAddress", "Identity"])?;
        let from = members["FromAddress"].as_str().unwrap_or_default();
        if !from.contains('@') || from.contains(['\r', '\n']) {
            return Err(ApiError::bad_request("FromAddress is not an email address"));
        }
        Ok(())
    }

    fn extra(_: &Members) -> Vec<(&'static str, Value)> {
        vec![("MessagesPerSecond", json!(EMAIL_MESSAGES_PER_SECOND))]
    }
}

impl ChannelKind for Sms {
    type Request = wire::SMSChannelRequest;
    type Response = wire::SMSChannelResponse;
    const CHANNEL: ChannelType = ChannelType::Sms;

    fn check(members: &mut Members) -> Result<(), ApiError> {
        let sender_id = members.get("SenderId").and_then(Value::as_str).unwrap_or_default();
        if sender_id.chars().count() > SENDER_ID_CHARACTERS_MAX {
            let text = format!("SenderId has more than {SENDER_ID_CHARACTERS_MAX} characters");
            return Err(ApiError::bad_request(text));
        }
        Ok(())
    }

    fn extra(_: &Members) -> Vec<(&'static str, Value)> {
        vec![
            ("PromotionalMessagesPerSecond", json!(SMS_MESSAGES_PER_SECOND)),
            ("TransactionalMessagesPerSecond", json!(SMS_MESSAGES_PER_SECOND)),
        ]
    }
}

impl ChannelKind for Voice {
    type Request = wire::VoiceChannelRequest;
    type Response = wire::VoiceChannelResponse;
    const CHANNEL: ChannelType = ChannelType::Voice;

    fn check(_: &mut Members) -> Result<(), ApiError> {
        Ok(())
    }
}

impl ChannelKind for Apns {
    type Request = wire::APNSChannelRequest;
    type Response = wire::APNSChannelResponse;
    const CHANNEL: ChannelType = ChannelType::Apns;
    const SECRETS: &'static [&'static str] = APNS_SECRETS;
    const CREDENTIALS: &'static [&'static str] = APNS_CREDENTIALS;

    fn check(members: &mut Members) -> Result<(), ApiError> {
        check_apns(members)
    }

    fn extra(members: &Members) -> Vec<(&'static str, Value)> {
        apns_extra(members)
    }
}

impl ChannelKind for ApnsSandbox {
    type Request = wire::APNSSandboxChannelRequest;
    type Response = wire::APNSSandboxChannelResponse;
    const CHANNEL: ChannelType = ChannelType::ApnsSandbox;
    const SECRETS: &'static [&'static str] = APNS_SECRETS;
    const CREDENTIALS: &'static [&'static str] = APNS_CREDENTIALS;

    fn check(members: &mut Members) -> Result<(), ApiError> {
        check_apns(members)
    }

    fn extra(members: &Members) -> Vec<(&'static str, Value)> {
        apns_extra(members)
    }
}

impl ChannelKind for ApnsVoip {
    type Request = wire::APNSVoipChannelRequest;
    type Response = wire::APNSVoipChannelResponse;
    const CHANNEL: ChannelType = ChannelType::ApnsVoip;
    const SECRETS: &'static [&'static str] = APNS_SECRETS;
    const CREDENTIALS: &'static [&'static str] = APNS_CREDENTIALS;

    fn check(members: &mut Members) -> Result<(), ApiError> {
        check_apns(members)
    }

    fn extra(members: &Members) -> Vec<(&'static str, Value)> {
        apns_extra(members)
    }
}

impl ChannelKind for ApnsVoipSandbox {
    type Request = wire::APNSVoipSandboxChannelRequest;
    type Response = wire::APNSVoipSandboxChannelResponse;
    const CHANNEL: ChannelType = ChannelType::ApnsVoipSandbox;
    const SECRETS: &'static [&'static str] = APNS_SECRETS;
    const CREDENTIALS: &'static [&'static str] = APNS_CREDENTIALS;

    fn check(members: &mut Members) -> Result<(), ApiError> {
        check_apns(members)
    }

    fn extra(members: &Members) -> Vec<(&'static str, Value)> {
        apns_extra(members)
    }
}

const APNS_SECRETS: &[&str] = &["Certificate", "PrivateKey", "TokenKey"];
const APNS_CREDENTIALS: &[&str] =
    &["BundleId", "Certificate", "PrivateKey", "TeamId", "TokenKey", "TokenKeyId"];

fn check_apns(members: &mut Members) -> Result<(), ApiError> {
    let has_all = |names: &[&str]| names.iter().all(|name| has_text(members, name));
    let has_certificate = has_all(&["Certificate", "PrivateKey"]);
    let has_token = has_all(&["BundleId", "TeamId", "TokenKey", "TokenKeyId"]);
    authentication_method(members, &[("CERTIFICATE", has_certificate), ("TOKEN", has_token)])
}

fn apns_extra(members: &Members) -> Vec<(&'static str, Value)> {
    vec![("HasTokenKey", json!(has_text(members, "TokenKey")))]
}

/// Checks the default method of authentication against the credentials that are there, or chooses the first possible one.
fn authentication_method(members: &mut Members, methods: &[(&str, bool)]) -> Result<(), ApiError> {
    let Some((possible, _)) = methods.iter().find(|(_, has_credentials)| *has_credentials) else {
        return Err(ApiError::bad_request(MISSING_CREDENTIALS));
    };
    if !has_text(members, AUTHENTICATION_METHOD) {
        members.insert(AUTHENTICATION_METHOD.to_owned(), json!(possible));
        return Ok(());
    }
    let asked = members[AUTHENTICATION_METHOD].as_str().unwrap_or_default();
    match methods.iter().find(|(method, _)| asked.eq_ignore_ascii_case(method)) {
        None => Err(ApiError::bad_request(format!("Invalid {AUTHENTICATION_METHOD}"))),
        Some((_, false)) => Err(ApiError::bad_request(MISSING_CREDENTIALS)),
        Some((method, true)) => {
            members.insert(AUTHENTICATION_METHOD.to_owned(), json!(method));
            Ok(())
        }
    }
}

fn require(members: &Members, names: &[&str]) -> Result<(), ApiError> {
    match names.iter().find(|name| !has_text(members, name)) {
        Some(name) => Err(ApiError::bad_request(format!("Missing {name}"))),
        None => Ok(()),
    }
}
