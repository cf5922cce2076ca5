//! Telephone numbers, in the one form that every channel takes: E.164, `+` and country code first.
//!
//! A number without a country is refused rather than guessed: on the border of the delta, two countries' phones are in use,
//! and a message that goes to a stranger's phone costs money and warns nobody.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number in E.164: `+`, country code, subscriber; 8 to 15 digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Phone(String);

/// Why something is not a number that can be called, in words for whoever typed it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPhone {
    /// National form: the country is missing.
    #[error("{0} has no country: write {1}")]
    NoCountry(String, String),
    /// Something that no number contains.
    #[error("{0:?} does not belong into a telephone number")]
    Strange(char),
    /// A length that no number of that country has.
    #[error("{0} has {1} digits; a number of this country has {2}")]
    Length(String, usize, &'static str),
    /// Vietnamese mobile numbers begin with 3, 5, 7, 8 or 9 since 2018, fixed lines with 2.
    #[error("{0} is no Vietnamese number: after +84 comes 2, 3, 5, 7, 8 or 9")]
    Prefix(String),
}

impl Phone {
    /// Reads what a person typed: `+84 912 345 678`, `84912345678`, `0084…`. Spaces, dots, hyphens and brackets are let pass.
    ///
    /// # Errors
    /// With the words for whoever typed it; see [`BadPhone`].
    pub fn parse(typed: &str) -> Result<Self, BadPhone> {
        let typed = typed.trim();
        let (plus, rest) = match typed.strip_prefix('+').or_else(|| typed.strip_prefix("00")) {
            Some(rest) => (true, rest),
            None => (false, typed),
        };
        let mut digits = String::new();
        for c in rest.chars() {
            match c {
                '0'..='9' => digits.push(c),
                ' ' | '.' | '-' | '(' | ')' | '\u{a0}' => {}
                other => return Err(BadPhone::Strange(other)),
            }
        }
        if plus && !digits.starts_with('0') {
            return Self::checked(digits);
        }
        // Without a plus only 84 is taken: 84 and nine digits or more is longer than any number in national form.
        if !plus && digits.starts_with("84") && digits.len() >= 11 {
            return Self::checked(digits);
        }
        let national = digits.trim_start_matches('0');
        Err(BadPhone::NoCountry(
            typed.to_owned(),
            format!("+84 {national}"),
        ))
    }

    fn checked(digits: String) -> Result<Self, BadPhone> {
        let wrong = |n, right| Err(BadPhone::Length(format!("+{digits}"), n, right));
        if let Some(rest) = digits.strip_prefix("84") {
            match (rest.as_bytes().first(), rest.len()) {
                // A fixed line: three digits of area and seven, or two and eight, 10 in all.
                (Some(b'2'), 10) | (Some(b'3' | b'5' | b'7' | b'8' | b'9'), 9) => {}
                (Some(b'2' | b'3' | b'5' | b'7' | b'8' | b'9') | None, n) => {
                    return wrong(n, "9 after +84 (fixed lines 10)");
                }
                _ => return Err(BadPhone::Prefix(format!("+{digits}"))),
            }
        } else if !(8..=15).contains(&digits.len()) {
            return wrong(digits.len(), "8 to 15");
        }
        Ok(Self(format!("+{digits}")))
    }

    /// `+84912345678`.
    #[must_use]
    pub fn e164(&self) -> &str {
        &self.0
    }

    /// `84912345678`: the form that Zalo and eSMS take.
    #[must_use]
    pub fn digits(&self) -> &str {
        self.0.trim_start_matches('+')
    }
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Phone {
    type Error = BadPhone;
    fn try_from(s: String) -> Result<Self, BadPhone> {
        Self::parse(&s)
    }
}

impl From<Phone> for String {
    fn from(p: Phone) -> Self {
        p.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ways_people_write_a_vietnamese_number_are_one_number() {
        for typed in [
            "+84912345678",
            "84912345678",
            "+84 912 345 678",
            "0084912345678",
            "84-912.345.678",
            " +(84) 912345678 ",
        ] {
            assert_eq!(
                Phone::parse(typed).unwrap().e164(),
                "+84912345678",
                "{typed}"
            );
        }
        assert_eq!(
            Phone::parse("+84 292 3831 234").unwrap().digits(),
            "842923831234"
        );
        assert_eq!(
            Phone::parse("+855 12 345 678").unwrap().e164(),
            "+85512345678"
        );
    }

    #[test]
    fn a_number_without_a_country_is_refused_with_the_way_to_write_it() {
        assert_eq!(
            Phone::parse("0912345678").unwrap_err().to_string(),
            "0912345678 has no country: write +84 912345678"
        );
        assert_eq!(
            Phone::parse("912 345 678").unwrap_err().to_string(),
            "912 345 678 has no country: write +84 912345678"
        );
        // Begins with 84 and is a national number of nine digits.
        assert!(matches!(
            Phone::parse("845678901"),
            Err(BadPhone::NoCountry(..))
        ));
    }

    #[test]
    fn what_nobody_can_call_is_refused() {
        assert!(matches!(
            Phone::parse("+84 12 345 6789"),
            Err(BadPhone::Prefix(_))
        ));
        assert!(matches!(
            Phone::parse("+84 912 345"),
            Err(BadPhone::Length(..))
        ));
        assert!(matches!(
            Phone::parse("+84 0912 345 678"),
            Err(BadPhone::Prefix(_))
        ));
        assert!(matches!(
            Phone::parse("+1234567"),
            Err(BadPhone::Length(..))
        ));
        assert!(matches!(
            Phone::parse("+84 912 345 67a"),
            Err(BadPhone::Strange('a'))
        ));
        assert!(Phone::parse("").is_err());
    }

    proptest! {
        #[test]
        fn nothing_that_is_typed_panics_and_what_is_taken_reads_back(s in "\\PC{0,24}") {
            if let Ok(p) = Phone::parse(&s) {
                prop_assert_eq!(Phone::parse(p.e164()).unwrap(), p.clone());
                prop_assert_eq!(Phone::parse(&format!("+{}", p.digits())).unwrap(), p);
            }
        }
    }
}
