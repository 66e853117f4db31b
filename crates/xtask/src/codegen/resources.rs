//! Which file an operation, and with it the shapes that only its resource uses, is printed into.

use anyhow::{Context, bail};

use super::ir::Protocol;

pub(crate) fn resource(protocol: Protocol, operation: &str, path: &str) -> anyhow::Result<&'static str> {
    match protocol {
        Protocol::RestJson => by_path(path),
        Protocol::Json10 => by_name(operation),
    }
}

/// The first noun of the path; jobs and KPIs are nouns of their own wherever they hang.
fn by_path(path: &str) -> anyhow::Result<&'static str> {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).skip(1).collect();
    if segments.contains(&"kpis") {
        return Ok("kpis");
    }
    if segments.contains(&"jobs") {
        return Ok("jobs");
    }
    if segments.contains(&"inappmessages") {
        return Ok("in_app_messages");
    }
    let noun = match segments.as_slice() {
        ["apps", _, noun, ..] | [noun, ..] => *noun,
        [] => "",
    };
    Ok(match noun {
        "apps" => "apps",
        "attributes" => "attributes",
        "campaigns" => "campaigns",
        "channels" => "channels",
        "endpoints" => "endpoints",
        "events" => "events",
        "eventstream" => "event_streams",
        "journeys" => "journeys",
        "messages" | "users-messages" => "messages",
        "otp" | "verify-otp" => "otp",
        "phone" => "phone",
        "recommenders" => "recommenders",
        "segments" => "segments",
        "settings" => "settings",
        "tags" => "tags",
        "templates" => "templates",
        "users" => "users",
        _ => bail!("no resource for the path {path}: name one in codegen/resources.rs"),
    })
}

fn by_name(operation: &str) -> anyhow::Result<&'static str> {
    BY_NAME
        .iter()
        .find(|(_, operations)| operations.contains(&operation))
        .map(|(resource, _)| *resource)
        .with_context(|| format!("no resource for {operation}: name one in codegen/resources.rs"))
}

#[rustfmt::skip]
const BY_NAME: &[(&str, &[&str])] = &[
    ("account", &["DescribeAccountAttributes", "DescribeAccountLimits"]),
    ("configuration_sets", &[
        "CreateConfigurationSet", "CreateEventDestination", "DeleteConfigurationSet", "DeleteDefaultMessageType",
        "DeleteDefaultSenderId", "DeleteEventDestination", "DescribeConfigurationSets",
        "SetDefaultMessageFeedbackEnabled", "SetDefaultMessageType", "SetDefaultSenderId", "UpdateEventDestination",
    ]),
    ("keywords", &["DeleteKeyword", "DescribeKeywords", "PutKeyword"]),
    ("notify", &[
        "CreateNotifyConfiguration", "DeleteNotifyConfiguration", "DescribeNotifyConfigurations",
        "DescribeNotifyTemplates", "ListNotifyCountries", "SendNotifyTextMessage", "SendNotifyVoiceMessage",
        "UpdateNotifyConfiguration",
    ]),
    ("opt_out_lists", &[
        "CreateOptOutList", "DeleteOptOutList", "DeleteOptedOutNumber", "DescribeOptOutLists",
        "DescribeOptedOutNumbers", "PutOptedOutNumber",
    ]),
    ("phone_numbers", &[
        "CarrierLookup", "DescribePhoneNumbers", "ReleasePhoneNumber", "RequestPhoneNumber", "UpdatePhoneNumber",
    ]),
    ("pools", &[
        "AssociateOriginationIdentity", "CreatePool", "DeletePool", "DescribePools", "DisassociateOriginationIdentity",
        "ListPoolOriginationIdentities", "UpdatePool",
    ]),
    ("protect", &[
        "AssociateProtectConfiguration", "CreateProtectConfiguration", "DeleteAccountDefaultProtectConfiguration",
        "DeleteProtectConfiguration", "DeleteProtectConfigurationRuleSetNumberOverride",
        "DescribeProtectConfigurations", "DisassociateProtectConfiguration", "GetProtectConfigurationCountryRuleSet",
        "ListProtectConfigurationRuleSetNumberOverrides", "PutProtectConfigurationRuleSetNumberOverride",
        "SetAccountDefaultProtectConfiguration", "UpdateProtectConfiguration",
        "UpdateProtectConfigurationCountryRuleSet",
    ]),
    ("rcs_agents", &[
        "CreateRcsAgent", "DeleteRcsAgent", "DescribeRcsAgentCountryLaunchStatus", "DescribeRcsAgents",
        "UpdateRcsAgent",
    ]),
    ("registrations", &[
        "CreateRegistration", "CreateRegistrationAssociation", "CreateRegistrationAttachment",
        "CreateRegistrationVersion", "DeleteRegistration", "DeleteRegistrationAttachment",
        "DeleteRegistrationFieldValue", "DescribeRegistrationAttachments", "DescribeRegistrationFieldDefinitions",
        "DescribeRegistrationFieldValues", "DescribeRegistrationSectionDefinitions",
        "DescribeRegistrationTypeDefinitions", "DescribeRegistrationVersions", "DescribeRegistrations",
        "DiscardRegistrationVersion", "ListRegistrationAssociations", "PutRegistrationFieldValue",
        "SubmitRegistrationVersion",
    ]),
    ("resource_policies", &["DeleteResourcePolicy", "GetResourcePolicy", "PutResourcePolicy"]),
    ("sender_ids", &["DescribeSenderIds", "ReleaseSenderId", "RequestSenderId", "UpdateSenderId"]),
    ("sending", &["PutMessageFeedback", "SendMediaMessage", "SendTextMessage", "SendVoiceMessage"]),
    ("spend_limits", &[
        "DeleteMediaMessageSpendLimitOverride", "DeleteNotifyMessageSpendLimitOverride",
        "DeleteTextMessageSpendLimitOverride", "DeleteVoiceMessageSpendLimitOverride", "DescribeSpendLimits",
        "SetMediaMessageSpendLimitOverride", "SetNotifyMessageSpendLimitOverride", "SetTextMessageSpendLimitOverride",
        "SetVoiceMessageSpendLimitOverride",
    ]),
    ("tags", &["ListTagsForResource", "TagResource", "UntagResource"]),
    ("verified_numbers", &[
        "CreateVerifiedDestinationNumber", "DeleteVerifiedDestinationNumber", "DescribeVerifiedDestinationNumbers",
        "SendDestinationNumberVerificationCode", "VerifyDestinationNumber",
    ]),
];
