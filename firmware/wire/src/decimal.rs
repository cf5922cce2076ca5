//! Exact decimal numbers: what the probe said, not the binary float next to it.
//!
//! A [`Decimal`] is always in lowest terms (no trailing zeros in the mantissa, zero is 0 x 10^0), so equal numbers are equal
//! bit for bit. Binary floats enter by their shortest decimal (the one that reads back as the same float) and leave
//! correctly rounded, so float -> decimal -> float is the identity.

use core::{
    cmp::Ordering,
    fmt::{self, Write},
    str::FromStr,
};

crate::error::errors! {
    /// Why a text is no decimal number.
    DecimalError {
        NotANumber = "not_a_number", "not a decimal number: write it like 12, -3.25 or 1.5e3, with a point and no unit";
        OutOfRange = "number_range", "too large or too small to be a reading: give the value in the channel's own unit";
    }
}

/// mantissa x 10^exponent, in lowest terms.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal {
    mantissa: i64,
    exponent: i8,
}

/// The powers of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Digits that always fit an `i64`.
const MAX_DIGITS: u32 = 18;

impl Decimal {
    /// Zero.
    pub const ZERO: Self = Self {
        mantissa: 0,
        exponent: 0,
    };

    /// mantissa x 10^exponent.
    pub const fn new(mut mantissa: i64, mut exponent: i8) -> Self {
        if mantissa == 0 {
            return Self::ZERO;
        }
        while mantissa % 10 == 0 && exponent < i8::MAX {
            mantissa /= 10;
            exponent += 1;
        }
        Self { mantissa, exponent }
    }

    fn with_exponent(mut mantissa: i64, mut exponent: i32) -> Option<Self> {
        while exponent < i32::from(i8::MIN) && mantissa % 10 == 0 && mantissa != 0 {
            mantissa /= 10;
            exponent += 1;
        }
        match i8::try_from(exponent) {
            Ok(exponent) => Some(Self::new(mantissa, exponent)),
            Err(_) => (mantissa == 0).then_some(Self::ZERO),
        }
    }

    /// The digits, without trailing zeros.
    pub const fn mantissa(self) -> i64 {
        self.mantissa
    }

    /// The power of ten that they are multiplied by.
    pub const fn exponent(self) -> i8 {
        self.exponent
    }

    /// The shortest decimal that reads back as this float; `None` for NaN, infinities and what no reading comes near to.
    pub fn from_f64(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        // Nearly every measured value has few decimals. Below 10^15 two decimals with the same number of places never
        // share a float, so the first that reads back is the shortest.
        for (places, power) in (0i8..).zip(&POWERS[..=6]) {
            let digits = nearest(value * power);
            if digits.unsigned_abs() < 1_000_000_000_000_000 && digits as f64 / power == value {
                return Some(Self::new(digits, -places));
            }
        }
        from_formatted(value)
    }

    /// The shortest decimal that reads back as this 32-bit float: 25.3, not 25.299999237060547.
    pub fn from_f32(value: f32) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        from_formatted(value)
    }

    /// The nearest double.
    pub fn to_f64(self) -> f64 {
        // One rounding of two exact operands is correct rounding.
        if self.mantissa.unsigned_abs() < 1 << 53
            && let Some(&power) = POWERS.get(usize::from(self.exponent.unsigned_abs()))
        {
            let mantissa = self.mantissa as f64;
            return if self.exponent < 0 {
                mantissa / power
            } else {
                mantissa * power
            };
        }
        let mut text = heapless::String::<32>::new();
        let _ = write!(text, "{}e{}", self.mantissa, self.exponent);
        text.parse().unwrap_or(f64::NAN) // Never: 20 digits and 4 of exponent are a number and fit.
    }

    /// A double that is as near as two roundings make it, and within the digits of any measurement. A board that asks for no
    /// more than this needs no reader of floats, 15 KiB of its flash.
    pub fn near_f64(self) -> f64 {
        let (mut value, mut left) = (self.mantissa as f64, self.exponent.unsigned_abs());
        while left > 0 {
            let step = left.min(22);
            let power = POWERS.get(usize::from(step)).copied().unwrap_or(1.0);
            value = match self.exponent < 0 {
                true => value / power,
                false => value * power,
            };
            left -= step;
        }
        value
    }

    /// This number x 10^power; `None` if it does not fit.
    pub fn scaled(self, power: i8) -> Option<Self> {
        Self::with_exponent(self.mantissa, i32::from(self.exponent) + i32::from(power))
    }

    /// The exact sum; `None` if it does not fit.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        if other.mantissa == 0 {
            return Some(self);
        }
        if self.mantissa == 0 {
            return Some(other);
        }
        let exponent = self.exponent.min(other.exponent);
        let sum = self
            .digits_at(exponent)?
            .checked_add(other.digits_at(exponent)?)?;
        Some(Self::new(sum, exponent))
    }

    /// How many 10^exponent it holds, rounded down; `None` if that passes an `i64`.
    pub fn floor_at(self, exponent: i8) -> Option<i64> {
        if self.exponent >= exponent {
            return self.digits_at(exponent);
        }
        let places = i32::from(exponent) - i32::from(self.exponent);
        // Past the last digit only the sign is left.
        let divisor = 10i64.checked_pow(places.unsigned_abs());
        Some(divisor.map_or(-i64::from(self.mantissa < 0), |divisor| {
            self.mantissa.div_euclid(divisor)
        }))
    }

    /// Its mantissa at an exponent that is not greater than its own.
    fn digits_at(self, exponent: i8) -> Option<i64> {
        let places = i32::from(self.exponent) - i32::from(exponent);
        self.mantissa
            .checked_mul(10i64.checked_pow(places.unsigned_abs())?)
    }

    /// Where its first digit stands: 1 for 1..10, 2 for 10..100.
    fn magnitude(self) -> i32 {
        self.mantissa
            .unsigned_abs()
            .checked_ilog10()
            .map_or(0, |digits| digits as i32 + 1)
            + i32::from(self.exponent)
    }
}

