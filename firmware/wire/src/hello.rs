//! Hello, node to gateway on each connect: a CBOR map that says what the node is and how it fared. Unknown keys are
//! skipped, so a newer node may say more.

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

use crate::{
    Channel, Refusal, RefusalReason, channel::MAX_CODE, error::ControlError,
    limits::MAX_HELLO_TEXT, receipt,
};

/// Why the node started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ResetReason {
    #[default]
    Unknown = 0,
    PowerOn = 1,
    External = 2,
    Watchdog = 3,
    Brownout = 4,
    Software = 5,
    Panic = 6,
    DeepSleep = 7,
}

impl ResetReason {
    const ALL: [Self; 8] = [
        Self::Unknown,
        Self::PowerOn,
        Self::External,
        Self::Watchdog,
        Self::Brownout,
        Self::Software,
        Self::Panic,
        Self::DeepSleep,
    ];

    /// The reason of a code; a code of a later version is `Unknown`.
    pub fn from_code(code: u8) -> Self {
        Self::ALL
            .get(usize::from(code))
            .copied()
            .unwrap_or_default()
    }

    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::PowerOn => "power_on",
            Self::External => "external",
            Self::Watchdog => "watchdog",
            Self::Brownout => "brownout",
            Self::Software => "software",
            Self::Panic => "panic",
            Self::DeepSleep => "deep_sleep",
        }
    }
}

impl<C> Encode<C> for ResetReason {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        e.u8(*self as u8)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for ResetReason {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        d.u8().map(Self::from_code)
    }
}

impl<C> Encode<C> for RefusalReason {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        e.u8(self.code())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for RefusalReason {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        d.u8().map(Self::from_code)
    }
}

/// What the node is and how it fared. Missing fields are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Hello<'a> {
    /// Firmware version, at most 16 bytes.
    #[b(0)]
    pub firmware: Option<&'a str>,
    /// Board, at most 16 bytes.
    #[b(1)]
    pub board: Option<&'a str>,
    /// The current boot.
    #[n(2)]
    pub boot: Option<u64>,
    /// Why it started.
    #[n(3)]
    pub reset_reason: Option<ResetReason>,
    /// Battery, millivolts.
    #[n(4)]
    pub battery_mv: Option<u16>,
    /// Received signal strength, dBm.
    #[n(5)]
    pub rssi_dbm: Option<i16>,
    /// Version of the configuration in force.
    #[n(6)]
    pub config_version: Option<u32>,
    /// Readings overwritten in the outbox since the node's first start.
    #[n(7)]
    pub dropped: Option<u32>,
    /// Readings in the outbox without a receipt.
    #[n(8)]
    pub pending: Option<u32>,
    /// Milliseconds since the start.
    #[n(9)]
    pub uptime_ms: Option<u64>,
    /// Version of the last configuration that was refused, since it was; `None` once one was taken.
    #[n(10)]
    pub refused_version: Option<u32>,
    /// Why that was refused; present also when its version could not be read.
    #[n(11)]
    pub refused_reason: Option<RefusalReason>,
    /// The channel whose setting was at fault, as a code.
    #[b(12)]
    pub refused_channel: Option<&'a str>,
    /// The newest format of configurations that the firmware reads; `None`: 1.
    #[n(13)]
    pub config_format: Option<u8>,
}

impl<'a> Hello<'a> {
    /// The configuration that the node does not take.
    pub fn refusal(&self) -> Option<Refusal> {
        Some(Refusal {
            version: self.refused_version,
            reason: self.refused_reason?,
            channel: self.refused_channel.and_then(Channel::parse),
        })
    }

    /// Writes it to the front of `buffer`.
    pub fn encode<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], ControlError> {
        self.check()?;
        receipt::encode(self, buffer)
    }

    /// Reads it.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, ControlError> {
        let hello: Self = minicbor::decode(bytes).map_err(|_| ControlError::Malformed)?;
        hello.check()?;
        Ok(hello)
    }

    fn check(&self) -> Result<(), ControlError> {
        let texts = [self.firmware, self.board];
        let long = texts
            .into_iter()
            .flatten()
            .any(|text| text.len() > MAX_HELLO_TEXT);
        if long
            || self
                .refused_channel
                .is_some_and(|code| code.len() > MAX_CODE)
        {
            return Err(ControlError::TooLong);
        }
        Ok(())
    }
}
