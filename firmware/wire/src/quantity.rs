//! The one table of what Sen measures. Firmware, gateway, InfluxDB fields, rules, phone and Grafana all read it from here.
//!
//! Rows are append-only: a row's position is its id in stored data ([`Channel::to_u16`](crate::Channel::to_u16)).
//! Canonical units are UCUM. Other spellings are accepted only where the conversion is exact in decimal: a power of ten
//! and an offset, never a factor like 5/9.

use crate::Decimal;

/// Another unit that a foreign device may give a quantity in: canonical = value x 10^`exponent` + `offset`.
#[derive(Clone, Copy, Debug)]
pub struct OtherUnit {
    /// As it is written in the pack.
    pub unit: &'static str,
    exponent: i8,
    offset: Decimal,
}

const fn same(unit: &'static str) -> OtherUnit {
    scaled(unit, 0)
}

const fn scaled(unit: &'static str, exponent: i8) -> OtherUnit {
    OtherUnit {
        unit,
        exponent,
        offset: Decimal::ZERO,
    }
}

const KELVIN: OtherUnit = OtherUnit {
    unit: "K",
    exponent: 0,
    offset: Decimal::new(-27_315, -2),
};

const CELSIUS: &[OtherUnit] = &[same("°C"), same("C"), same("degC"), KELVIN];
// `/` and `/100` are the ratio and per cent of the SenML units registry.
const PERCENT: &[OtherUnit] = &[same("%RH"), same("/100"), scaled("/", 2)];
const SOIL_PERCENT: &[OtherUnit] = &[
    same("%VWC"),
    same("/100"),
    scaled("/", 2),
    scaled("m3/m3", 2),
];
const PASCAL: &[OtherUnit] = &[
    same("mbar"),
    scaled("Pa", -2),
    scaled("kPa", 1),
    scaled("bar", 3),
];
const KILOPASCAL: &[OtherUnit] = &[scaled("Pa", -3), scaled("hPa", -1)];
const LUX: &[OtherUnit] = &[scaled("klx", 3), same("lux")];
const PHOTONS: &[OtherUnit] = &[
    same("umol/m2/s"),
    same("umol/m2.s"),
    same("µmol/m2/s"),
    same("μmol/m2/s"),
];
const METRES: &[OtherUnit] = &[scaled("m", 2), scaled("mm", -1)];
const MILLIMETRES: &[OtherUnit] = &[scaled("m", 3), scaled("cm", 1), same("l/m2")];
const MILLISIEMENS: &[OtherUnit] = &[
    same("dS/m"),
    scaled("uS/cm", -3),
    scaled("µS/cm", -3),
    scaled("μS/cm", -3),
    scaled("S/m", 1),
    scaled("mS/m", -2),
];
const MICROSIEMENS: &[OtherUnit] = &[
    same("µS/cm"),
    same("μS/cm"),
    scaled("mS/cm", 3),
    scaled("dS/m", 3),
    scaled("S/m", 4),
    scaled("mS/m", 1),
];
// The two read the same here (practical salinity of brackish water); `ppt` is what every probe's leaflet calls it.
const PER_MILLE: &[OtherUnit] = &[
    same("g/L"),
    same("g/l"),
    same("‰"),
    same("%o"),
    same("/1000"),
    same("ppt"),
    same("PSU"),
    same("g/kg"),
];
const MILLIGRAMS: &[OtherUnit] = &[
    same("mg/l"),
    scaled("ug/L", -3),
    scaled("ug/l", -3),
    scaled("g/L", 3),
    scaled("g/l", 3),
];
const PH: &[OtherUnit] = &[same("pH")];
const TURBIDITY: &[OtherUnit] = &[same("NTU"), same("FNU")];
const VOLTS: &[OtherUnit] = &[scaled("mV", -3)];
const PPM: &[OtherUnit] = &[same("ppm"), scaled("ppb", -3), scaled("/", 6)];
const DEGREES: &[OtherUnit] = &[same("°")];
const NONE: &[OtherUnit] = &[];

struct Row {
    code: &'static str,
    name: &'static str,
    unit: &'static str,
    decimals: u8,
    plausible: (f64, f64),
    other: &'static [OtherUnit],
}

