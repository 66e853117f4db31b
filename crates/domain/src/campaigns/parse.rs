//! The wire document of a campaign, read into a plan; what cannot be meant is refused with the reason.

use model::pinpoint as wire;

use super::{EmailContent, Limits, Plan, QuietTime, Start, TREATMENTS_MAX, TemplateRef, Treatment};
use crate::endpoints::Invalid;
use crate::ids::SegmentId;
use crate::time::Timestamp;

/// The largest value of the daily and total limits (spec/95-limits.md §2).
const CAP_MAX: i32 = 100;
/// The largest rate.
const MESSAGES_PER_SECOND_MAX: i32 = 20_000;
/// The shortest MaximumDuration.
const MAXIMUM_DURATION_SECONDS_MIN: i32 = 60;
/// Headers of a mail.
const EMAIL_HEADERS_MAX: usize = 15;

impl Plan {
    /// Reads a WriteCampaignRequest, JSON.
    pub fn parse_document(document: &str) -> Result<Self, Invalid> {
        let request = serde_json::from_str(document).map_err(|error| Invalid::new(error.to_string()))?;
        Self::parse(&request)
    }

    /// Reads a campaign. Members that only other kinds of campaigns use are kept in the document and refused here where
    /// they would change who is messaged or when.
    pub fn parse(request: &wire::WriteCampaignRequest) -> Result<Self, Invalid> {
        let name = request.name.as_deref().unwrap_or_default();
        if name.is_empty() {
            return Err(Invalid::new("Missing Name"));
        }
        let segment = request.segment_id.as_deref().filter(|id| !id.is_empty());
        let segment = SegmentId::new(segment.ok_or_else(|| Invalid::new("Missing SegmentId"))?);
        let segment_version = request.segment_version.map(u32::try_from).transpose();
        let segment_version = segment_version.map_err(|_| Invalid::new("SegmentVersion is negative"))?;
        let schedule = request.schedule.as_ref().ok_or_else(|| Invalid::new("Missing Schedule"))?;
        check_schedule(schedule)?;
        let quiet_time = schedule.quiet_time.as_ref();
        let quiet_time = QuietTime::parse(
            quiet_time.and_then(|quiet_time| quiet_time.start.as_deref()),
            quiet_time.and_then(|quiet_time| quiet_time.end.as_deref()),
        )?;
        let (holdout, treatments) = parse_treatments(request)?;
        Ok(Self {
            name: name.to_owned(),
            segment,
            segment_version,
            holdout,
            treatments,
            limits: parse_limits(request.limits.as_ref())?,
            start: parse_start(&schedule.start_time)?,
            end: schedule.end_time.as_deref().map(|text| parse_instant("EndTime", text)).transpose()?,
            quiet_time,
            is_paused: request.is_paused.unwrap_or(false),
        })
    }
}

fn check_schedule(schedule: &wire::Schedule) -> Result<(), Invalid> {
    match schedule.frequency {
        None | Some(wire::Frequency::Once) => {}
        Some(other) => return Err(Invalid::new(format!("Frequency {other} is not supported yet"))),
    }
    if schedule.is_local_time == Some(true) {
        return Err(Invalid::new("IsLocalTime is not supported yet"));
    }
    Ok(())
}

fn parse_start(text: &str) -> Result<Start, Invalid> {
    if text == "IMMEDIATE" {
        return Ok(Start::Immediate);
    }
    parse_instant("StartTime", text).map(Start::At)
}

fn parse_instant(member: &str, text: &str) -> Result<Timestamp, Invalid> {
    Timestamp::parse(text)
        .ok_or_else(|| Invalid::new(format!("{member} must be IMMEDIATE or an ISO 8601 date, not {text:?}")))
}

/// Reads limits; 0 is no limit for Daily and Total (spec/50 §5).
pub fn parse_limits(limits: Option<&wire::CampaignLimits>) -> Result<Limits, Invalid> {
    let Some(limits) = limits else { return Ok(Limits::default()) };
    let within = |name: &str, value: Option<i32>, from: i32, to: i32| match value {
        None => Ok(None),
        Some(value) if (from..=to).contains(&value) => Ok(Some(value as u32)),
        Some(value) => Err(Invalid::new(format!("{name} must lie between {from} and {to}, not {value}"))),
    };
    let none_if_zero = |value: Option<u32>| value.filter(|&value| value > 0);
    within("Session", limits.session, 0, CAP_MAX)?;
    Ok(Limits {
        daily: none_if_zero(within("Daily", limits.daily, 0, CAP_MAX)?),
        total: none_if_zero(within("Total", limits.total, 0, CAP_MAX)?),
        messages_per_second: within(
            "MessagesPerSecond",
            limits.messages_per_second,
            1,
            MESSAGES_PER_SECOND_MAX,
        )?,
        maximum_duration_seconds: within(
            "MaximumDuration",
            limits.maximum_duration,
            MAXIMUM_DURATION_SECONDS_MIN,
            i32::MAX,
        )?,
        daily_is_shared: false,
    })
}

