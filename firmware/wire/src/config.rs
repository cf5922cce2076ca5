//! Node configuration, gateway to node, retained: CBOR map `{0: version, 1: sample_every_s, 2: send_every_s, 3: [code…]}`.
//! The node takes a configuration only if its version is newer than the one in force.

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

use crate::{Channel, error::ControlError, limits::MAX_CONFIG_CHANNELS, receipt};

/// The channels that a node samples.
pub type Channels = heapless::Vec<Channel, MAX_CONFIG_CHANNELS>;

/// What a node shall do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// Rises with each change.
    pub version: u32,
    /// Seconds from one sample to the next.
    pub sample_every_s: u32,
    /// Seconds that a reading waits at most for others to travel with.
    pub send_every_s: u32,
    /// What to sample; empty: every channel that the board has.
    pub channels: Channels,
}

impl Default for NodeConfig {
    /// What a node does until it is told: every channel, every quarter of an hour, sent at once.
    fn default() -> Self {
        Self {
            version: 0,
            sample_every_s: 900,
            send_every_s: 0,
            channels: Channels::new(),
        }
    }
}

impl NodeConfig {
    /// Writes it to the front of `buffer`.
    pub fn encode<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], ControlError> {
        receipt::encode(self, buffer)
    }

    /// Reads it. Unknown keys are skipped; missing ones keep their default, but a version there must be.
    pub fn decode(bytes: &[u8]) -> Result<Self, ControlError> {
        let raw: Raw = minicbor::decode(bytes).map_err(|_| ControlError::Malformed)?;
        let default = Self::default();
        Ok(Self {
            version: raw.version,
            sample_every_s: raw.sample_every_s.unwrap_or(default.sample_every_s),
            send_every_s: raw.send_every_s.unwrap_or(default.send_every_s),
            channels: raw
                .channels
                .map_or(Ok(default.channels), |Codes(channels)| channels)?,
        })
    }
}

#[derive(Decode)]
#[cbor(map)]
struct Raw {
    #[n(0)]
    version: u32,
    #[n(1)]
    sample_every_s: Option<u32>,
    #[n(2)]
    send_every_s: Option<u32>,
    #[n(3)]
    channels: Option<Codes>,
}

struct Codes(Result<Channels, ControlError>);

impl<'b, C> Decode<'b, C> for Codes {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        let mut channels = Ok(Channels::new());
        for code in d.array_iter::<&str>()? {
            let channel = Channel::parse(code?).ok_or(ControlError::BadChannel);
            channels = channels.and_then(|mut list: Channels| {
                list.push(channel?).map_err(|_| ControlError::TooLong)?;
                Ok(list)
            });
        }
        Ok(Self(channels))
    }
}

impl<C> Encode<C> for NodeConfig {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        e.map(4)?
            .u8(0)?
            .u32(self.version)?
            .u8(1)?
            .u32(self.sample_every_s)?
            .u8(2)?
            .u32(self.send_every_s)?;
        e.u8(3)?.array(self.channels.len() as u64)?;
        self.channels
            .iter()
            .try_for_each(|channel| e.str(&channel.code())?.ok())
    }
}
