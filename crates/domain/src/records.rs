//! What is written to the log: one record for each thing that happened.
//!
//! A record is a format byte and postcard; it borrows from the bytes that it was read from. The order of the variants is the
//! wire format: append only. Bodies of requests are kept as they came, so that a later consumer can read what an earlier
//! one did not care for.

use serde::{Deserialize, Serialize};

use crate::audience::AttributeKind;
use crate::channels::ChannelType;
use crate::time::Timestamp;

/// The format that is written.
const FORMAT: u8 = 1;

/// Why bytes of the log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("record has the unknown format {0}")]
    UnknownFormat(u8),
    #[error("record does not decode")]
    Malformed,
}

/// A record: to which application it happened, by which request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record<'a> {
    pub account: &'a str,
    pub app: &'a str,
    pub request_id: &'a str,
    #[serde(borrow)]
    pub body: Body<'a>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Body<'a> {
    /// `PutEvents`: the request body as sent (or the items of it that belong to one shard).
    Events {
        json: &'a str,
    },
    /// `UpdateEndpoint` and `UpdateEndpointsBatch`.
    Endpoints {
        #[serde(borrow)]
        items: Vec<EndpointItem<'a>>,
    },
    EndpointDeleted {
        endpoint: &'a str,
    },
    UserDeleted {
        user: &'a str,
    },
    AttributesBlocked {
        kind: AttributeKind,
        #[serde(borrow)]
        patterns: Vec<&'a str>,
    },
    AppDeleted,
    /// A piece of an import job's input.
    Import {
        #[serde(borrow)]
        piece: ImportPiece<'a>,
    },
    /// What became of a claim of an outbox page.
    Outcomes {
        #[serde(borrow)]
        outcomes: Outcomes<'a>,
    },
    /// As `Events`, of an account that has as many endpoints as it may: none is made.
    EventsOfKnown {
        json: &'a str,
    },
    /// As `Import`, of such an account.
    ImportOfKnown {
        #[serde(borrow)]
        piece: ImportPiece<'a>,
    },
    /// As `EndpointDeleted` or `UserDeleted`, by a call that an SDK may repeat: what it deletes is not there to be shown again,
    /// so its answer is kept with the deletion.
    AnsweredDeletion {
        #[serde(borrow)]
        of: Deletion<'a>,
        #[serde(borrow)]
        answer: KeptAnswer<'a>,
    },
}

impl Body<'_> {
    /// Whether endpoints that do not exist are made. Part of the record, because folding knows nothing of quotas.
    pub fn may_create(&self) -> bool {
        !matches!(self, Self::EventsOfKnown { .. } | Self::ImportOfKnown { .. })
    }
}

/// What is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Deletion<'a> {
    /// By its folded id.
    Endpoint(&'a str),
    /// A user with all of its endpoints.
    User(&'a str),
}

/// The answer that a call gets, and every repeat of it until it expires. Of records with the answer to the same call, the
/// first one counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptAnswer<'a> {
    /// Under which row the answer is kept.
    pub row: &'a [u8],
    pub status: u16,
    pub body: &'a [u8],
    pub expires: Timestamp,
}

/// An endpoint and what was said of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointItem<'a> {
    /// As sent, not folded.
    pub id: &'a str,
    /// `EndpointRequest`, JSON.
    pub json: &'a str,
}

/// A piece of an import. Pieces of a job are numbered from 0; a number that was folded already is ignored, so that a job
/// that starts over after a crash counts nothing twice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImportPiece<'a> {
    pub job: &'a str,
    pub number: u64,
    /// The segment and version to which the rows are added.
    pub segment: Option<(&'a str, u32)>,
    /// Rows that name an endpoint; ids are given to those without one before they get here.
    #[serde(borrow)]
    pub endpoints: Vec<EndpointItem<'a>>,
    /// Rows that name only a user.
    #[serde(borrow)]
    pub users: Vec<&'a str>,
    /// False: rows only select endpoints that exist.
    pub register: bool,
    /// Rows that could not be read.
    pub failed: u64,
    /// The first faults, as the job shows them.
    #[serde(borrow)]
    pub failures: Vec<&'a str>,
    /// The job's input ends here; `Some(true)`: one or more of its objects could not be read at all.
    pub last: Option<bool>,
}

