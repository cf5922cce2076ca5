//! From raw to value: pure functions over the points of a [`Calibration`], in whole numbers of 128 bits, rounded once at the
//! end. The node applies them between its probes and its outbox, so what is stored and sent is in the quantity's unit.
//!
//! A sweep is calibrated as a whole, for one probe's temperature corrects another's value:
//! - A raw value without a calibration is [`Fault::NotCalibrated`]: a number that nobody has vouched for is no value.
//! - A curve that needs a temperature passes on the fault of the probe that should have given it.
//! - What a curve makes of a raw value far outside of its points is [`Fault::OutOfRange`], not a guess.
//!
//! Which shape the curve of a capacitive soil probe has was measured, see `docs/calibration.md`.

use sen_wire::{
    Calibration, Channel, Curve, Decimal, Fault, NodeConfig, Quantity, Value,
    calibration::{Point, saturation_mg_l},
    config::companions,
};

use crate::sample::{Sample, Samples};

/// Numbers are taken at this power of ten: far finer than any probe.
const MICRO: i8 = -6;
const ONE: i128 = 1_000_000;
/// Raw values that are cubed: millivolts or counts with three places, so that the cube of 65535 leaves room.
const MILLI: i8 = -3;

/// Soil moisture slightly outside of 0 to 100 % is noise at the end of the scale; further out, the probe is not in soil.
const SOIL_SLACK: i128 = 10 * ONE;
/// Conductivity changes by so much per kelvin from its value at 25 °C, in millionths (DFRobot_EC.cpp: 0.0185).
const EC_PER_KELVIN: i128 = 18_500;
/// Where the low cell constant ends and the high one begins, in micro mS/cm. DFRobot_EC.cpp switches with hysteresis; here the
/// two are blended, which needs no memory and makes no step.
const EC_LOW: i128 = 2 * ONE;
const EC_HIGH: i128 = 5 * ONE / 2;
/// Millivolts per kelvin of the oxygen probe in saturated water, where one point was measured (DFRobot SEN0237 example).
const OXYGEN_MV_PER_KELVIN: i128 = 35;
/// 0 °C.
const KELVIN: i128 = 273_150_000;
/// The temperature of points that give none, to which buffers and standards are specified.
const USUAL_CELSIUS: i128 = 25 * ONE;

/// One sample of a sweep, calibrated as the configuration says.
pub fn calibrated(config: &NodeConfig, samples: &Samples, sample: &Sample) -> Value {
    match sample.value {
        Value::Number(number) => {
            value(config, samples, sample, number).map_or_else(Value::Fault, Value::Number)
        }
        Value::Fault(_) => sample.value,
    }
}

fn value(
    config: &NodeConfig,
    samples: &Samples,
    sample: &Sample,
    number: Decimal,
) -> Result<Decimal, Fault> {
    let Some(calibration) = config.calibration(sample.channel) else {
        return if sample.raw {
            Err(Fault::NotCalibrated)
        } else {
            Ok(number)
        };
    };
    let curve = calibration.curve;
    let temperature = match curve.temperature() {
        None => None,
        Some(quantity) => match temperature(config, samples, quantity, sample.channel) {
            None if curve.needs_temperature() => return Err(Fault::NotCalibrated),
            Some(Err(fault)) if curve.needs_temperature() => return Err(fault),
            known => known.and_then(Result::ok),
        },
    };
    apply(calibration, number, temperature)
}

/// The temperature beside a channel, itself calibrated; `None`: the sweep has none.
fn temperature(
    config: &NodeConfig,
    samples: &Samples,
    quantity: Quantity,
    beside: Channel,
) -> Option<Result<Decimal, Fault>> {
    let sample = companions(quantity, beside)
        .find_map(|channel| samples.as_slice().iter().find(|s| s.channel == channel))?;
    Some(match sample.value {
        Value::Fault(fault) => Err(fault),
        Value::Number(number) => match config.calibration(sample.channel) {
            // No curve of a temperature asks for a temperature.
            Some(own) => apply(own, number, None),
            None if sample.raw => Err(Fault::NotCalibrated),
            None => Ok(number),
        },
    })
}

/// What a raw value is, by a calibration that passes [`Calibration::check`], at a temperature in degrees Celsius.
pub fn apply(
    calibration: &Calibration,
    raw: Decimal,
    temperature: Option<Decimal>,
) -> Result<Decimal, Fault> {
    let quantity = calibration.channel.quantity();
    let micro = match (calibration.curve, calibration.points.as_slice()) {
        (Curve::Offset, [point]) => {
            let negated = point.raw.mantissa().checked_neg();
            let less = negated.map(|mantissa| Decimal::new(mantissa, point.raw.exponent()));
            let value = less
                .and_then(|less| raw.checked_add(less))
                .and_then(|difference| difference.checked_add(point.value));
            return plausible(quantity, value.ok_or(Fault::OutOfRange)?);
        }
        (Curve::Linear, [a, b]) => linear(a, b, raw),
        (Curve::Ph, [a, b]) => ph(a, b, raw, temperature),
        (Curve::Conductivity, points) => conductivity(points, raw, temperature),
        (Curve::Oxygen, points) => oxygen(points, raw, temperature),
        (Curve::Capacitive, [a, b]) => capacitive(a, b, raw),
        _ => None,
    };
    plausible(
        quantity,
        rounded(quantity, micro.ok_or(Fault::OutOfRange)?)?,
    )
}

