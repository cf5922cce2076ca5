//! Which calibrations are senseless. Bounds are wide: they keep out swapped points, dry probes and slips of the pen, not
//! probes that are merely old.

use super::{Calibration, Curve, Point, saturation_mg_l};
use crate::{Decimal, RefusalReason};

type Checked = Result<(), RefusalReason>;

/// What an analog probe's board can put on an input of 5 V, in millivolts.
const ANALOG_MV: core::ops::RangeInclusive<f64> = 1.0..=5_000.0;
/// An ideal electrode gives 59.16 mV/pH at 25 °C; DFRobot's board and its like triple and invert it.
const PH_MV_PER_PH: f64 = 177.48;
/// What is left of the slope of a worn electrode that still measures, and what a new one may exceed it by.
const PH_SLOPE: core::ops::RangeInclusive<f64> = 0.5..=1.25;
/// Cell constants that DFRobot_EC.cpp takes (`KValueTemp > 0.5 && KValueTemp < 1.5`).
const CELL_CONSTANT: core::ops::RangeInclusive<f64> = 0.5..=1.5;
/// Below and above this, in mS/cm, DFRobot_EC.cpp uses the low and the high cell constant.
const EC_LOW_HIGH: (f64, f64) = (2.0, 2.5);
/// Millivolts in air-saturated water: the board's range is 0 to 3.0 V, the example's probe gives 1600.
const OXYGEN_MV: core::ops::RangeInclusive<f64> = 300.0..=3_000.0;
/// Two temperatures closer than this tell nothing of the slope between them.
const OXYGEN_LEAST_KELVIN: f64 = 5.0;
/// Raw values of two points have to differ by this part of the greater: less is mostly noise.
const LEAST_SPAN: f64 = 0.02;
/// Water that a probe is calibrated in.
const WATER_CELSIUS: core::ops::RangeInclusive<f64> = 0.0..=60.0;

pub(super) fn check(calibration: &Calibration) -> Checked {
    let Calibration {
        channel,
        curve,
        points,
        ..
    } = calibration;
    let quantity = channel.quantity();
    if curve
        .quantity()
        .is_some_and(|made_for| made_for != quantity)
    {
        return Err(RefusalReason::CurveMismatch);
    }
    let (least, most) = curve.points();
    if !(least..=most).contains(&points.len()) {
        return Err(RefusalReason::PointCount);
    }
    let (low, high) = quantity.plausible();
    let plausible = |value: Decimal| (low..=high).contains(&value.to_f64());
    if !points.iter().all(|point| plausible(point.value)) {
        return Err(RefusalReason::PointValue);
    }
    match (curve, points.as_slice()) {
        (Curve::Linear, [a, b]) => linear(a, b),
        (Curve::Offset, [point]) if plausible(point.raw) => Ok(()),
        (Curve::Offset, _) => Err(RefusalReason::PointRaw),
        (Curve::Ph, [a, b]) => ph(a, b),
        (Curve::Conductivity, points) => conductivity(points),
        (Curve::Oxygen, points) => oxygen(points),
        (Curve::Capacitive, [a, b]) => capacitive(a, b),
        // The count was checked.
        _ => Err(RefusalReason::PointCount),
    }
}

fn too_near(a: f64, b: f64) -> bool {
    (a - b).abs() <= LEAST_SPAN * a.abs().max(b.abs())
}

fn linear(a: &Point, b: &Point) -> Checked {
    if too_near(a.raw.to_f64(), b.raw.to_f64()) || a.value == b.value {
        return Err(RefusalReason::PointsTooNear);
    }
    Ok(())
}

fn analog(point: &Point) -> Result<f64, RefusalReason> {
    let raw = point.raw.to_f64();
    if ANALOG_MV.contains(&raw) {
        Ok(raw)
    } else {
        Err(RefusalReason::PointRaw)
    }
}

/// The point's temperature; 25 °C, to which buffers and standards are specified, if none is given.
fn water(point: &Point) -> Result<f64, RefusalReason> {
    let celsius = point.temperature.map_or(25.0, Decimal::to_f64);
    if WATER_CELSIUS.contains(&celsius) {
        Ok(celsius)
    } else {
        Err(RefusalReason::PointTemperature)
    }
}

fn ph(a: &Point, b: &Point) -> Checked {
    let raw = (analog(a)?, analog(b)?);
    let kelvin = (water(a)? + water(b)?) / 2.0 + 273.15;
    let value = (a.value.to_f64(), b.value.to_f64());
    if (value.0 - value.1).abs() < 1.0 || raw.0 == raw.1 {
        return Err(RefusalReason::PointsTooNear);
    }
    let slope = (raw.0 - raw.1) / (value.0 - value.1);
    if slope > 0.0 {
        return Err(RefusalReason::Direction);
    }
    if !PH_SLOPE.contains(&(-slope / (PH_MV_PER_PH * kelvin / 298.15))) {
        return Err(RefusalReason::Slope);
    }
    Ok(())
}

fn conductivity(points: &[Point]) -> Checked {
    for point in points {
        let raw = analog(point)?;
        let at_temperature = point.value.to_f64() * (1.0 + 0.0185 * (water(point)? - 25.0));
        if !CELL_CONSTANT.contains(&(at_temperature * 164.0 / raw)) {
            return Err(RefusalReason::Slope);
        }
    }
    if let [a, b] = points {
        let (a, b) = (a.value.to_f64(), b.value.to_f64());
        if a.min(b) > EC_LOW_HIGH.0 || a.max(b) < EC_LOW_HIGH.1 {
            return Err(RefusalReason::PointsTooNear);
        }
    }
    Ok(())
}

fn oxygen(points: &[Point]) -> Checked {
    let saturated = |point: &Point| -> Result<(f64, f64), RefusalReason> {
        let temperature = point.temperature.ok_or(RefusalReason::PointTemperature)?;
        let most = saturation_mg_l(temperature).ok_or(RefusalReason::PointTemperature)?;
        let value = point.value.to_f64();
        if value <= 0.0 {
            return Err(RefusalReason::PointValue);
        }
        let millivolts = analog(point)? * most.to_f64() / value;
        if !OXYGEN_MV.contains(&millivolts) {
            return Err(RefusalReason::PointRaw);
        }
        Ok((temperature.to_f64(), millivolts))
    };
    match points {
        [a, b] => {
            let (a, b) = (saturated(a)?, saturated(b)?);
            if (a.0 - b.0).abs() < OXYGEN_LEAST_KELVIN {
                return Err(RefusalReason::PointsTooNear);
            }
            // The membrane lets more through when it is warm.
            if (a.1 - b.1) / (a.0 - b.0) <= 0.0 {
                return Err(RefusalReason::Direction);
            }
            Ok(())
        }
        points => points
            .iter()
            .try_for_each(|point| saturated(point).map(|_| ())),
    }
}

fn capacitive(a: &Point, b: &Point) -> Checked {
    let (dry, wet) = if a.value < b.value { (a, b) } else { (b, a) };
    let raw = (dry.raw.to_f64(), wet.raw.to_f64());
    // Counts of 16 bits, or millivolts.
    if [raw.0, raw.1]
        .iter()
        .any(|raw| !(1.0..=65_535.0).contains(raw))
    {
        return Err(RefusalReason::PointRaw);
    }
    if too_near(raw.0, raw.1) || wet.value.to_f64() - dry.value.to_f64() < 1.0 {
        return Err(RefusalReason::PointsTooNear);
    }
    if raw.0 < raw.1 {
        return Err(RefusalReason::Direction);
    }
    Ok(())
}
