//! SMS as the modem wants it: SMS-SUBMIT out, SMS-STATUS-REPORT in (3GPP TS 23.040), in hexadecimal.
//!
//! Of the crates for it, one brings an unmaintained text encoding library with known advisories and others only read. What is
//! needed is little: an international number, GSM 7-bit or UCS-2, parts of a long message, and the report's reference and status.

use crate::phone::Phone;
use crate::text::gsm_septet;

/// One part, ready for `AT+CMGS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// For the command: octets without the service centre's address.
    pub(super) length: usize,
    /// The PDU, in hexadecimal, the (empty) service centre's address included.
    pub(super) hex: String,
}

/// Octets of user data in one message (section 9.2.3.16: 140).
const OCTETS: usize = 140;
/// Octets of the header of one part of several: length, element, its length, reference, how many, which (section 9.2.3.24.1).
const HEADER: usize = 6;

/// The message in as many parts as it needs, at most 255; `reference` is the same in all of them.
pub(super) fn submit(to: &Phone, text: &str, reference: u8) -> Vec<Part> {
    match septets(text) {
        Some(units) => {
            let pieces = pieces(&units, OCTETS * 8 / 7, (OCTETS - HEADER) * 8 / 7);
            parts(to, &pieces, reference, 0x00, |piece, header| {
                // The text begins at a septet's border behind the header.
                let fill = header * 8 % 7;
                let fill = if fill == 0 { 0 } else { 7 - fill };
                (
                    piece.iter().map(|u| u.len()).sum::<usize>() + (header * 8).div_ceil(7),
                    pack(piece, fill),
                )
            })
        }
        None => {
            let units: Vec<Vec<u8>> = text.chars().map(utf16).collect();
            // Pieces are counted in octets here; a character outside the basic plane is never torn.
            let pieces = pieces(&units, OCTETS, OCTETS - HEADER);
            parts(to, &pieces, reference, 0x08, |piece, header| {
                let octets: Vec<u8> = piece.concat();
                (octets.len() + header, octets)
            })
        }
    }
}

fn utf16(c: char) -> Vec<u8> {
    let mut buffer = [0; 2];
    c.encode_utf16(&mut buffer)
        .iter()
        .flat_map(|u| u.to_be_bytes())
        .collect()
}

/// Each character as one septet, or two with the escape; `None` if one is not in the alphabet.
fn septets(text: &str) -> Option<Vec<Vec<u8>>> {
    text.chars()
        .map(|c| {
            let s = gsm_septet(c)?;
            let low = (s & 0x7f) as u8;
            Some(if s > 0x7f { vec![0x1b, low] } else { vec![low] })
        })
        .collect()
}

/// Cuts into pieces of at most `one` units if there is one, `many` if there are several; no character is torn.
fn pieces(units: &[Vec<u8>], one: usize, many: usize) -> Vec<Vec<Vec<u8>>> {
    let total: usize = units.iter().map(Vec::len).sum();
    let room = if total <= one { one } else { many };
    let mut out: Vec<Vec<Vec<u8>>> = vec![Vec::new()];
    let mut used = 0;
    for u in units {
        if used + u.len() > room {
            out.push(Vec::new());
            used = 0;
        }
        used += u.len();
        if let Some(last) = out.last_mut() {
            last.push(u.clone());
        }
    }
    out.truncate(255);
    out
}

