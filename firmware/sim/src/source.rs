//! The recordings in the binary, and which column of each is which channel.
//!
//! Where one file holds several loggers, each is a source of its own, for each has its own clock: in the greenhouse the
//! climate computer's columns start two minutes off the probes', and rows that hold only the others' cells are no reading.

use std::{io::Read, str::FromStr};

use sen_wire::{Channel, Quantity};

use crate::series::{Series, SeriesError};

/// A recording to replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A brackish estuary, July and August 2012, every 15 minutes: low oxygen before dawn, tides in level and salinity.
    EstuaryWater,
    /// The same probe in February 2012: it fails, freezes, gives 50 degrees, a level of -99 m and a turbidity of -200, is
    /// serviced and comes back.
    EstuaryWaterFailing,
    /// The weather station beside the estuary, July and August 2012.
    EstuaryWeather,
    /// A greenhouse's climate computer, August and September 2020, every 5 minutes: zeros for missing when it starts.
    GreenhouseClimate,
    /// Probes in the canopy of that greenhouse.
    GreenhouseCanopy,
    /// A probe in its substrate; for days its pore-water conductivity is NaN.
    GreenhouseSubstrate,
    /// An oxygen probe in its irrigation water, on battery.
    GreenhouseWater,
    /// The weather service that its climate computer reads, hourly.
    GreenhouseWeather,
}

/// A column of a file: its header, the channel that it is, and the unit that it is given in.
pub(crate) struct Column {
    pub(crate) header: &'static str,
    pub(crate) channel: Channel,
    pub(crate) unit: &'static str,
}

fn column(header: &'static str, quantity: Quantity, unit: &'static str) -> Column {
    Column {
        header,
        channel: Channel::first(quantity),
        unit,
    }
}

