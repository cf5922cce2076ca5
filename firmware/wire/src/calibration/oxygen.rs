//! How much oxygen fresh water holds under air, by temperature.

use crate::Decimal;

/// ug/L at 0, 1, … 40 °C and 1013 hPa: the table of DFRobot's SEN0237 example.
const SATURATION_UG_L: [u16; 41] = [
    14460, 14220, 13820, 13440, 13090, 12740, 12420, 12110, 11810, 11530, 11260, 11010, 10770,
    10530, 10300, 10080, 9860, 9660, 9460, 9270, 9080, 8900, 8730, 8570, 8410, 8250, 8110, 7960,
    7820, 7690, 7560, 7430, 7300, 7180, 7070, 6950, 6840, 6730, 6630, 6530, 6410,
];

/// Oxygen in air-saturated fresh water, mg/L, by temperature in degrees Celsius; `None` outside of 0 to 40 °C. Between whole
/// degrees on a straight line, cut to whole ug/L. Brackish water holds less (about 15 % at 25 g/L): there is no term for
/// salinity.
pub fn saturation_mg_l(temperature: Decimal) -> Option<Decimal> {
    let millis = u32::try_from(temperature.floor_at(-3)?).ok()?;
    let (degree, rest) = ((millis / 1_000) as usize, millis % 1_000);
    let here = u32::from(*SATURATION_UG_L.get(degree)?);
    if rest == 0 {
        return Some(Decimal::new(here.into(), -3));
    }
    let next = u32::from(*SATURATION_UG_L.get(degree + 1)?);
    let fall = here.saturating_sub(next) * rest / 1_000;
    Some(Decimal::new(i64::from(here - fall), -3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_table_and_ends_where_it_ends() {
        let at = |text: &str| {
            saturation_mg_l(text.parse().expect("a number")).map(|mg| std::format!("{mg}"))
        };
        assert_eq!(at("25").as_deref(), Some("8.25"));
        assert_eq!(at("25.5").as_deref(), Some("8.18"));
        assert_eq!(at("0").as_deref(), Some("14.46"));
        assert_eq!(at("40").as_deref(), Some("6.41"));
        assert_eq!((at("-0.1"), at("40.1"), at("1e30")), (None, None, None));
        assert!(SATURATION_UG_L.is_sorted_by(|a, b| a > b));
    }
}
