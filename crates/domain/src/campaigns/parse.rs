//! The wire document of a campaign, read into a plan; what cannot be meant is refused with the reason.

use model::pinpoint as wire;

use super::messages::{Messages, parse_messages};
use super::{Limits, Plan, QuietTime, Start, TREATMENTS_MAX, Treatment};
use crate::endpoints::Invalid;
use crate::ids::SegmentId;
use crate::time::Timestamp;

/// The largest value of the daily and total limits (spec/95-limits.md §2).
const CAP_MAX: i32 = 100;
/// Characters of the name of a campaign or treatment.
const NAME_CHARACTERS_MAX: usize = 256;
/// Characters of a description.
const DESCRIPTION_CHARACTERS_MAX: usize = 4_096;
/// The largest rate.
const MESSAGES_PER_SECOND_MAX: i32 = 20_000;
/// The shortest `MaximumDuration`.
const MAXIMUM_DURATION_SECONDS_MIN: i32 = 60;

impl Plan {
    /// Reads a `WriteCampaignRequest`, JSON.
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
        check_lengths(request)?;
        let segment = request.segment_id.as_deref().filter(|id| !id.is_empty());
        let segment = SegmentId::new(segment.ok_or_else(|| Invalid::new("Missing SegmentId"))?);
        let segment_version = request.segment_version.map(u32::try_from).transpose();
        let segment_version = segment_version.map_err(|_| Invalid::new("SegmentVersion is negative"))?;
        let schedule = request.schedule.as_ref().ok_or_else(|| Invalid::new("Missing Schedule"))?;
        check_schedule(schedule)?;
        let start = parse_start(&schedule.start_time)?;
        let end = schedule.end_time.as_deref().map(|text| parse_instant("EndTime", text)).transpose()?;
        if let (Start::At(start), Some(end)) = (start, end)
            && end <= start
        {
            return Err(Invalid::new("EndTime must lie after StartTime"));
        }
        check_hook(request.hook.as_ref())?;
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
            start,
            end,
            quiet_time,
            is_paused: request.is_paused.unwrap_or(false),
        })
    }
}