/// The nearest integer, halves away from zero (`f64::round` is not in `core`).
fn nearest(value: f64) -> i64 {
    (value + if value < 0.0 { -0.5 } else { 0.5 }) as i64
}

/// By way of `core`'s shortest formatting.
fn from_formatted(value: impl fmt::LowerExp) -> Option<Decimal> {
    let mut text = heapless::String::<32>::new();
    write!(text, "{value:e}").ok()?;
    text.parse().ok()
}

impl From<i64> for Decimal {
    fn from(value: i64) -> Self {
        Self::new(value, 0)
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    /// Reads `-12.5e-3` and the like. More than 18 digits are a binary float printed in full: they are read as the float
    /// that they stand for.
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let (negative, digits) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            all => (false, all),
        };
        let mut mantissa = 0i64;
        let mut significant = 0;
        let mut exponent = 0i32;
        let (mut any_digit, mut fraction) = (false, false);
        let mut rest = digits.iter();
        while let Some(byte) = rest.next() {
            match byte {
                b'0'..=b'9' => {
                    any_digit = true;
                    significant += u32::from(significant > 0 || *byte != b'0');
                    if significant <= MAX_DIGITS {
                        mantissa = mantissa * 10 + i64::from(byte - b'0');
                        exponent -= i32::from(fraction);
                    }
                }
                b'.' if !fraction => fraction = true,
                b'e' | b'E' if any_digit => {
                    exponent = exponent.saturating_add(
                        parse_exponent(rest.as_slice()).ok_or(DecimalError::NotANumber)?,
                    );
                    break;
                }
                _ => return Err(DecimalError::NotANumber),
            }
        }
        if !any_digit {
            return Err(DecimalError::NotANumber);
        }
        if significant > MAX_DIGITS {
            return text
                .parse()
                .ok()
                .and_then(Self::from_f64)
                .ok_or(DecimalError::OutOfRange);
        }
        Self::with_exponent(if negative { -mantissa } else { mantissa }, exponent)
            .ok_or(DecimalError::OutOfRange)
    }
}