macro_rules! quantities {
    ($($variant:ident $code:literal $name:literal $unit:literal $decimals:literal $min:literal..$max:literal $other:ident;)+) => {
        /// What is measured. The discriminant is the id in stored data.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Quantity {
            $(#[doc = concat!("`", $name, "`, code `", $code, "`, in `", $unit, "`.")] $variant,)+
        }

        impl Quantity {
            /// Every quantity, by rising id.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The quantity of a code or name.
            pub fn parse(text: &str) -> Option<Self> {
                // Codes first and by themselves: they are what comes sixty thousand times a second.
                match text {
                    $($code => return Some(Self::$variant),)+
                    _ => {}
                }
                Self::ALL.iter().copied().find(|quantity| quantity.name() == text)
            }
        }

        static ROWS: &[Row] = &[$(Row {
            code: $code,
            name: $name,
            unit: $unit,
            decimals: $decimals,
            plausible: ($min, $max),
            other: $other,
        }),+];
    };
}

// Columns: id (position), code, name, UCUM unit, decimals shown, plausible range, other units taken.
// The range is what the place can bring forth, not what is good for the crop: outside it a value is marked implausible.
quantities! {
    AirTemperature        "at"  "air_temperature"         "Cel"          1 -20.0..60.0      CELSIUS;
    AirHumidity           "ah"  "air_humidity"            "%"            0 0.0..100.0       PERCENT;
    AirPressure           "ap"  "air_pressure"            "hPa"          1 850.0..1100.0    PASCAL;
    Light                 "lx"  "light"                   "lx"           0 0.0..200000.0    LUX;
    Par                   "par" "par"                     "umol/(m2.s)"  0 0.0..3000.0      PHOTONS;
    Radiation             "gr"  "radiation"               "W/m2"         0 0.0..1500.0      NONE;
    Rain                  "rn"  "rain"                    "mm"           1 0.0..200.0       MILLIMETRES;
    WindSpeed             "ws"  "wind_speed"              "m/s"          1 0.0..75.0        NONE;
    WindGust              "wg"  "wind_gust"               "m/s"          1 0.0..100.0       NONE;
    WindDirection         "wd"  "wind_direction"          "deg"          0 0.0..360.0       DEGREES;
    SoilMoisture          "sm"  "soil_moisture"           "%"            1 0.0..100.0       SOIL_PERCENT;
    SoilTemperature       "st"  "soil_temperature"        "Cel"          1 -5.0..60.0       CELSIUS;
    SoilConductivity      "se"  "soil_conductivity"       "uS/cm"        0 0.0..20000.0     MICROSIEMENS;
    WaterTemperature      "wt"  "water_temperature"       "Cel"          1 -2.0..45.0       CELSIUS;
    Conductivity          "ec"  "conductivity"            "mS/cm"        2 0.0..80.0        MILLISIEMENS;
    Salinity              "sal" "salinity"                "[ppth]"       1 0.0..50.0        PER_MILLE;
    DissolvedOxygen       "do"  "dissolved_oxygen"        "mg/L"         1 0.0..25.0        MILLIGRAMS;
    OxygenSaturation      "os"  "oxygen_saturation"       "%"            0 0.0..300.0       PERCENT;
    WaterLevel            "wl"  "water_level"             "cm"           1 -500.0..3000.0   METRES;
    Ph                    "ph"  "ph"                      "[pH]"         2 0.0..14.0        PH;
    Alkalinity            "al"  "alkalinity"              "mg/L"         0 0.0..1000.0      MILLIGRAMS;
    Ammonia               "nh"  "ammonia"                 "mg/L"         2 0.0..50.0        MILLIGRAMS;
    Turbidity             "tu"  "turbidity"               "{NTU}"        0 0.0..4000.0      TURBIDITY;
    LeafWetness           "lw"  "leaf_wetness"            "%"            0 0.0..100.0       PERCENT;
    BatteryVoltage        "bv"  "battery_voltage"         "V"            2 0.0..30.0        VOLTS;
    // Not `co`: its second instance would be `co2`, which is the first one's name.
    Co2                   "cd"  "co2"                     "[ppm]"        0 100.0..10000.0   PPM;
    VapourPressureDeficit "vd"  "vapour_pressure_deficit" "kPa"          2 0.0..15.0        KILOPASCAL;
    DewPoint              "dp"  "dew_point"               "Cel"          1 -40.0..45.0      CELSIUS;
    LeafTemperature       "lt"  "leaf_temperature"        "Cel"          1 -10.0..70.0      CELSIUS;
    AbsoluteHumidity      "hu"  "absolute_humidity"       "g/m3"         1 0.0..100.0       NONE;
    HumidityDeficit       "hd"  "humidity_deficit"        "g/m3"         1 0.0..100.0       NONE;
    SoilNitrogen          "sn"  "soil_nitrogen"           "mg/kg"        0 0.0..3000.0      NONE;
    SoilPhosphorus        "sp"  "soil_phosphorus"         "mg/kg"        0 0.0..3000.0      NONE;
    SoilPotassium         "sk"  "soil_potassium"          "mg/kg"        0 0.0..3000.0      NONE;
}

