//! Numbers that stand for "no value".

use sen_wire::Quantity;

/// Placeholders of loggers, converters and databases, whatever the quantity: missing-value codes, and registers with all
/// bits set, signed and not, plain and in tenths.
const ANYWHERE: &[f64] = &[
    -99.0, -99.9, -999.0, -999.9, -6999.0, -7999.0, -8888.0, -9999.0, -32768.0, -3276.8, 32767.0,
    3276.7, 65535.0, 6553.5, 99999.0, 1e20, 9.96921e36,
];

/// Whether a value stands for "no value".
///
/// A number that the quantity can really take is none: 65535 lx is a bright day. `-127` and `85.0` are what libraries of the
/// DS18B20 give for "no answer" and "not measured yet" (datasheet: power-on value 85 °C).
#[must_use]
pub fn is_placeholder(quantity: Quantity, value: f64) -> bool {
    if !value.is_finite() {
        return true;
    }
    let (low, high) = quantity.plausible();
    if (low..=high).contains(&value) {
        return false;
    }
    let thermometer = matches!(
        quantity,
        Quantity::AirTemperature
            | Quantity::SoilTemperature
            | Quantity::WaterTemperature
            | Quantity::LeafTemperature
    );
    let is = |code: &f64| (value - code).abs() <= code.abs() * 1e-6;
    ANYWHERE.iter().any(is) || (thermometer && [-127.0, 85.0].iter().any(is))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_stands_for_no_value() {
        for value in [f64::NAN, f64::INFINITY, -9999.0, 65535.0, -127.0, 85.0] {
            assert!(is_placeholder(Quantity::WaterTemperature, value), "{value}");
        }
    }

    #[test]
    fn a_number_that_can_be_is_a_value() {
        assert!(!is_placeholder(Quantity::Light, 65535.0));
        assert!(!is_placeholder(Quantity::AirHumidity, 85.0));
        assert!(!is_placeholder(Quantity::WaterLevel, -99.0));
        assert!(!is_placeholder(Quantity::WaterTemperature, 0.0));
    }
}
