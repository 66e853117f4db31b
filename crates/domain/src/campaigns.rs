//! Campaigns: the plan that a client wrote, and who is messaged (spec/50-campaigns.md).
//!
//! [`Plan::parse`] reads the wire document and answers what is wrong with it; [`decide`] judges one endpoint at the moment of
//! sending, on its current state, and names the reason when nothing is sent.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::channels::ChannelType;
use crate::endpoints::{Endpoint, EndpointStatus, Invalid, OptOut};
use crate::ids::SegmentId;
use crate::records::SendStatus;
use crate::time::Timestamp;

mod messages;
mod parse;
mod quiet_time;
mod received;
#[cfg(test)]
mod tests;

pub use messages::parse_template;
pub use parse::{check_inherited_hook, parse_limits};
pub use quiet_time::QuietTime;
pub use received::{Received, ReceivedRow};

/// Treatments of a campaign, the default one included (spec/50 §3).
pub const TREATMENTS_MAX: usize = 5;
/// How long after its due time a run that could not start still starts, when no `MaximumDuration` says otherwise.
pub const START_GRACE: Duration = Duration::from_hours(1);
/// The period of the daily limit.
pub const DAILY_PERIOD: Duration = Duration::from_hours(24);

/// What a campaign does.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub name: String,
    pub segment: SegmentId,
    /// `None`: the version that is current when the campaign is made.
    pub segment_version: Option<u32>,
    /// Cohorts that get nothing.
    pub holdout: Range<u8>,
    /// The default treatment first.
    pub treatments: Vec<Treatment>,
    pub limits: Limits,
    pub start: Start,
    pub end: Option<Timestamp>,
    pub quiet_time: Option<QuietTime>,
    pub is_paused: bool,
}

/// When the run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Immediate,
    At(Timestamp),
}

/// A message and the cohorts that get it.
#[derive(Debug, Clone, PartialEq)]
pub struct Treatment {
    pub cohorts: Range<u8>,
    pub email: Option<EmailContent>,
    /// Channels that it has a message for, also those that nothing can be sent on yet.
    pub channels: BTreeSet<ChannelType>,
}

/// What is mailed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EmailContent {
    /// The channel's when absent.
    pub from: Option<String>,
    pub subject: Option<String>,
    pub html: Option<String>,
    pub text: Option<String>,
    pub headers: Vec<(String, String)>,
    /// A template of the account: subject and bodies come from it where the message has none.
    pub template: Option<TemplateRef>,
}

/// A template of the account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TemplateRef {
    pub name: String,
    pub version: TemplateVersion,
}

/// Which version of a template (spec/40-templates.md §2, spec/97 §1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TemplateVersion {
    /// The one in force when the message is sent.
    Active,
    /// The newest one when the message is sent, in force or not.
    Latest,
    Number(u32),
}

/// Limits of a campaign, or an application's defaults for them. `None`: not said, so that a default holds if there is one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Messages to an endpoint in 24 hours. 0: any number, whatever the default says.
    pub daily: Option<u32>,
    /// Messages to an endpoint over all runs. 0: any number, whatever the default says.
    pub total: Option<u32>,
    pub messages_per_second: Option<u32>,
    /// From the scheduled start, in seconds.
    pub maximum_duration_seconds: Option<u32>,
    /// Whether `daily` is the application's, which counts the messages of all campaigns together.
    pub daily_is_shared: bool,
}

/// What happens to one endpoint.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Send the treatment's message.
    Deliver { treatment: u8, channel: ChannelType, address: String },
    /// Nothing is sent, for a reason.
    Skip { treatment: u8, status: SendStatus },
}

impl Plan {
    /// The treatment of a cohort; `None` in the holdout.
    pub fn treatment_of(&self, cohort: u8) -> Option<u8> {
        if self.holdout.contains(&cohort) {
            return None;
        }
        self.treatments.iter().position(|treatment| treatment.cohorts.contains(&cohort)).map(|at| at as u8)
    }

    /// When the run is due.
    pub fn due(&self, now: Timestamp) -> Timestamp {
        match self.start {
            Start::Immediate => now,
            Start::At(at) => at,
        }
    }

