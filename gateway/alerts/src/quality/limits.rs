//! What is asked of a quantity, not of a place: how little is worth calling a spike, and whether it may rest.

use sen_wire::Quantity;

/// What a quantity's readings may do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// A deviation below this is no spike, however quiet the series: some times what such probes promise as accuracy.
    /// Infinite: the quantity jumps by nature, and no reading of it is called a spike.
    pub floor: f64,
    /// The same as a share of the level, for quantities that range over decades.
    pub relative: f64,
    /// What is called far while nothing is known of the series yet.
    pub unknown: f64,
    /// Whether the same number for ever is natural, at this value.
    pub rests: Rests,
}

/// Where a quantity may stand still.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rests {
    /// Nowhere for longer than its series has shown.
    Nowhere,
    /// At this value.
    At(f64),
    /// At either value.
    AtEither(f64, f64),
    /// Everywhere.
    Anywhere,
}

impl Rests {
    /// Whether it may stand still at a value.
    #[must_use]
    pub fn at(self, value: f64) -> bool {
        match self {
            Self::Nowhere => false,
            Self::At(a) => value == a,
            Self::AtEither(a, b) => value == a || value == b,
            Self::Anywhere => true,
        }
    }
}

/// The limits of a quantity.
#[must_use]
pub fn limits(quantity: Quantity) -> Limits {
    use Quantity as Q;
    let row = |floor, relative, unknown, rests| Limits {
        floor,
        relative,
        unknown,
        rests,
    };
    let jumps = |rests| row(f64::INFINITY, 0.0, f64::INFINITY, rests);
    match quantity {
        Q::AirTemperature | Q::LeafTemperature | Q::DewPoint => row(2.0, 0.0, 10.0, Rests::Nowhere),
        Q::SoilTemperature | Q::WaterTemperature => row(0.5, 0.0, 5.0, Rests::Nowhere),
        Q::AirHumidity => row(10.0, 0.0, 40.0, Rests::At(100.0)),
        Q::AirPressure => row(3.0, 0.0, 15.0, Rests::Nowhere),
        Q::SoilMoisture => row(5.0, 0.0, 30.0, Rests::Nowhere),
        Q::SoilConductivity => row(50.0, 0.2, 2000.0, Rests::At(0.0)),
        Q::Conductivity => row(0.02, 0.05, 20.0, Rests::Nowhere),
        Q::Salinity => row(0.2, 0.05, 15.0, Rests::Nowhere),
        Q::DissolvedOxygen => row(0.6, 0.0, 6.0, Rests::Nowhere),
        Q::OxygenSaturation => row(8.0, 0.0, 80.0, Rests::Nowhere),
        Q::WaterLevel => row(5.0, 0.0, 60.0, Rests::Nowhere),
        Q::Ph => row(0.2, 0.0, 1.5, Rests::Nowhere),
        Q::Alkalinity => row(10.0, 0.2, 100.0, Rests::Nowhere),
        Q::Ammonia => row(0.1, 0.5, 2.0, Rests::At(0.0)),
        Q::Turbidity => row(20.0, 1.0, 500.0, Rests::At(0.0)),
        Q::Co2 => row(100.0, 0.2, 2000.0, Rests::Nowhere),
        Q::VapourPressureDeficit => row(0.5, 0.2, 3.0, Rests::At(0.0)),
        Q::AbsoluteHumidity | Q::HumidityDeficit => row(2.0, 0.1, 10.0, Rests::At(0.0)),
        Q::Light | Q::Par | Q::Radiation | Q::Rain | Q::WindSpeed | Q::WindGust => {
            jumps(Rests::At(0.0))
        }
        Q::LeafWetness => jumps(Rests::AtEither(0.0, 100.0)),
        Q::WindDirection
        | Q::BatteryVoltage
        | Q::SoilNitrogen
        | Q::SoilPhosphorus
        | Q::SoilPotassium => jumps(Rests::Anywhere),
    }
}