/// What became of a claim: the recipients `from..from + items.len()` of an outbox page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcomes<'a> {
    pub page: &'a str,
    pub from: u32,
    /// The campaign, its version, activity and treatment (`0` the default); `None`: a direct message.
    pub campaign: Option<CampaignRef<'a>>,
    #[serde(borrow)]
    pub items: Vec<Outcome<'a>>,
}

/// By which campaign a message was sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CampaignRef<'a> {
    pub campaign: &'a str,
    pub version: u32,
    pub run: &'a str,
}

/// What became of one recipient: flat, with the reason always named.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome<'a> {
    pub delivery_id: &'a str,
    /// Empty for a message to a bare address.
    pub endpoint: &'a str,
    pub ordinal: Option<u32>,
    pub address: &'a str,
    pub channel: Option<ChannelType>,
    /// Of a campaign: 0 the default, 1.. the additional ones.
    pub treatment: u8,
    pub status: SendStatus,
    /// Counted from 1.
    pub attempt: u16,
    pub code: Option<u16>,
    pub detail: &'a str,
    /// When the hand-off began.
    pub sent: Timestamp,
    /// A retry is due then; only with [`SendStatus::Deferred`].
    pub retry_at: Option<Timestamp>,
}

/// Why a message was, or was not, sent: the `campaign_send_status` of spec/20-events.md §6 where it has one. Stored by
/// position: append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SendStatus {
    Success,
    /// Refused by the provider for good.
    FailurePermanent,
    /// Could not be sent within its attempts or its life.
    TransientFailure,
    /// Will be tried again: not final.
    Deferred,
    /// Handed over, and nobody knows what became of it.
    Unknown,
    Holdout,
    DailyCap,
    CampaignCap,
    QuietTime,
    OptOut,
    Inactive,
    MissingAddress,
    ChannelMismatch,
    UnsupportedChannel,
    Expired,
    DuplicateAddress,
    /// The template needs a value that the endpoint does not have, or cannot be rendered.
    RenderingFailure,
    /// The endpoint was deleted after the run began.
    EndpointDeleted,
    Throttled,
    MissingChannel,
    /// The campaign, or its segment, was deleted after the run began.
    Cancelled,
}

impl SendStatus {
    pub const ALL: [Self; 21] = [
        Self::Success,
        Self::FailurePermanent,
        Self::TransientFailure,
        Self::Deferred,
        Self::Unknown,
        Self::Holdout,
        Self::DailyCap,
        Self::CampaignCap,
        Self::QuietTime,
        Self::OptOut,
        Self::Inactive,
        Self::MissingAddress,
        Self::ChannelMismatch,
        Self::UnsupportedChannel,
        Self::Expired,
        Self::DuplicateAddress,
        Self::RenderingFailure,
        Self::EndpointDeleted,
        Self::Throttled,
        Self::MissingChannel,
        Self::Cancelled,
    ];

