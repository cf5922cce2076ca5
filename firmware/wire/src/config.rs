//! Node configuration, gateway to node, retained: a CBOR map.
//!
//! | key | what | format |
//! |---|---|---|
//! | 0 | version | 1 |
//! | 1 | seconds from sample to sample | 1 |
//! | 2 | seconds that a reading waits at most | 1 |
//! | 3 | `[code…]`: the channels to sample | 1 |
//! | 4 | format: what a reader has to know; absent: 1 | |
//! | 5 | seconds to listen after a connect; absent: stay connected | 2 |
//! | 6 | `[calibration…]`, see [`calibration`](crate::calibration) | 2 |
//! | 7 | `[[code, below or null, above or null]…]`: limits at which to send at once | 2 |
//!
//! The node takes a configuration whole or not at all, and only if its version is above that of the one in force. A
//! configuration is an order: what a node does not understand of it makes it refuse all ([`NewerFormat`]), for half of an
//! order may be worse than the old one. The least format is written that says everything, so a plain configuration reaches
//! older firmware too.
//!
//! [`NewerFormat`]: RefusalReason::NewerFormat

use minicbor::{Decoder, Encode, Encoder, decode, encode};

use crate::{
    Channel, Decimal, Quantity, Refusal, RefusalReason,
    calibration::{Calibration, Calibrations},
    error::ControlError,
    limits::{MAX_CONFIG_CHANNELS, MAX_CONFIG_LIMITS},
    number, receipt,
};

/// The newest format that this version reads.
pub const FORMAT: u8 = 2;

/// Seconds from sample to sample.
pub const SAMPLE_EVERY_S: core::ops::RangeInclusive<u32> = 1..=86_400;
/// Seconds that a reading waits at most.
pub const SEND_EVERY_S: core::ops::RangeInclusive<u32> = 0..=604_800;
/// Seconds to listen.
pub const LISTEN_S: core::ops::RangeInclusive<u16> = 5..=3_600;

/// The channels that a node samples.
pub type Channels = heapless::Vec<Channel, MAX_CONFIG_CHANNELS>;

/// The limits at which a node sends at once.
pub type SendLimits = heapless::Vec<SendLimit, MAX_CONFIG_LIMITS>;

/// A limit at which the node does not wait for others to send with: when a value passes it, either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendLimit {
    /// The channel. One may have several limits: to warn, and to act.
    pub channel: Channel,
    /// The value is low below this.
    pub below: Option<Decimal>,
    /// The value is high above this.
    pub above: Option<Decimal>,
}

/// What a node shall do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// Rises with each change.
    pub version: u32,
    /// Seconds from one sample to the next, in [`SAMPLE_EVERY_S`].
    pub sample_every_s: u32,
    /// Seconds that a reading waits at most for others to travel with, in [`SEND_EVERY_S`].
    pub send_every_s: u32,
    /// What to sample; empty: every channel that the board has.
    pub channels: Channels,
    /// Seconds that the node listens for orders once it has connected to send, in [`LISTEN_S`]; then it disconnects until it
    /// has something to send. `None`: it stays connected.
    pub listen_s: Option<u16>,
    /// Calibrations, at most one a channel.
    pub calibrations: Calibrations,
    /// Limits at which to send at once.
    pub limits: SendLimits,
}

impl Default for NodeConfig {
    /// What a node does until it is told: every channel, every quarter of an hour, sent at once, always connected.
    fn default() -> Self {
        Self {
            version: 0,
            sample_every_s: 900,
            send_every_s: 0,
            channels: Channels::new(),
            listen_s: None,
            calibrations: Calibrations::new(),
            limits: SendLimits::new(),
        }
    }
}

impl NodeConfig {
    /// The least format that says everything that it says.
    pub fn format(&self) -> u8 {
        let plain =
            self.listen_s.is_none() && self.calibrations.is_empty() && self.limits.is_empty();
        if plain { 1 } else { 2 }
    }

    /// The calibration of a channel.
    pub fn calibration(&self, channel: Channel) -> Option<&Calibration> {
        self.calibrations
            .iter()
            .find(|calibration| calibration.channel == channel)
    }

