//! The wire: types and operation tables of the two AWS services that Counterpoint answers.
//!
//! [`pinpoint`] (REST-JSON, 2016-12-01) and [`sms_voice_v2`] (JSON 1.0, 2022-03-31) are printed by `cargo xtask
//! codegen` from a pinned `botocore` package and committed; everything else here is written by hand. Each service is
//! split by resource, shapes that several resources use are in its `shared`, and all names are re-exported flat:
//! `model::pinpoint::WriteCampaignRequest`.
//!
//! Start reading at [`Operation`]: an operation is a type without fields that knows its two shapes, its place in the
//! protocol ([`OperationSpec`]), and how both are read from and written to a request. [`RequestParts`] is what is left
//! of an HTTP request once it has been routed; [`OperationVisitor`] walks all operations of a service by type.
//!
//! Shape names are those of `botocore` (`APNSChannelRequest`, `WriteSegmentRequest`), so that one search finds a name in
//! AWS's reference and here; the exceptions are listed in `crates/xtask/src/codegen/overrides.rs`. Member names are in
//! snake case. Required members are plain, all others `Option`. A decoded value is well formed, not valid: ranges,
//! lengths and combinations are for `domain` to judge.
//!
//! What this crate must not know: HTTP types, a clock, a database, authentication, and what any of the shapes *does*.

#![expect(clippy::struct_excessive_bools, reason = "the member types are AWS's")]

mod attributes;
mod operation;
pub mod pinpoint;
mod request;
pub mod sms_voice_v2;
mod values;

pub use self::operation::{NoOutput, Operation, OperationSpec, OperationVisitor, Service};
pub use self::request::{DecodeError, RequestParts};
pub use self::values::{Blob, EpochSeconds, IsoTimestamp, UnknownValue};