/// The service documents no limits of these texts; what is shown in lists is bounded as other names are.
fn check_lengths(request: &wire::WriteCampaignRequest) -> Result<(), Invalid> {
    let own = [
        ("Name", &request.name),
        ("Description", &request.description),
        ("TreatmentName", &request.treatment_name),
        ("TreatmentDescription", &request.treatment_description),
    ];
    let of_treatments = request.additional_treatments.iter().flatten().flat_map(|treatment| {
        let (name, description) = (&treatment.treatment_name, &treatment.treatment_description);
        [("TreatmentName", name), ("TreatmentDescription", description)]
    });
    for (member, text) in own.into_iter().chain(of_treatments) {
        let max = if member.ends_with("Name") { NAME_CHARACTERS_MAX } else { DESCRIPTION_CHARACTERS_MAX };
        if text.as_ref().is_some_and(|text| text.chars().count() > max) {
            return Err(Invalid(format!("{member} has more than {max} characters")));
        }
    }
    Ok(())
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

/// Refuses a hook that would have to filter the audience: to ignore it would send to those whom it keeps out. One for
/// DELIVERY has no effect (spec/50 §8), and an empty one is none (spec/97 §1.6).
fn check_hook(hook: Option<&wire::CampaignHook>) -> Result<(), Invalid> {
    let Some(hook) = hook.filter(|hook| is_set(hook)) else { return Ok(()) };
    if hook.mode == Some(wire::Mode::Delivery) {
        return Ok(());
    }
    Err(Invalid::new("A Hook with Mode FILTER is not supported yet in this version"))
}

/// Refuses a hook that a new campaign would inherit from its application, as [`Plan::parse`] refuses the campaign's own.
pub fn check_inherited_hook(
    own: Option<&wire::CampaignHook>,
    inherited: Option<&wire::CampaignHook>,
) -> Result<(), Invalid> {
    if own.is_some_and(is_set) {
        return Ok(());
    }
    check_hook(inherited).map_err(|_| {
        Invalid::new(
            "The application's CampaignHook has Mode FILTER, which is not supported yet in this version",
        )
    })
}

fn is_set(hook: &wire::CampaignHook) -> bool {
    [&hook.lambda_function_name, &hook.web_url].into_iter().flatten().any(|text| !text.is_empty())
}

/// Two schedules say the same: a client sends back what it read, where the service has filled in what was left out.
fn is_same_schedule(one: &wire::Schedule, other: &wire::Schedule) -> bool {
    let quiet_time = |schedule: &wire::Schedule| {
        let quiet_time = schedule.quiet_time.clone().unwrap_or_default();
        (quiet_time.start.unwrap_or_default(), quiet_time.end.unwrap_or_default())
    };
    let instant = |text: &str| parse_start(text).ok();
    let end = |schedule: &wire::Schedule| schedule.end_time.as_deref().and_then(Timestamp::parse);
    instant(&one.start_time) == instant(&other.start_time)
        && end(one) == end(other)
        && one.frequency.unwrap_or(wire::Frequency::Once) == other.frequency.unwrap_or(wire::Frequency::Once)
        && one.is_local_time.unwrap_or(false) == other.is_local_time.unwrap_or(false)
        && one.timezone.as_deref().unwrap_or("UTC") == other.timezone.as_deref().unwrap_or("UTC")
        && quiet_time(one) == quiet_time(other)
        && one.event_filter == other.event_filter
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

/// Reads limits. 0 of Daily and Total says that there is no limit (spec/50 §5); a rate or duration of 0 says nothing: clients
/// send it for what they do not set (spec/97 §13).
pub fn parse_limits(limits: Option<&wire::CampaignLimits>) -> Result<Limits, Invalid> {
    let Some(limits) = limits else { return Ok(Limits::default()) };
    let within = |name: &str, value: Option<i32>, from: i32, to: i32| match value {
        None => Ok(None),
        Some(value) if (from..=to).contains(&value) => Ok(Some(value as u32)),
        Some(value) => Err(Invalid::new(format!("{name} must lie between {from} and {to}, not {value}"))),
    };
    let set = |value: Option<i32>| value.filter(|value| *value != 0);
    let per_second = set(limits.messages_per_second);
    let duration = set(limits.maximum_duration);
    within("Session", limits.session, 0, CAP_MAX)?;
    Ok(Limits {
        daily: within("Daily", limits.daily, 0, CAP_MAX)?,
        total: within("Total", limits.total, 0, CAP_MAX)?,
        messages_per_second: within("MessagesPerSecond", per_second, 1, MESSAGES_PER_SECOND_MAX)?,
        maximum_duration_seconds: within(
            "MaximumDuration",
            duration,
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
        let own = treatment.schedule.as_ref();
        if own.is_some_and(|own| !request.schedule.as_ref().is_some_and(|it| is_same_schedule(own, it))) {
            return Err(Invalid::new("A treatment with a Schedule of its own is not supported yet"));
        }
        let size = percent("SizePercent", treatment.size_percent)?;
        let end = next.checked_add(size).filter(|end| *end <= 100 - holdout);
        let end =
            end.ok_or_else(|| Invalid::new("SizePercent and HoldoutPercent add up to more than 100"))?;
        let messages = parse_messages(
            treatment.message_configuration.as_ref(),
            treatment.template_configuration.as_ref(),
            treatment.custom_delivery_configuration.as_ref(),
        )?;
        treatments.push(new_treatment(next..end, messages)?);
        next = end;
    }
    let messages = parse_messages(
        request.message_configuration.as_ref(),
        request.template_configuration.as_ref(),
        request.custom_delivery_configuration.as_ref(),
    )?;
    treatments.insert(0, new_treatment(next..100 - holdout, messages)?);
    Ok((100 - holdout..100, treatments))
}

fn new_treatment(cohorts: std::ops::Range<u8>, messages: Messages) -> Result<Treatment, Invalid> {
    let Messages { email, channels } = messages;
    if channels.is_empty() {
        return Err(Invalid::new(
            "Each treatment needs a message: either MessageConfiguration or TemplateConfiguration is required",
        ));
    }
    Ok(Treatment { cohorts, email, channels })
}