impl Quantity {
    fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }

    /// Its id in stored data.
    pub const fn id(self) -> u8 {
        self as u8
    }

    /// The quantity of a stored id.
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.get(usize::from(id)).copied()
    }

    /// Two or three letters: what nodes write.
    pub fn code(self) -> &'static str {
        self.row().code
    }

    /// The name in InfluxDB, API and rules.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The canonical unit, UCUM.
    pub fn unit(self) -> &'static str {
        self.row().unit
    }

    /// How many decimals a screen shows.
    pub fn decimals(self) -> u8 {
        self.row().decimals
    }

    /// The least and greatest value that can be real.
    pub fn plausible(self) -> (f64, f64) {
        self.row().plausible
    }

    /// Units accepted beside the canonical one.
    pub fn other_units(self) -> &'static [OtherUnit] {
        self.row().other
    }

    /// A value brought into the canonical unit, exactly. `None`: the unit is not one of this quantity, or the result does
    /// not fit a [`Decimal`].
    pub fn convert(self, value: Decimal, unit: &str) -> Option<Decimal> {
        if unit == self.unit() {
            return Some(value);
        }
        let other = self.other_units().iter().find(|other| other.unit == unit)?;
        value.scaled(other.exponent)?.checked_add(other.offset)
    }
}

impl core::fmt::Display for Quantity {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(quantity: Quantity, value: &str, unit: &str) -> Option<Decimal> {
        quantity.convert(value.parse().unwrap(), unit)
    }

    #[test]
    fn conversions_are_exact() {
        for (quantity, value, unit, canonical) in [
            (Quantity::WaterLevel, "1.52", "m", "152"),
            (Quantity::WaterLevel, "-153", "mm", "-15.3"),
            (Quantity::Conductivity, "414", "uS/cm", "0.414"),
            (Quantity::Conductivity, "4.366", "S/m", "43.66"),
            (Quantity::Conductivity, "1.9", "dS/m", "1.9"),
            (Quantity::SoilConductivity, "0.4", "dS/m", "400"),
            (Quantity::AirTemperature, "300.15", "K", "27"),
            (Quantity::AirHumidity, "0.645", "/", "64.5"),
            (Quantity::AirHumidity, "64.5", "%RH", "64.5"),
            (Quantity::AirPressure, "101320", "Pa", "1013.2"),
            (Quantity::Salinity, "1.9", "g/L", "1.9"),
            (Quantity::Ph, "7.5", "pH", "7.5"),
            (Quantity::BatteryVoltage, "3375", "mV", "3.375"),
        ] {
            assert_eq!(
                convert(quantity, value, unit),
                Some(canonical.parse().unwrap()),
                "{value} {unit}"
            );
        }
        assert_eq!(convert(Quantity::Salinity, "1", "Cel"), None);
        assert_eq!(convert(Quantity::AirTemperature, "80", "degF"), None);
    }

    #[test]
    fn the_table_is_sound() {
        for (id, &quantity) in (0..).zip(Quantity::ALL) {
            assert_eq!(quantity.id(), id);
            assert_eq!(Quantity::from_id(id), Some(quantity));
            assert_eq!(Quantity::parse(quantity.code()), Some(quantity));
            assert_eq!(Quantity::parse(quantity.name()), Some(quantity));
            assert!(
                quantity.code().len() < crate::channel::MAX_CODE
                    && !quantity.code().ends_with(char::is_numeric)
            );
            assert!(quantity.plausible().0 < quantity.plausible().1);
            let units = || {
                quantity
                    .other_units()
                    .iter()
                    .map(|other| other.unit)
                    .chain([quantity.unit()])
            };
            assert!(units().all(|unit| unit.len() <= crate::limits::MAX_UNIT
                && units().filter(|u| *u == unit).count() == 1));
        }
        assert_eq!(Quantity::ALL.len(), 34);
    }
}