    /// Calls `report` for everything that is wrong with it, as far as can be said here. `board`: the channels that the
    /// board has, if that is known.
    pub fn faults(&self, board: Option<&[Channel]>, report: &mut dyn FnMut(Refusal)) {
        let mut fault = |reason, channel| {
            report(Refusal {
                version: Some(self.version),
                reason,
                channel,
            })
        };
        if !SAMPLE_EVERY_S.contains(&self.sample_every_s) {
            fault(RefusalReason::SampleInterval, None);
        }
        if !SEND_EVERY_S.contains(&self.send_every_s) {
            fault(RefusalReason::SendInterval, None);
        }
        if self
            .listen_s
            .is_some_and(|seconds| !LISTEN_S.contains(&seconds))
        {
            fault(RefusalReason::ListenWindow, None);
        }
        let on_board = |channel: Channel| board.is_none_or(|board| board.contains(&channel));
        for (place, &channel) in self.channels.iter().enumerate() {
            if !on_board(channel) {
                fault(RefusalReason::NotOnBoard, Some(channel));
            }
            if self
                .channels
                .iter()
                .take(place)
                .any(|other| *other == channel)
            {
                fault(RefusalReason::Duplicate, Some(channel));
            }
        }
        let sampled = |channel: Channel| match self.channels.as_slice() {
            [] if on_board(channel) => Ok(()),
            [] => Err(RefusalReason::NotOnBoard),
            channels if channels.contains(&channel) => Ok(()),
            _ => Err(RefusalReason::NotSampled),
        };
        for (place, calibration) in self.calibrations.iter().enumerate() {
            let channel = calibration.channel;
            let earlier = || self.calibrations.iter().take(place);
            if earlier().any(|other| other.channel == channel) {
                fault(RefusalReason::Duplicate, Some(channel));
            }
            for wrong in [sampled(channel), calibration.check()] {
                if let Err(reason) = wrong {
                    fault(reason, Some(channel));
                }
            }
            let temperature = calibration
                .curve
                .temperature()
                .filter(|_| calibration.curve.needs_temperature());
            if let Some(quantity) = temperature
                && !companions(quantity, channel).any(|channel| sampled(channel).is_ok())
            {
                fault(RefusalReason::NoTemperature, Some(channel));
            }
        }
        for limit in &self.limits {
            if let Err(reason) = sampled(limit.channel) {
                fault(reason, Some(limit.channel));
            }
            if !limit.is_sound() {
                fault(RefusalReason::SendLimit, Some(limit.channel));
            }
        }
    }

    /// Refuses it for the first thing that is wrong with it.
    pub fn check(&self, board: Option<&[Channel]>) -> Result<(), Refusal> {
        let mut first = None;
        self.faults(board, &mut |refusal| {
            first.get_or_insert(refusal);
        });
        first.map_or(Ok(()), Err)
    }

    /// Writes it to the front of `buffer`, of [`MAX_CONFIG_BYTES`](crate::limits::MAX_CONFIG_BYTES). Does not
    /// [`check`](Self::check) it.
    pub fn encode<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b [u8], ControlError> {
        receipt::encode(self, buffer)
    }

    /// Reads it and [`check`](Self::check)s it, save for the board. Missing keys keep their default, but a version there
    /// must be.
    pub fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        let (version, format) = head(bytes);
        let refused = |(reason, channel)| Refusal {
            version,
            reason,
            channel,
        };
        if format > FORMAT {
            return Err(refused((RefusalReason::NewerFormat, None)));
        }
        let config = read(bytes)
            .unwrap_or(Err((RefusalReason::Malformed, None)))
            .map_err(refused)?;
        config.check(None)?;
        Ok(config)
    }
}

/// The channels whose value may stand for `quantity` beside `channel`: the same instance, or else the first.
pub fn companions(quantity: Quantity, channel: Channel) -> impl Iterator<Item = Channel> {
    let same = Channel::new(quantity, channel.instance());
    same.into_iter().chain([Channel::first(quantity)])
}

impl SendLimit {
    fn is_sound(&self) -> bool {
        let (low, high) = self.channel.quantity().plausible();
        let possible = |value: Decimal| (low..=high).contains(&value.to_f64());
        match (self.below, self.above) {
            (None, None) => false,
            (Some(below), Some(above)) if below >= above => false,
            (below, above) => below.into_iter().chain(above).all(possible),
        }
    }
}

/// What is wrong, and with which channel.
type Wrong = (RefusalReason, Option<Channel>);