fn parse_exponent(text: &[u8]) -> Option<i32> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        all => (false, all),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0i32, |value, digit| {
        value
            .saturating_mul(10)
            .saturating_add(i32::from(digit - b'0'))
    });
    Some(if negative { -value } else { value })
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = self.mantissa.signum();
        sign.cmp(&other.mantissa.signum()).then_with(|| {
            let by_magnitude = self.magnitude().cmp(&other.magnitude());
            let by_magnitude = if sign < 0 {
                by_magnitude.reverse()
            } else {
                by_magnitude
            };
            // Same magnitude: the exponents are at most 18 apart.
            by_magnitude.then_with(|| {
                let lower = self.exponent.min(other.exponent);
                let at = |d: &Self| {
                    i128::from(d.mantissa)
                        * 10i128.pow((i32::from(d.exponent) - i32::from(lower)).unsigned_abs())
                };
                at(self).cmp(&at(other))
            })
        })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = usize::from(self.exponent.unsigned_abs());
        if places > 20 {
            return write!(f, "{}e{}", self.mantissa, self.exponent);
        }
        if self.exponent >= 0 {
            write!(f, "{}", self.mantissa)?;
            return (0..places).try_for_each(|_| f.write_char('0'));
        }
        let mut digits = heapless::String::<48>::new();
        write!(
            digits,
            "{:0width$}",
            self.mantissa.unsigned_abs(),
            width = places + 1
        )?;
        let (whole, fraction) = digits.split_at(digits.len() - places);
        let sign = if self.mantissa < 0 { "-" } else { "" };
        write!(f, "{sign}{whole}.{fraction}")
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    fn d(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn the_near_double_is_the_nearest_one_for_what_is_measured() {
        for text in [
            "0",
            "29.4",
            "-153.25",
            "1013.25",
            "0.000001",
            "123456789012345",
        ] {
            let decimal: Decimal = text.parse().unwrap();
            assert_eq!(decimal.near_f64(), decimal.to_f64(), "{text}");
        }
        let far = Decimal::new(123_456_789, -100);
        assert!((far.near_f64() / far.to_f64() - 1.0).abs() < 1e-15);
    }

    #[test]
    fn reads_and_prints_exactly() {
        for (text, mantissa, exponent, printed) in [
            ("0", 0, 0, "0"),
            ("-0.00", 0, 0, "0"),
            ("25.30", 253, -1, "25.3"),
            ("-0.05", -5, -2, "-0.05"),
            ("1000", 1, 3, "1000"),
            ("+1.5e3", 15, 2, "1500"),
            ("1e-30", 1, -30, "1e-30"),
            ("007", 7, 0, "7"),
            (".5", 5, -1, "0.5"),
            (
                "999999999999999999",
                999_999_999_999_999_999,
                0,
                "999999999999999999",
            ),
            ("0e999", 0, 0, "0"),
        ] {
            let decimal = d(text);
            assert_eq!(
                (decimal.mantissa(), decimal.exponent()),
                (mantissa, exponent),
                "{text}"
            );
            assert_eq!(decimal.to_string(), printed);
            assert_eq!(d(&decimal.to_string()), decimal);
        }
    }

    #[test]
    fn long_digits_are_read_as_the_float_they_print() {
        assert_eq!(d("0.1000000000000000055511151231257827"), d("0.1"));
        assert_eq!(d("25.299999999999999999999"), d("25.3"));
    }

    #[test]
    fn refuses_what_is_no_number() {
        for text in [
            "", "-", ".", "e5", "1e", "1e+", "1..2", "1,5", "12 ", "nan", "inf", "0x10", "--1",
            "1e5.5", "٣",
        ] {
            assert_eq!(
                text.parse::<Decimal>(),
                Err(DecimalError::NotANumber),
                "{text}"
            );
        }
        for text in [
            "1e128",
            "1e-129",
            "1e99999999999999999999",
            "123456789012345678901e200",
        ] {
            assert_eq!(
                text.parse::<Decimal>(),
                Err(DecimalError::OutOfRange),
                "{text}"
            );
        }
    }

    #[test]
    fn floats_pass_through_unchanged() {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        for round in 0..200_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // Half of them as probes give them, half any bits at all.
            let value = if round % 2 == 0 {
                (state % 2_000_000) as f64 / POWERS[round % 7] - 500.0
            } else {
                f64::from_bits(state)
            };
            let Some(decimal) = Decimal::from_f64(value) else {
                assert!(!value.is_finite() || value.abs() > 1e120 || value.abs() < 1e-100);
                continue;
            };
            assert_eq!(decimal.to_f64(), value);
            let mut shortest = heapless::String::<40>::new();
            write!(shortest, "{value:e}").unwrap();
            assert_eq!(decimal, d(&shortest));
        }
        assert_eq!(Decimal::from_f32(25.3), Some(d("25.3")));
        assert_eq!(Decimal::from_f64(-0.0), Some(Decimal::ZERO));
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
            assert_eq!(Decimal::from_f64(bad), None);
        }
    }

    #[test]
    fn orders_by_value() {
        let rising = [
            "-1e100",
            "-20",
            "-3.5",
            "-3.45",
            "0",
            "1e-100",
            "0.999",
            "1",
            "1.01",
            "9",
            "10",
            "9223372036854775807",
            "1e127",
        ];
        for (i, a) in rising.iter().enumerate() {
            for (j, b) in rising.iter().enumerate() {
                assert_eq!(d(a).cmp(&d(b)), i.cmp(&j), "{a} {b}");
            }
        }
    }

    #[test]
    fn adds_and_floors_exactly() {
        assert_eq!(d("1.5").checked_add(d("0.25")), Some(d("1.75")));
        assert_eq!(d("1e100").checked_add(d("1")), None);
        assert_eq!(d("1e100").checked_add(d("0")), Some(d("1e100")));
        assert_eq!(d("1.2345").floor_at(-3), Some(1234));
        assert_eq!(d("-1.2345").floor_at(-3), Some(-1235));
        assert_eq!(d("-1e-100").floor_at(-3), Some(-1));
        assert_eq!(d("1e-100").floor_at(-3), Some(0));
        assert_eq!(d("5").floor_at(-3), Some(5000));
        assert_eq!(d("1e17").floor_at(-3), None);
        assert_eq!(d("1").scaled(127).and_then(|x| x.scaled(1)), None);
    }
}
