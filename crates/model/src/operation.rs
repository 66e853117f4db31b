//! What an operation is: two shapes, a line in the operation table, and the way between shapes and requests.

use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::request::{DecodeError, RequestParts, document};

/// One operation of a service. Implemented by generated types without fields, such as
/// [`CreateCampaign`](crate::pinpoint::CreateCampaign).
///
/// A server calls [`decode`](Self::decode) and [`encode`](Self::encode). The other two are the client's direction; tests use them,
/// and they make the codec checkable as a pair of inverses.
pub trait Operation: Send + Sync + 'static {
    /// The path labels, the query and, where the operation has one, the body as a member of its own.
    type Input: Serialize + DeserializeOwned + Debug + Clone + PartialEq + Send + Sync + 'static;

    /// The response body. The wrapper that SDKs put around it (`CreateCampaignResponse`) does not exist on the wire.
    type Output: Serialize + DeserializeOwned + Debug + Clone + PartialEq + Send + Sync + 'static;

    const SPEC: &'static OperationSpec;

    /// The input, from the path labels, query and body.
    fn decode(request: &RequestParts<'_>) -> Result<Self::Input, DecodeError>;

    /// The path labels, query and body that [`decode`](Self::decode) reads as this input.
    fn encode_input(input: &Self::Input) -> Result<RequestParts<'static>, serde_json::Error>;

    /// The response body; empty for operations that answer [`NoOutput`].
    fn encode(output: &Self::Output) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(output)
    }

    /// The output, from a response body.
    fn decode_output(body: &[u8]) -> Result<Self::Output, DecodeError> {
        document(body)
    }
}

/// Called with every operation of a service, as a type: the way to do something for each of them.
///
/// See [`pinpoint::visit_operations`](crate::pinpoint::visit_operations) and
/// [`sms_voice_v2::visit_operations`](crate::sms_voice_v2::visit_operations).
pub trait OperationVisitor {
    fn visit<O: Operation>(&mut self);
}

/// A line of the operation table: what a router and an authoriser have to know about an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperationSpec {
    pub service: Service,
    /// The name in AWS's reference, for example `CreateCampaign`.
    pub name: &'static str,
    /// The HTTP method, in upper case.
    pub method: &'static str,
    /// The path template, for example `/v1/apps/{application-id}/campaigns`. A label stands for one raw path segment.
    /// Always `/` where the operation is named by the `X-Amz-Target` header instead.
    pub path: &'static str,
    /// The HTTP status of success.
    pub status: u16,
    /// The IAM action, for example `mobiletargeting:CreateCampaign`.
    pub action: &'static str,
    /// The resource part of the ARN that is authorised, for example `apps/{application-id}/campaigns`; `{resource-arn}`
    /// where the label is the whole ARN; `*` where the path does not name a resource.
    pub resource: &'static str,
    /// Whether a call can change something: the method is not GET or, in JSON 1.0, the name does not begin with
    /// `Describe`, `Get` or `List`.
    pub mutating: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// Amazon Pinpoint, 2016-12-01: REST-JSON.
    Pinpoint,
    /// AWS End User Messaging SMS and Voice, v2, 2022-03-31: JSON 1.0, every request is a POST to `/`.
    SmsVoiceV2,
}

impl Service {
    /// The service's name in a credential scope and in ARNs; also the prefix of its IAM actions.
    pub const fn signing_name(self) -> &'static str {
        match self {
            Self::Pinpoint => "mobiletargeting",
            Self::SmsVoiceV2 => "sms-voice",
        }
    }

    /// What stands before `.<operation>` in the `X-Amz-Target` header; none for REST.
    pub const fn target_prefix(self) -> Option<&'static str> {
        match self {
            Self::Pinpoint => None,
            Self::SmsVoiceV2 => Some("PinpointSMSVoiceV2"),
        }
    }
}

/// The output of an operation that answers without a body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoOutput {}