    /// The name in records and in what is told of a delivery.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::FailurePermanent => "FAILURE_PERMANENT",
            Self::TransientFailure => "TRANSIENT_FAILURE",
            Self::Deferred => "DEFERRED",
            Self::Unknown => "UNKNOWN",
            Self::Holdout => "HOLDOUT",
            Self::DailyCap => "DAILY_CAP",
            Self::CampaignCap => "CAMPAIGN_CAP",
            Self::QuietTime => "QUIET_TIME",
            Self::OptOut => "OPT_OUT",
            Self::Inactive => "ENDPOINT_INACTIVE",
            Self::MissingAddress => "MISSING_ADDRESS",
            Self::ChannelMismatch => "CHANNEL_MISMATCH",
            Self::UnsupportedChannel => "UNSUPPORTED_CHANNEL",
            Self::Expired => "EXPIRED",
            Self::DuplicateAddress => "DUPLICATE_ADDRESS",
            Self::RenderingFailure => "RENDERING_FAILURE",
            Self::EndpointDeleted => "ENDPOINT_DELETED",
            Self::Throttled => "THROTTLED",
            Self::MissingChannel => "MISSING_CHANNEL",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// The name among a campaign's execution metrics: those of spec/70-analytics.md §2 where it has one.
    pub const fn metric(self) -> &'static str {
        match self {
            Self::OptOut => "ENDPOINT_OPT_OUT",
            Self::MissingAddress => "ENDPOINT_MISSING_ADDRESS",
            Self::MissingChannel => "ENDPOINT_MISSING_CHANNEL",
            Self::ChannelMismatch => "ENDPOINT_CHANNEL_MISMATCH",
            Self::DuplicateAddress => "DUPLICATE_ENDPOINT",
            Self::Holdout => "TREATMENT_HOLDOUT",
            Self::FailurePermanent => "PERMANENT_FAILURE",
            Self::DailyCap => "DAILY_CAP_EXCEEDED",
            Self::Success
            | Self::TransientFailure
            | Self::Deferred
            | Self::Unknown
            | Self::CampaignCap
            | Self::QuietTime
            | Self::Inactive
            | Self::UnsupportedChannel
            | Self::Expired
            | Self::RenderingFailure
            | Self::EndpointDeleted
            | Self::Throttled
            | Self::Cancelled => self.as_str(),
        }
    }

    /// A message was made for the recipient, whatever became of it: not withheld by a rule.
    pub const fn was_attempted(self) -> bool {
        matches!(
            self,
            Self::Success
                | Self::FailurePermanent
                | Self::TransientFailure
                | Self::Deferred
                | Self::Unknown
                | Self::RenderingFailure
                | Self::Throttled
        )
    }

    /// The recipient should have got the message and did not: no rule of the campaign or choice of the recipient withheld it.
    pub const fn is_failure(self) -> bool {
        matches!(
            self,
            Self::FailurePermanent
                | Self::TransientFailure
                | Self::UnsupportedChannel
                | Self::Expired
                | Self::RenderingFailure
                | Self::Throttled
                | Self::Cancelled
        )
    }

    /// Nothing more will happen to this recipient.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Deferred)
    }
}

impl<'a> Record<'a> {
    /// The bytes of the record as the log keeps them.
    pub fn encode(&self) -> Vec<u8> {
        let bytes = postcard::to_extend(self, vec![FORMAT]);
        bytes.expect("a record always serialises into memory")
    }

    /// Reads a record.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let Some((&format, payload)) = bytes.split_first() else { return Err(RecordError::Malformed) };
        if format != FORMAT {
            return Err(RecordError::UnknownFormat(format));
        }
        postcard::from_bytes(payload).map_err(|_| RecordError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_as_written() {
        let record = Record {
            account: "123456789012",
            app: "a",
            request_id: "r",
            body: Body::Endpoints { items: vec![EndpointItem { id: "E", json: "{\"Address\":\"ä\"}" }] },
        };
        let bytes = record.encode();
        assert_eq!(Record::decode(&bytes).unwrap(), record);
        assert!(matches!(Record::decode(&[9]), Err(RecordError::UnknownFormat(9))));
        assert!(Record::decode(&bytes[..bytes.len() - 1]).is_err());
        assert!(Record::decode(&[]).is_err());
    }

    #[test]
    fn a_status_has_a_name_of_its_own_everywhere_and_one_meaning() {
        let names: std::collections::BTreeSet<_> = SendStatus::ALL.iter().map(|it| it.as_str()).collect();
        let metrics: std::collections::BTreeSet<_> = SendStatus::ALL.iter().map(|it| it.metric()).collect();
        assert_eq!((names.len(), metrics.len()), (SendStatus::ALL.len(), SendStatus::ALL.len()));
        assert!(!SendStatus::Success.is_failure() && !SendStatus::Unknown.is_failure());
        // Stored by position.
        assert_eq!(postcard::to_allocvec(&SendStatus::Throttled).unwrap(), [18]);
        assert_eq!(postcard::to_allocvec(&SendStatus::Cancelled).unwrap(), [20]);
    }
}