fn second(header: &'static str, quantity: Quantity, unit: &'static str) -> Column {
    let first = Channel::first(quantity);
    Column {
        header,
        channel: Channel::new(quantity, 2).unwrap_or(first),
        unit,
    }
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 8] = [
        Self::EstuaryWater,
        Self::EstuaryWaterFailing,
        Self::EstuaryWeather,
        Self::GreenhouseClimate,
        Self::GreenhouseCanopy,
        Self::GreenhouseSubstrate,
        Self::GreenhouseWater,
        Self::GreenhouseWeather,
    ];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EstuaryWater => "estuary-water",
            Self::EstuaryWaterFailing => "estuary-water-failing",
            Self::EstuaryWeather => "estuary-weather",
            Self::GreenhouseClimate => "greenhouse-climate",
            Self::GreenhouseCanopy => "greenhouse-canopy",
            Self::GreenhouseSubstrate => "greenhouse-substrate",
            Self::GreenhouseWater => "greenhouse-water",
            Self::GreenhouseWeather => "greenhouse-weather",
        }
    }

    /// The file as published, gzipped, whole lines of it: what an end-to-end test compares with.
    pub const fn file(self) -> &'static [u8] {
        match self {
            Self::EstuaryWater => include_bytes!("../data/estuary-water-2012-summer.csv.gz"),
            Self::EstuaryWaterFailing => {
                include_bytes!("../data/estuary-water-2012-february.csv.gz")
            }
            Self::EstuaryWeather => include_bytes!("../data/estuary-weather-2012-summer.csv.gz"),
            Self::GreenhouseClimate
            | Self::GreenhouseCanopy
            | Self::GreenhouseSubstrate
            | Self::GreenhouseWater
            | Self::GreenhouseWeather => include_bytes!("../data/greenhouse-month.csv.gz"),
        }
    }

    /// The text of [`file`](Self::file).
    pub fn csv(self) -> std::io::Result<String> {
        let mut text = String::new();
        self.reader().read_to_string(&mut text)?;
        Ok(text)
    }

    fn reader(self) -> impl Read {
        flate2::read::GzDecoder::new(self.file())
    }

    /// Reads it.
    pub fn load(self) -> Result<Series, SeriesError> {
        Series::read(self.reader(), &self.columns())
    }

    pub(crate) fn columns(self) -> Vec<Column> {
        use Quantity::*;
        match self {
            Self::EstuaryWater | Self::EstuaryWaterFailing => vec![
                column("temp", WaterTemperature, "Cel"),
                column("spcond", Conductivity, "mS/cm"),
                column("sal", Salinity, "[ppth]"),
                column("do_pct", OxygenSaturation, "%"),
                column("do_mgl", DissolvedOxygen, "mg/L"),
                column("depth", WaterLevel, "m"),
                column("ph", Ph, "[pH]"),
                column("turb", Turbidity, "{NTU}"),
            ],
            // Not `totpar`: a sum over 15 minutes in mmol/m2, which is no exact number of umol/(m2.s).
            Self::EstuaryWeather => vec![
                column("atemp", AirTemperature, "Cel"),
                column("rh", AirHumidity, "%"),
                column("bp", AirPressure, "mbar"),
                column("wspd", WindSpeed, "m/s"),
                column("maxwspd", WindGust, "m/s"),
                column("wdir", WindDirection, "deg"),
                column("totprcp", Rain, "mm"),
            ],
            Self::GreenhouseClimate => vec![
                column(
                    "kastemperatuur - °C  (afd 4) - Temperature (°C) - averages",
                    AirTemperature,
                    "°C",
                ),
                column(
                    "RV kas - %  (afd 4) - Humidity (%) - averages",
                    AirHumidity,
                    "%",
                ),
                column(
                    "vochtdeficit - g/m³  (afd 4) - Humidity deficit (g/m3) - averages",
                    HumidityDeficit,
                    "g/m3",
                ),
                second(
                    "kastemperatuur - °C  (afd 1) - Temperature (°C) - averages",
                    AirTemperature,
                    "°C",
                ),
            ],
            Self::GreenhouseCanopy => vec![
                column(
                    "Sensor PMC (21B) - Air temperature (°C) - averages",
                    AirTemperature,
                    "°C",
                ),
                column(
                    "Sensor PMC (21B) - Humidity (%) - averages",
                    AirHumidity,
                    "%",
                ),
                column(
                    "Sensor PMC (21B) - Surface temperature (°C) - averages",
                    LeafTemperature,
                    "°C",
                ),
                column(
                    "Sensor PMC (21B) - Absolute Humidity (g/m3) - averages",
                    AbsoluteHumidity,
                    "g/m3",
                ),
                column(
                    "Sensor PMC (21B) - Humidity Deficit (g/m3) - averages",
                    HumidityDeficit,
                    "g/m3",
                ),
                column(
                    "Sensor PMC (21B) - Dewpoint (°C) - averages",
                    DewPoint,
                    "°C",
                ),
                column(
                    "Sensor PMC (21B) - VPD (kPa) - averages",
                    VapourPressureDeficit,
                    "kPa",
                ),
                column(
                    "PAR Sensor (13D) - PAR (μmol m−2 s−1) - averages",
                    Par,
                    "umol/(m2.s)",
                ),
                column(
                    "Sensor 0013A20041A0002A NIEUW - co2 (ppm) - averages",
                    Co2,
                    "ppm",
                ),
            ],
            Self::GreenhouseSubstrate => vec![
                column(
                    "Sensor 0013A20041A24464 - VWC (%) - averages",
                    SoilMoisture,
                    "%",
                ),
                column(
                    "Sensor 0013A20041A24464 - Temp (°C) - averages",
                    SoilTemperature,
                    "°C",
                ),
                column(
                    "Sensor 0013A20041A24464 - ECb (µS/cm) - averages",
                    SoilConductivity,
                    "uS/cm",
                ),
                second(
                    "Sensor 0013A20041A24464 - ECw (µS/cm) - averages",
                    SoilConductivity,
                    "uS/cm",
                ),
            ],
            Self::GreenhouseWater => vec![
                column(
                    "Sendot Zuurstof sensor (5E1) - temperature (°C) - averages",
                    WaterTemperature,
                    "°C",
                ),
                column(
                    "Sendot Zuurstof sensor (5E1) - dissolved (mg/L) - averages",
                    DissolvedOxygen,
                    "mg/L",
                ),
                column(
                    "Sendot Zuurstof sensor (5E1) - saturation (%sat) - averages",
                    OxygenSaturation,
                    "%",
                ),
                column(
                    "Sendot Zuurstof sensor (5E1) - pressure (mB) - averages",
                    AirPressure,
                    "mbar",
                ),
                column(
                    "Sendot Zuurstof sensor (5E1) - battery (V) - averages",
                    BatteryVoltage,
                    "V",
                ),
            ],
            Self::GreenhouseWeather => vec![
                column(
                    "Weather solutions station Pantar Tuinderij - Temperature (°C) - averages",
                    AirTemperature,
                    "°C",
                ),
                column(
                    "Weather solutions station Pantar Tuinderij - Relative humidity (%) - averages",
                    AirHumidity,
                    "%",
                ),
                column(
                    "Weather solutions station Pantar Tuinderij - Air pressure (hPa) - averages",
                    AirPressure,
                    "hPa",
                ),
                column(
                    "Weather solutions station Pantar Tuinderij - Global radiation  (W/m2) - averages",
                    Radiation,
                    "W/m2",
                ),
                column(
                    "Weather solutions station Pantar Tuinderij - Rain (mm) - averages",
                    Rain,
                    "mm",
                ),
                column(
                    "Weather solutions station Pantar Tuinderij - Wind speed (m/s) - averages",
                    WindSpeed,
                    "m/s",
                ),
                column(
                    "Weather solutions station Pantar Tuinderij - Wind direction () - averages",
                    WindDirection,
                    "deg",
                ),
            ],
        }
    }
}

/// There is no such recording.
#[derive(Debug, thiserror::Error)]
#[error(
    "no such recording; there are estuary-water, estuary-water-failing, estuary-weather and greenhouse-climate, -canopy, -substrate, -water, -weather"
)]
pub struct UnknownSource;

impl FromStr for Source {
    type Err = UnknownSource;

    fn from_str(name: &str) -> Result<Self, UnknownSource> {
        Self::ALL
            .into_iter()
            .find(|source| source.name() == name)
            .ok_or(UnknownSource)
    }
}
