//! The closed set of channel types (spec/10-endpoints-users.md §1).

use std::fmt;

use serde::{Deserialize, Serialize};

/// How an endpoint is reached. Stored by position: append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ChannelType {
    Push,
    Gcm,
    Apns,
    ApnsSandbox,
    ApnsVoip,
    ApnsVoipSandbox,
    Adm,
    Sms,
    Voice,
    Email,
    Baidu,
    Custom,
    InApp,
}

impl ChannelType {
    pub const ALL: [Self; 13] = [
        Self::Push,
        Self::Gcm,
        Self::Apns,
        Self::ApnsSandbox,
        Self::ApnsVoip,
        Self::ApnsVoipSandbox,
        Self::Adm,
        Self::Sms,
        Self::Voice,
        Self::Email,
        Self::Baidu,
        Self::Custom,
        Self::InApp,
    ];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Push => "PUSH",
            Self::Gcm => "GCM",
            Self::Apns => "APNS",
            Self::ApnsSandbox => "APNS_SANDBOX",
            Self::ApnsVoip => "APNS_VOIP",
            Self::ApnsVoipSandbox => "APNS_VOIP_SANDBOX",
            Self::Adm => "ADM",
            Self::Sms => "SMS",
            Self::Voice => "VOICE",
            Self::Email => "EMAIL",
            Self::Baidu => "BAIDU",
            Self::Custom => "CUSTOM",
            Self::InApp => "IN_APP",
        }
    }

    /// The channel of a wire name; `None` for a name that does not exist.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.as_str() == name)
    }

    /// Reaches an app on a device: what the segment value PUSH stands for (spec/30-segments.md §3).
    pub const fn is_push(self) -> bool {
        matches!(
            self,
            Self::Push
                | Self::Gcm
                | Self::Apns
                | Self::ApnsSandbox
                | Self::ApnsVoip
                | Self::ApnsVoipSandbox
                | Self::Adm
                | Self::Baidu
        )
    }

    /// A user's oldest endpoint of these channels gives way to a 16th one (spec/10-endpoints-users.md §6; the sandbox of
    /// APNs does not: spec/97 C12).
    pub const fn gives_way(self) -> bool {
        matches!(
            self,
            Self::Adm | Self::Gcm | Self::Apns | Self::ApnsVoip | Self::ApnsVoipSandbox | Self::Baidu
        )
    }

    /// An address as it is compared: whoever writes a mail address in other letters' case means the same mailbox. What is
    /// stored and shown stays as it was sent.
    pub fn folded_address(self, address: &str) -> String {
        if self == Self::Email { address.to_lowercase() } else { address.to_owned() }
    }

    /// An endpoint of this channel is reached without an address.
    pub const fn needs_no_address(self) -> bool {
        matches!(self, Self::InApp)
    }
}

impl fmt::Display for ChannelType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