fn parts(
    to: &Phone,
    pieces: &[Vec<Vec<u8>>],
    reference: u8,
    coding: u8,
    encode: impl Fn(&[Vec<u8>], usize) -> (usize, Vec<u8>),
) -> Vec<Part> {
    let several = pieces.len() > 1;
    let count = u8::try_from(pieces.len()).unwrap_or(255);
    (1..=count)
        .zip(pieces)
        .map(|(n, piece)| {
            let header: Vec<u8> = if several {
                vec![0x05, 0x00, 0x03, reference, count, n]
            } else {
                Vec::new()
            };
            let (length, data) = encode(piece, header.len());
            // SMS-SUBMIT, relative validity period, status report asked for; user data header if there is one.
            let first = 0x01 | 0x10 | 0x20 | if several { 0x40 } else { 0 };
            let digits = to.digits();
            let mut tpdu = vec![first, 0x00, u8::try_from(digits.len()).unwrap_or(15), 0x91];
            tpdu.extend(swapped(digits));
            // Protocol 0; coding; valid for a day (section 9.2.3.12.1: 143 + (n - 143) half hours).
            tpdu.extend([0x00, coding, 167, u8::try_from(length).unwrap_or(u8::MAX)]);
            tpdu.extend(header);
            tpdu.extend(data);
            let hex: String = std::iter::once(&0)
                .chain(&tpdu)
                .map(|b| format!("{b:02X}"))
                .collect();
            Part {
                length: tpdu.len(),
                hex,
            }
        })
        .collect()
}

/// Digits in pairs, the second first, filled up with F (section 9.1.2.3).
fn swapped(digits: &str) -> Vec<u8> {
    let nibbles: Vec<u8> = digits
        .bytes()
        .map(|b| b.wrapping_sub(b'0') & 0x0f)
        .collect();
    nibbles
        .chunks(2)
        .map(|p| p.first().unwrap_or(&0x0f) | p.get(1).unwrap_or(&0x0f) << 4)
        .collect()
}

/// Septets into octets, behind `fill` bits (3GPP TS 23.038 section 6.1.2.1).
fn pack(piece: &[Vec<u8>], fill: usize) -> Vec<u8> {
    let (mut out, mut bits, mut n) = (Vec::new(), 0u32, fill);
    for s in piece.iter().flatten() {
        bits |= u32::from(*s) << n;
        n += 7;
        while n >= 8 {
            out.push((bits & 0xff) as u8);
            bits >>= 8;
            n -= 8;
        }
    }
    if n > 0 {
        out.push((bits & 0xff) as u8);
    }
    out
}

/// What a delivery report says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Report {
    /// The reference that `+CMGS` gave.
    pub(super) reference: u8,
    /// Delivered, failed for good, or neither yet.
    pub(super) delivered: Option<bool>,
}

