//! Why a signature was refused, as the AWS gateway says it.

/// By what the gateway answers. The text is for the client: it repeats no secret and nothing the client could not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The request is not signed at all (spec/97 §6.3).
    #[error("Missing Authentication Token")]
    MissingAuthenticationToken,
    /// Something is signed, but a part of the signature is absent, repeated or malformed.
    #[error("{0}")]
    IncompleteSignature(&'static str),
    /// Nobody has this access key. Raised by the caller, who looks keys up.
    #[error("The security token included in the request is invalid.")]
    UnrecognizedClient,
    /// Signed too long ago, or the presigned address is past its end.
    #[error("Signature expired: {signed} is now earlier than {earliest} ({now} - {allowed_minutes} min.)")]
    Expired { signed: String, earliest: String, now: String, allowed_minutes: u64 },
    /// Signed by a clock that is ahead of ours.
    #[error(
        "Signature not yet current: {signed} is still later than {latest} ({now} + {allowed_minutes} min.)"
    )]
    NotYetCurrent { signed: String, latest: String, now: String, allowed_minutes: u64 },
    /// Another secret, or another request than the one that was signed.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access \
         Key and signing method. Consult the service documentation for details."
    )]
    InvalidSignature,
    /// The signature is good, but the body is not the one that it speaks of.
    #[error("{0}")]
    InvalidPayload(&'static str),
}

impl SignatureError {
    /// Every refusal has this HTTP status, as on the gateway (spec/00 §3).
    pub const STATUS: u16 = 403;

    /// The code for `x-amzn-ErrorType`.
    pub const fn aws_code(&self) -> &'static str {
        match self {
            Self::MissingAuthenticationToken => "MissingAuthenticationTokenException",
            Self::IncompleteSignature(_) => "IncompleteSignatureException",
            Self::UnrecognizedClient => "UnrecognizedClientException",
            // SDKs that correct their clock know a skewed one by this code and the answer's Date header.
            Self::Expired { .. }
            | Self::NotYetCurrent { .. }
            | Self::InvalidSignature
            | Self::InvalidPayload(_) => "InvalidSignatureException",
        }
    }
}
