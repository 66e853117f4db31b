//! Which names an application's events may have: the quotas of spec/20-events.md §1 and spec/95-limits.md §2.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::EventFault;
use crate::names::NameHashes;

/// Custom event types of an application.
pub const EVENT_TYPES_MAX: usize = 1_500;
/// Keys of attributes of all events of an application.
pub const ATTRIBUTE_KEYS_MAX: usize = 500;
/// Keys of metrics of all events of an application.
pub const METRIC_KEYS_MAX: usize = 500;

/// Types that the service and its SDKs define (spec/20 §3): every other one is a custom type.
const RESERVED_TYPES: [&str; 17] = [
    "_session.start",
    "_session.stop",
    "_session.pause",
    "_session.resume",
    "_userauth.sign_in",
    "_userauth.sign_up",
    "_userauth.auth_fail",
    "_monetization.purchase",
    "_campaign.opened_notification",
    "_campaign.received_foreground",
    "_campaign.received_background",
    "_journey.opened_notification",
    "_journey.received_foreground",
    "_journey.received_background",
    "_inapp.message_displayed",
    "_inapp.message_clicked",
    "_inapp.message_dismissed",
];

/// What a name in an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum NameKind {
    Type,
    AttributeKey,
    MetricKey,
}

/// A name in an event, borrowed from the body.
pub type Name<'a> = (NameKind, Cow<'a, str>);

/// How many names of each kind an application may have, and what an event is refused with that brings another one.
const QUOTAS: [(NameKind, usize, EventFault); 3] = [
    (NameKind::Type, EVENT_TYPES_MAX, EventFault::TooManyTypes),
    (NameKind::AttributeKey, ATTRIBUTE_KEYS_MAX, EventFault::TooManyAttributeKeys),
    (NameKind::MetricKey, METRIC_KEYS_MAX, EventFault::TooManyMetricKeys),
];

/// Every name that the events of an application have had, by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventNames([BTreeSet<String>; QUOTAS.len()]);

impl EventNames {
    /// Adds the names of an event, all or none of them. Answers whether one was new.
    pub fn take(&mut self, names: &[Name<'_>]) -> Result<bool, EventFault> {
        let new: BTreeSet<(u8, &str)> = names
            .iter()
            .filter(|(kind, name)| !self.contains(*kind, name))
            .map(|(kind, name)| (*kind as u8, name.as_ref()))
            .collect();
        for (kind, max, fault) in QUOTAS {
            let added = new.iter().filter(|(of, _)| *of == kind as u8).count();
            if added > 0 && self.0[kind as usize].len() + added > max {
                return Err(fault);
            }
        }
        for (kind, name) in &new {
            self.0[usize::from(*kind)].insert((*name).to_owned());
        }
        Ok(!new.is_empty())
    }

    /// The names as hashes, for [`super::EventBatch::parse_known`].
    pub fn hashes(&self) -> NameHashes {
        let kept = QUOTAS.iter().zip(&self.0);
        let kept = kept.flat_map(|((kind, ..), names)| names.iter().map(|name| (*kind as u8, name.as_str())));
        kept.chain(RESERVED_TYPES.map(|name| (NameKind::Type as u8, name))).collect()
    }

    fn contains(&self, kind: NameKind, name: &str) -> bool {
        (kind == NameKind::Type && RESERVED_TYPES.contains(&name)) || self.0[kind as usize].contains(name)
    }
}