/// Reads an SMS-STATUS-REPORT (section 9.2.2.3); `None` if it is something else.
pub(super) fn report(hex: &str) -> Option<Report> {
    let octets: Option<Vec<u8>> = hex
        .trim()
        .as_bytes()
        .chunks(2)
        .map(|p| u8::from_str_radix(std::str::from_utf8(p).ok()?, 16).ok())
        .collect();
    let octets = octets?;
    let tpdu = octets.get(1 + usize::from(*octets.first()?)..)?;
    let (&first, &reference, &digits) = (tpdu.first()?, tpdu.get(1)?, tpdu.get(2)?);
    if first & 0x03 != 0x02 {
        return None;
    }
    // Address: its type, then two digits an octet; then two time stamps of seven octets; then the status.
    let status = *tpdu.get(3 + 1 + usize::from(digits).div_ceil(2) + 14)?;
    // Section 9.2.3.15: 0x00..0x1f delivered (0x01 forwarded, 0x02 replaced), 0x20..0x3f still trying, the rest failed.
    let delivered = match status {
        0x00..=0x1f => Some(true),
        0x20..=0x3f => None,
        _ => Some(false),
    };
    Some(Report {
        reference,
        delivered,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn phone() -> Phone {
        Phone::parse("+84912345678").unwrap()
    }

    #[test]
    fn a_short_message_is_the_known_bytes() {
        // "hellohello", the example of many a manual: E8329BFD4697D9EC37 is its packing.
        let p = submit(&phone(), "hellohello", 0);
        assert_eq!(p.len(), 1);
        assert_eq!(p[0].hex, "0031000B914819325476F80000A70AE8329BFD4697D9EC37");
        assert_eq!(p[0].length, p[0].hex.len() / 2 - 1);
    }

    #[test]
    fn vietnamese_with_marks_is_ucs2() {
        let p = submit(&phone(), "Ơ", 0);
        assert_eq!(p[0].hex, "0031000B914819325476F80008A70201A0");
    }

    #[test]
    fn parts_say_which_they_are_and_hold_what_the_standard_says() {
        for (text, parts) in [
            ("a".repeat(160), 1),
            ("a".repeat(161), 2),
            ("a".repeat(306), 2),
            ("a".repeat(307), 3),
        ] {
            assert_eq!(submit(&phone(), &text, 7).len(), parts);
        }
        assert_eq!(submit(&phone(), &"ơ".repeat(70), 7).len(), 1);
        let p = submit(&phone(), &"ơ".repeat(71), 7);
        assert_eq!(p.len(), 2);
        assert!(p[0].hex.contains("050003070201") && p[1].hex.contains("050003070202"));
        // The first octet says that there is a header.
        assert!(p[0].hex.starts_with("0071"));
    }

    #[test]
    fn reports_are_read() {
        // Reference 0x2a to +84912345678, two time stamps, status 0.
        let head = "0006 2A 0B914819325476F8 62112513000082 62112513000582".replace(' ', "");
        assert_eq!(
            report(&format!("{head}00")),
            Some(Report {
                reference: 42,
                delivered: Some(true)
            })
        );
        assert_eq!(
            report(&format!("{head}30")),
            Some(Report {
                reference: 42,
                delivered: None
            })
        );
        assert_eq!(
            report(&format!("{head}41")),
            Some(Report {
                reference: 42,
                delivered: Some(false)
            })
        );
        assert_eq!(report(&head), None);
        assert_eq!(report("0004"), None);
        assert_eq!(report("xy"), None);
    }

    /// The other direction, by another way, to hold against: what a phone shows.
    fn shown(parts: &[Part]) -> String {
        let (mut text, mut utf16) = (String::new(), Vec::new());
        for p in parts {
            let o: Vec<u8> = (0..p.hex.len() / 2)
                .map(|n| u8::from_str_radix(&p.hex[2 * n..2 * n + 2], 16).unwrap())
                .collect();
            let (first, coding, length, data) = (o[1], o[12], usize::from(o[14]), &o[15..]);
            assert!(data.len() <= 140, "{}", data.len());
            let header = if first & 0x40 != 0 {
                usize::from(data[0]) + 1
            } else {
                0
            };
            if coding == 8 {
                assert_eq!(length, data.len());
                utf16.extend(
                    data[header..]
                        .chunks(2)
                        .map(|u| u16::from_be_bytes([u[0], u[1]])),
                );
            } else {
                let bit = |n: usize| data.get(n / 8).is_some_and(|b| b >> (n % 8) & 1 == 1);
                let skip = (header * 8).div_ceil(7);
                let septet = |s: usize| {
                    (0..7)
                        .filter(|b| bit(s * 7 + b))
                        .map(|b| 1u16 << b)
                        .sum::<u16>()
                };
                let mut escaped = false;
                for s in (skip..length).map(septet) {
                    if s == 0x1b {
                        escaped = true;
                        continue;
                    }
                    let code = if escaped { s | 0x100 } else { s };
                    escaped = false;
                    text.extend(
                        (0..128u8)
                            .map(char::from)
                            .find(|c| gsm_septet(*c) == Some(code)),
                    );
                }
            }
        }
        text + &String::from_utf16(&utf16).unwrap()
    }

    proptest! {
        #[test]
        fn a_phone_shows_what_was_sent(text in "[ -_a-~]{0,500}", marks in "\\PC{0,200}") {
            for t in [text.replace('`', ""), marks] {
                let parts = submit(&phone(), &t, 9);
                prop_assert_eq!(shown(&parts), t.clone());
                prop_assert_eq!(u32::try_from(parts.len()).unwrap() >= crate::text::sms_parts(&t), true);
            }
        }

        #[test]
        fn no_report_panics(hex in "[0-9A-F]{0,80}") {
            let _ = report(&hex);
        }
    }
}