/// Version and format, as far as they can be read past what can't.
fn head(bytes: &[u8]) -> (Option<u32>, u8) {
    let mut found = (None, 1);
    let mut d = Decoder::new(bytes);
    let mut scan = || -> Result<(), decode::Error> {
        for _ in 0..d.map()?.unwrap_or(0) {
            match d.u32()? {
                0 => found.0 = Some(d.u32()?),
                // A format beyond a byte is newer still.
                4 => found.1 = u8::try_from(d.u64()?).unwrap_or(u8::MAX),
                _ => d.skip()?,
            }
        }
        Ok(())
    };
    let _ = scan();
    found
}

/// The outer error is of the bytes, the inner one of what they say.
fn read(bytes: &[u8]) -> Result<Result<NodeConfig, Wrong>, decode::Error> {
    let mut d = Decoder::new(bytes);
    let mut config = NodeConfig::default();
    let mut version = None;
    let keys = d
        .map()?
        .ok_or_else(|| decode::Error::message("a map without a count"))?;
    for _ in 0..keys {
        let read = match d.u32()? {
            0 => {
                version = Some(d.u32()?);
                Ok(())
            }
            1 => {
                config.sample_every_s = d.u32()?;
                Ok(())
            }
            2 => {
                config.send_every_s = d.u32()?;
                Ok(())
            }
            3 => list(&mut d, &mut config.channels, |d| {
                Ok(Channel::parse(d.str()?).ok_or((RefusalReason::UnknownChannel, None)))
            })?,
            4 => {
                d.u8()?;
                Ok(())
            }
            5 => {
                config.listen_s = Some(d.u16()?);
                Ok(())
            }
            6 => list(&mut d, &mut config.calibrations, Calibration::decode)?,
            7 => list(&mut d, &mut config.limits, limit)?,
            _ => Err((RefusalReason::NewerFormat, None)),
        };
        if let Err(wrong) = read {
            return Ok(Err(wrong));
        }
    }
    config.version = version.ok_or_else(|| decode::Error::message("no version"))?;
    Ok(if d.position() == bytes.len() {
        Ok(config)
    } else {
        Err((RefusalReason::Malformed, None))
    })
}

fn list<T, const N: usize>(
    d: &mut Decoder<'_>,
    into: &mut heapless::Vec<T, N>,
    mut one: impl FnMut(&mut Decoder<'_>) -> Result<Result<T, Wrong>, decode::Error>,
) -> Result<Result<(), Wrong>, decode::Error> {
    into.clear();
    let count = d
        .array()?
        .ok_or_else(|| decode::Error::message("a list without a count"))?;
    for _ in 0..count {
        let item = match one(d)? {
            Ok(item) => item,
            Err(wrong) => return Ok(Err(wrong)),
        };
        if into.push(item).is_err() {
            return Ok(Err((RefusalReason::TooLong, None)));
        }
    }
    Ok(Ok(()))
}

fn limit(d: &mut Decoder<'_>) -> Result<Result<SendLimit, Wrong>, decode::Error> {
    if d.array()? != Some(3) {
        return Err(decode::Error::message("a limit has 3 elements"));
    }
    let channel = Channel::parse(d.str()?);
    let (below, above) = (number::read_optional(d)?, number::read_optional(d)?);
    Ok(channel
        .map(|channel| SendLimit {
            channel,
            below,
            above,
        })
        .ok_or((RefusalReason::UnknownChannel, None)))
}

impl<C> Encode<C> for NodeConfig {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        let keys = 4
            + u64::from(self.format() > 1)
            + u64::from(self.listen_s.is_some())
            + u64::from(!self.calibrations.is_empty())
            + u64::from(!self.limits.is_empty());
        e.map(keys)?
            .u8(0)?
            .u32(self.version)?
            .u8(1)?
            .u32(self.sample_every_s)?
            .u8(2)?
            .u32(self.send_every_s)?;
        e.u8(3)?.array(self.channels.len() as u64)?;
        for channel in &self.channels {
            e.str(&channel.code())?;
        }
        if self.format() > 1 {
            e.u8(4)?.u8(self.format())?;
        }
        if let Some(seconds) = self.listen_s {
            e.u8(5)?.u16(seconds)?;
        }
        if !self.calibrations.is_empty() {
            e.u8(6)?.array(self.calibrations.len() as u64)?;
            for calibration in &self.calibrations {
                calibration.encode(e)?;
            }
        }
        if !self.limits.is_empty() {
            e.u8(7)?.array(self.limits.len() as u64)?;
            for limit in &self.limits {
                e.array(3)?.str(&limit.channel.code())?;
                number::write_optional(e, limit.below)?;
                number::write_optional(e, limit.above)?;
            }
        }
        Ok(())
    }
}