fn plausible(quantity: Quantity, value: Decimal) -> Result<Decimal, Fault> {
    let (low, high) = quantity.plausible();
    if (low..=high).contains(&value.to_f64()) {
        Ok(value)
    } else {
        Err(Fault::OutOfRange)
    }
}

/// Two places more than a screen shows.
fn rounded(quantity: Quantity, micro: i128) -> Result<Decimal, Fault> {
    let places = (quantity.decimals() + 2).min(6);
    let step = 10i128.pow(6 - u32::from(places));
    let digits = i64::try_from(divided(micro, step).ok_or(Fault::OutOfRange)?);
    let digits = digits.map_err(|_| Fault::OutOfRange)?;
    Ok(Decimal::new(digits, -(places as i8)))
}

fn micro(number: Decimal) -> Option<i128> {
    number.floor_at(MICRO).map(i128::from)
}

/// The nearest whole number to n / d, halves away from zero; `None` for d = 0.
fn divided(n: i128, d: i128) -> Option<i128> {
    let (n, d) = if d < 0 {
        (n.checked_neg()?, -d)
    } else {
        (n, d)
    };
    let half = d / 2;
    (n + if n < 0 { -half } else { half }).checked_div(d)
}

/// On the line through two places (x, y), at x.
fn between(a: (i128, i128), b: (i128, i128), x: i128) -> Option<i128> {
    let rise = x.checked_sub(a.0)?.checked_mul(b.1 - a.1)?;
    divided(rise, b.0 - a.0)?.checked_add(a.1)
}

fn linear(a: &Point, b: &Point, raw: Decimal) -> Option<i128> {
    let place = |point: &Point| Some((micro(point.raw)?, micro(point.value)?));
    between(place(a)?, place(b)?, micro(raw)?)
}

/// The line through two buffers; off pH 7, where temperature changes nothing, its slope follows the absolute temperature.
fn ph(a: &Point, b: &Point, raw: Decimal, temperature: Option<Decimal>) -> Option<i128> {
    let seven = 7 * ONE;
    let value = linear(a, b, raw)?;
    let Some(temperature) = temperature else {
        return Some(value);
    };
    let then = (celsius(a)? + celsius(b)?) / 2 + KELVIN;
    let now = micro(temperature)? + KELVIN;
    Some(seven + divided((value - seven).checked_mul(then)?, now)?)
}

fn celsius(point: &Point) -> Option<i128> {
    point.temperature.map_or(Some(USUAL_CELSIUS), micro)
}

/// 1 + 0.0185 (T - 25), in millionths.
fn ec_factor(celsius: i128) -> i128 {
    ONE + EC_PER_KELVIN * (celsius - USUAL_CELSIUS) / ONE
}

/// Conductivity at 25 °C: each point gives a cell constant.
fn conductivity(points: &[Point], raw: Decimal, temperature: Option<Decimal>) -> Option<i128> {
    let raw = micro(raw)?;
    let now = ec_factor(micro(temperature?)?);
    // As it is in the water, not yet at 25 °C.
    let in_water = |point: &Point| {
        let known = divided(micro(point.value)? * ec_factor(celsius(point)?), ONE)?;
        divided(raw.checked_mul(known)?, micro(point.raw)?)
    };
    let found = match points {
        [point] => in_water(point)?,
        [a, b] => {
            let (low, high) = if a.value < b.value { (a, b) } else { (b, a) };
            let (by_low, by_high) = (in_water(low)?, in_water(high)?);
            match by_low {
                ..=EC_LOW => by_low,
                EC_HIGH.. => by_high,
                middle => between((EC_LOW, by_low), (EC_HIGH, by_high), middle)?,
            }
        }
        _ => return None,
    };
    (now > 0).then(|| divided(found * ONE, now))?
}

/// The part of saturation that the millivolts are, times what saturated water holds at this temperature.
fn oxygen(points: &[Point], raw: Decimal, temperature: Option<Decimal>) -> Option<i128> {
    let temperature = temperature?;
    // Temperature and millivolts in saturated water.
    let saturated = |point: &Point| {
        let celsius = point.temperature?;
        let most = micro(saturation_mg_l(celsius)?)?;
        let millivolts = divided(micro(point.raw)?.checked_mul(most)?, micro(point.value)?)?;
        Some((micro(celsius)?, millivolts))
    };
    let now = micro(temperature)?;
    let full = match points {
        [point] => {
            let (then, millivolts) = saturated(point)?;
            millivolts + OXYGEN_MV_PER_KELVIN * (now - then)
        }
        [a, b] => between(saturated(a)?, saturated(b)?, now)?,
        _ => return None,
    };
    // A probe at its zero may read a little below.
    let raw = micro(raw)?.max(0);
    let most = micro(saturation_mg_l(temperature)?)?;
    (full > 0).then(|| divided(raw.checked_mul(most)?, full))?
}

/// A line over the cube of the raw value.
fn capacitive(a: &Point, b: &Point, raw: Decimal) -> Option<i128> {
    let cube = |raw: Decimal| i128::from(raw.floor_at(MILLI)?).checked_pow(3);
    let place = |point: &Point| Some((cube(point.raw)?, micro(point.value)?));
    let percent = between(place(a)?, place(b)?, cube(raw)?)?;
    let most = 100 * ONE;
    (-SOIL_SLACK..=most + SOIL_SLACK)
        .contains(&percent)
        .then(|| percent.clamp(0, most))
}

#[cfg(test)]
mod tests;
