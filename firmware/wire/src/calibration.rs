//! Calibrations: what turns a probe's raw value into the quantity's own unit. They are part of the node's configuration;
//! here is what they say and which are refused, `sen_node::calibration` applies them.
//!
//! On the wire: CBOR array `[channel, curve, version, at, [[raw, value, temperature or null], …]]`.

use minicbor::{Decoder, Encoder, decode, encode};

use crate::{
    Channel, Decimal, Quantity, RefusalReason,
    limits::{MAX_CALIBRATION_POINTS, MAX_CONFIG_CALIBRATIONS},
    number,
};

mod check;
mod oxygen;

pub use oxygen::saturation_mg_l;

macro_rules! curves {
    ($($variant:ident = $code:literal, $name:literal, $doc:literal;)+) => {
        /// The shape of a calibration. Codes are append-only: they are on the wire and in nodes' flash.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Curve {
            $(#[doc = $doc] $variant = $code,)+
        }

        impl Curve {
            /// Every curve, by rising code.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The curve of a code.
            pub const fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)+ _ => None }
            }

            /// Its name in the API.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

curves! {
    Linear = 1, "linear", "A straight line through two points; raw in whatever the probe gives. Any quantity.";
    Offset = 2, "offset", "One point: value = raw + (reference - raw of the point). For probes that give the quantity itself.";
    Ph = 3, "ph", "Analog pH board: two buffers in millivolts; the slope follows the water's temperature (Nernst) if that is known.";
    Conductivity = 4, "conductivity", "DFRobot analog EC board (DFR0300): one or two standard solutions in millivolts, with their temperature.";
    Oxygen = 5, "oxygen", "DFRobot analog oxygen probe (SEN0237): millivolts at a known oxygen content and temperature, once or at two temperatures.";
    Capacitive = 6, "capacitive", "Capacitive soil probe, whose raw value falls as the soil gets wetter: a dry and a wet point.";
}

impl Curve {
    /// Its code on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The curve of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|curve| curve.name() == name)
    }

    /// The one quantity that it is made for; `None`: any.
    pub const fn quantity(self) -> Option<Quantity> {
        match self {
            Self::Linear | Self::Offset => None,
            Self::Ph => Some(Quantity::Ph),
            Self::Conductivity => Some(Quantity::Conductivity),
            Self::Oxygen => Some(Quantity::DissolvedOxygen),
            Self::Capacitive => Some(Quantity::SoilMoisture),
        }
    }

    /// How many points it takes, at least and at most.
    pub const fn points(self) -> (usize, usize) {
        match self {
            Self::Linear | Self::Ph | Self::Capacitive => (2, 2),
            Self::Offset => (1, 1),
            Self::Conductivity | Self::Oxygen => (1, 2),
        }
    }

    /// The quantity whose value corrects it: the channel of the same instance, or else the first.
    pub const fn temperature(self) -> Option<Quantity> {
        match self {
            Self::Linear | Self::Offset | Self::Capacitive => None,
            Self::Ph | Self::Conductivity | Self::Oxygen => Some(Quantity::WaterTemperature),
        }
    }

    /// True if there is no value without that temperature.
    pub const fn needs_temperature(self) -> bool {
        matches!(self, Self::Conductivity | Self::Oxygen)
    }
}

/// One measurement beside a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// What the probe gave: millivolts of an analog probe, else its own unit.
    pub raw: Decimal,
    /// What it was, in the channel's canonical unit.
    pub value: Decimal,
    /// The temperature then, in degrees Celsius; where the curve has no use for it: `None`.
    pub temperature: Option<Decimal>,
}

/// The points of a calibration.
pub type Points = heapless::Vec<Point, MAX_CALIBRATION_POINTS>;

/// The calibrations of a node.
pub type Calibrations = heapless::Vec<Calibration, MAX_CONFIG_CALIBRATIONS>;

/// One channel's calibration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calibration {
    /// The channel.
    pub channel: Channel,
    /// How to get from raw to value.
    pub curve: Curve,
    /// Rises with each calibration of this channel.
    pub version: u32,
    /// When it was made, ms UTC.
    pub at_ms: i64,
    /// What was measured.
    pub points: Points,
}

impl Calibration {
    /// What its maker gives for a new probe, where it does: somewhere to start from, nothing to trust. Version 0.
    ///
    /// Sources: DFRobot_PH.cpp (neutral 1500 mV, acid 2032.44 mV), DFRobot_EC.cpp (K = 1: 820 x 200 / 1000 mV per mS/cm),
    /// DFRobot SEN0237 example (1600 mV in air-saturated water of 25 °C).
    pub fn factory(channel: Channel) -> Option<Self> {
        let number = |mantissa, exponent| Decimal::new(mantissa, exponent);
        let warm = Some(number(25, 0));
        let point = |raw, value, temperature| Point {
            raw,
            value,
            temperature,
        };
        let (curve, points): (_, &[Point]) = match channel.quantity() {
            Quantity::Ph => (
                Curve::Ph,
                &[
                    point(number(1_500, 0), number(7, 0), warm),
                    point(number(203_244, -2), number(4, 0), warm),
                ],
            ),
            Quantity::Conductivity => (
                Curve::Conductivity,
                &[point(number(164, 0), number(1, 0), warm)],
            ),
            Quantity::DissolvedOxygen => (
                Curve::Oxygen,
                &[point(number(1_600, 0), saturation_mg_l(warm?)?, warm)],
            ),
            _ => return None,
        };
        Some(Self {
            channel,
            curve,
            version: 0,
            at_ms: 0,
            points: points.iter().copied().collect(),
        })
    }

    /// Refuses points that make no sense, with the reason.
    pub fn check(&self) -> Result<(), RefusalReason> {
        check::check(self)
    }

    pub(crate) fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
    ) -> Result<(), encode::Error<W::Error>> {
        e.array(5)?
            .str(&self.channel.code())?
            .u8(self.curve.code())?
            .u32(self.version)?
            .i64(self.at_ms)?
            .array(self.points.len() as u64)?;
        self.points.iter().try_for_each(|point| {
            e.array(3)?;
            number::write(e, point.raw)?;
            number::write(e, point.value)?;
            number::write_optional(e, point.temperature)
        })
    }

    /// The outer error is of the bytes, the inner one of what they say.
    pub(crate) fn decode(
        d: &mut Decoder<'_>,
    ) -> Result<Result<Self, (RefusalReason, Option<Channel>)>, decode::Error> {
        if d.array()? != Some(5) {
            return Err(decode::Error::message("a calibration has 5 elements"));
        }
        let channel = Channel::parse(d.str()?);
        let curve = Curve::from_code(d.u8()?);
        let (version, at_ms) = (d.u32()?, d.i64()?);
        let mut points = Some(Points::new());
        let count = d
            .array()?
            .ok_or_else(|| decode::Error::message("points without a count"))?;
        for _ in 0..count {
            if d.array()? != Some(3) {
                return Err(decode::Error::message("a point has 3 elements"));
            }
            let point = Point {
                raw: number::read(d)?,
                value: number::read(d)?,
                temperature: number::read_optional(d)?,
            };
            points = points.and_then(|mut points| points.push(point).ok().map(|()| points));
        }
        let Some(channel) = channel else {
            return Ok(Err((RefusalReason::UnknownChannel, None)));
        };
        let Some(curve) = curve else {
            return Ok(Err((RefusalReason::UnknownCurve, Some(channel))));
        };
        Ok(points
            .map(|points| Self {
                channel,
                curve,
                version,
                at_ms,
                points,
            })
            .ok_or((RefusalReason::PointCount, Some(channel))))
    }
}