    /// After this instant nothing of a run that was due at `scheduled` is sent any more.
    pub fn expires(&self, scheduled: Timestamp) -> Timestamp {
        match self.limits.maximum_duration_seconds {
            Some(seconds) => scheduled.plus(Duration::from_secs(u64::from(seconds))),
            None => Timestamp::MAX,
        }
    }

    /// Whether a run that becomes due at `due` will ever start: what a client is told when it sets the time.
    pub fn check_start(&self, due: Timestamp, now: Timestamp) -> Result<(), Invalid> {
        if self.end.is_some_and(|end| end <= due.max(now)) {
            return Err(Invalid::new("EndTime lies in the past"));
        }
        if !self.may_start(due, now) {
            return Err(Invalid::new("StartTime lies too far in the past"));
        }
        Ok(())
    }

    /// Whether a run that was due at `scheduled` may still start.
    pub fn may_start(&self, scheduled: Timestamp, now: Timestamp) -> bool {
        let grace = self
            .limits
            .maximum_duration_seconds
            .map_or(START_GRACE, |seconds| Duration::from_secs(u64::from(seconds)));
        now <= scheduled.plus(grace) && self.end.is_none_or(|end| now <= end)
    }
}

impl Limits {
    /// The limits in force: these, and an application's defaults where nothing is said (spec/50 §5).
    #[must_use]
    pub fn or_defaults(&self, defaults: &Self) -> Self {
        let limit = |own: Option<u32>, default: Option<u32>| own.or(default).filter(|limit| *limit > 0);
        let daily = limit(self.daily, defaults.daily);
        Self {
            daily,
            total: limit(self.total, defaults.total),
            messages_per_second: self.messages_per_second.or(defaults.messages_per_second),
            maximum_duration_seconds: self.maximum_duration_seconds.or(defaults.maximum_duration_seconds),
            daily_is_shared: self.daily.is_none() && daily.is_some(),
        }
    }
}

/// Decides about one endpoint of a run, on its state now (spec/50 §7). The plan's limits are those in force
/// ([`Limits::or_defaults`]). `enabled` says whether a channel of the application can be sent on. The order of the tests is the order in which reasons win.
pub fn decide(
    plan: &Plan,
    campaign: &str,
    endpoint: Option<&Endpoint>,
    received: &Received,
    enabled: impl Fn(ChannelType) -> bool,
    now: Timestamp,
) -> Decision {
    let skip = |treatment: u8, status: SendStatus| Decision::Skip { treatment, status };
    let Some(endpoint) = endpoint else { return skip(0, SendStatus::EndpointDeleted) };
    let treatment = plan.treatment_of(endpoint.cohort);
    let shown = treatment.unwrap_or(0);
    if endpoint.opt_out == OptOut::All {
        return skip(shown, SendStatus::OptOut);
    }
    if endpoint.status == EndpointStatus::Inactive {
        return skip(shown, SendStatus::Inactive);
    }
    let Some(channel) = endpoint.channel_type else { return skip(shown, SendStatus::MissingChannel) };
    let address = endpoint.address.as_deref().or(channel.needs_no_address().then_some(""));
    let Some(address) = address else { return skip(shown, SendStatus::MissingAddress) };
    let Some(treatment) = treatment else { return skip(0, SendStatus::Holdout) };
    let message = &plan.treatments[usize::from(treatment)];
    if !message.channels.contains(&channel) {
        return skip(treatment, SendStatus::ChannelMismatch);
    }
    if channel != ChannelType::Email || message.email.is_none() || !enabled(channel) {
        return skip(treatment, SendStatus::UnsupportedChannel);
    }
    if let Some(status) = received.exceeds(&plan.limits, campaign, now) {
        return skip(treatment, status);
    }
    let zone = endpoint.demographic.timezone.as_deref();
    if plan.quiet_time.as_ref().is_some_and(|quiet_time| quiet_time.holds(zone, now)) {
        return skip(treatment, SendStatus::QuietTime);
    }
    Decision::Deliver { treatment, channel, address: address.to_owned() }
}