/// Gives each treatment its cohorts: the additional ones from 0 on, then the default one, then the holdout.
fn parse_treatments(
    request: &wire::WriteCampaignRequest,
) -> Result<(std::ops::Range<u8>, Vec<Treatment>), Invalid> {
    let percent = |name: &str, value: i32| {
        u8::try_from(value)
            .ok()
            .filter(|value| *value <= 100)
            .ok_or_else(|| Invalid::new(format!("{name} must lie between 0 and 100, not {value}")))
    };
    let holdout = percent("HoldoutPercent", request.holdout_percent.unwrap_or(0))?;
    let additional = request.additional_treatments.as_deref().unwrap_or_default();
    if additional.len() >= TREATMENTS_MAX {
        return Err(Invalid::new(format!("A campaign has at most {TREATMENTS_MAX} treatments")));
    }
    let mut treatments = Vec::with_capacity(additional.len() + 1);
    let mut next = 0u8;
    for treatment in additional {
        if treatment.schedule.is_some() {
            return Err(Invalid::new("Schedule of an additional treatment is not supported yet"));
        }
        let size = percent("SizePercent", treatment.size_percent)?;
        let end = next.checked_add(size).filter(|end| *end <= 100 - holdout);
        let end =
            end.ok_or_else(|| Invalid::new("SizePercent and HoldoutPercent add up to more than 100"))?;
        let email =
            parse_email(treatment.message_configuration.as_ref(), treatment.template_configuration.as_ref())?;
        treatments.push(Treatment { cohorts: next..end, email });
        next = end;
    }
    let email = parse_email(request.message_configuration.as_ref(), request.template_configuration.as_ref())?;
    treatments.insert(0, Treatment { cohorts: next..100 - holdout, email });
    if treatments.iter().all(|treatment| treatment.email.is_none()) && !has_other_message(request) {
        return Err(Invalid::new("Either MessageConfiguration or TemplateConfiguration is required"));
    }
    Ok((100 - holdout..100, treatments))
}

/// Some message of a channel that is not mail: endpoints of that channel are skipped by name until the channel is built.
fn has_other_message(request: &wire::WriteCampaignRequest) -> bool {
    request.message_configuration.is_some() || request.template_configuration.is_some()
}

fn parse_email(
    message: Option<&wire::MessageConfiguration>,
    template: Option<&wire::TemplateConfiguration>,
) -> Result<Option<EmailContent>, Invalid> {
    let message = message.and_then(|message| message.email_message.as_ref());
    let template = template.and_then(|template| template.email_template.as_ref());
    if message.is_none() && template.is_none() {
        return Ok(None);
    }
    let mut content = EmailContent::default();
    if let Some(wire::CampaignEmailMessage { body, from_address, headers, html_body, title }) = message {
        let headers = headers.as_deref().unwrap_or_default();
        if headers.len() > EMAIL_HEADERS_MAX {
            return Err(Invalid::new(format!("A mail has at most {EMAIL_HEADERS_MAX} headers")));
        }
        content = EmailContent {
            from: from_address.clone(),
            subject: title.clone(),
            html: html_body.clone(),
            text: body.clone(),
            headers: headers.iter().filter_map(header).collect(),
            template: None,
        };
    }
    content.template = template.map(parse_template).transpose()?;
    if content.template.is_none() && content.html.is_none() && content.text.is_none() {
        return Err(Invalid::new("EmailMessage needs HtmlBody or Body, or an EmailTemplate"));
    }
    Ok(Some(content))
}

fn header(header: &wire::MessageHeader) -> Option<(String, String)> {
    Some((header.name.clone()?, header.value.clone().unwrap_or_default()))
}

/// Reads a reference to a template; `latest` and no version both mean the version in force (spec/97 §1.7).
pub(crate) fn parse_template(template: &wire::Template) -> Result<TemplateRef, Invalid> {
    let name = template.name.clone().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Invalid::new("Template needs a Name"))?;
    let version = match template.version.as_deref() {
        None | Some("" | "latest") => None,
        Some(text) => {
            let version: u32 = text
                .parse()
                .map_err(|_| Invalid::new(format!("Template version {text:?} is not a number")))?;
            Some(version)
        }
    };
    Ok(TemplateRef { name, version })
}
