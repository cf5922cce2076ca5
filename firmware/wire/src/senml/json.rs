//! SenML in JSON (RFC 8428 section 5), pulled out of the bytes by a scanner of our own.
//!
//! Why not serde-json-core: it can't tell what kind a value is before it is read, so text where a number belongs would
//! refuse the whole pack; it hands numbers out as binary floats, where a [`Decimal`] wants the digits that were sent; and it
//! follows nested arrays by recursion, so that a hostile payload chooses how deep the stack goes.
//!
//! Stricter than nothing, more lenient than the grammar in one place: devices that print a float with C's `printf` send
//! `nan` and `inf`, which costs them the record, not the pack.

use super::{
    PackError, RecordError,
    label::Meaning,
    reader::{Source, Text},
};
use crate::{Decimal, decimal::DecimalError};

/// How deep an ignored value may nest.
const MAX_DEPTH: u32 = 32;

pub(super) struct Json<'a> {
    text: &'a str,
    at: usize,
    /// Nothing was read yet in the array or object that we are in: no comma is due.
    first: bool,
}

impl<'a> Json<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, PackError> {
        let text = core::str::from_utf8(bytes).map_err(|_| PackError::Malformed)?;
        let mut json = Self {
            text,
            at: 0,
            first: true,
        };
        json.expect(b'[')?;
        Ok(json)
    }

    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Result<(), PackError> {
        if self.peek() != Some(byte) {
            return Err(PackError::Malformed);
        }
        self.at += 1;
        Ok(())
    }

    /// True if another item follows in the array or object that `close` ends.
    fn more(&mut self, close: u8) -> Result<bool, PackError> {
        let first = core::mem::replace(&mut self.first, false);
        match self.peek() {
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            Some(b',') if !first => {
                self.at += 1;
                Ok(true)
            }
            Some(_) if first => Ok(true),
            _ => Err(PackError::Malformed),
        }
    }

    /// A string, its quotes taken off and its escapes left in.
    fn string(&mut self) -> Result<Text<'a>, PackError> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.at += 2;
                }
                Some(0x20..) => self.at += 1,
                _ => return Err(PackError::Malformed),
            }
        }
        // Both ends are ASCII quotes, hence character boundaries.
        let raw = self.text.get(start..self.at).ok_or(PackError::Malformed)?;
        self.at += 1;
        Ok(Text { raw, escaped })
    }

    /// A number, `true`, `false`, `null`, or what a broken device writes in their place; never empty.
    fn word(&mut self) -> Result<&'a str, PackError> {
        self.peek();
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest
            .bytes()
            .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
            .count();
        let word = rest.get(..length).filter(|word| !word.is_empty());
        self.at += length;
        word.ok_or(PackError::Malformed)
    }
}

impl<'a> Source<'a> for Json<'a> {
    fn next_record(&mut self) -> Result<bool, PackError> {
        if !self.more(b']')? {
            return if self.peek().is_none() {
                Ok(false)
            } else {
                Err(PackError::Malformed)
            };
        }
        self.expect(b'{')?;
        self.first = true;
        Ok(true)
    }

    fn next_label(&mut self) -> Result<Option<Meaning>, PackError> {
        if !self.more(b'}')? {
            return Ok(None);
        }
        let label = self.string()?;
        self.expect(b':')?;
        if !label.escaped {
            return Ok(Some(Meaning::of_text(label.raw.as_bytes())));
        }
        // A label written with escapes is still that label. One that does not fit here is none that we know.
        let mut text = heapless::String::<16>::new();
        let fits = unescape(label.raw, &mut text);
        let text = if fits { text.as_str() } else { label.raw };
        Ok(Some(Meaning::of_text(text.as_bytes())))
    }

    fn number(&mut self) -> Result<Result<Decimal, RecordError>, PackError> {
        if let Some(b'"' | b'[' | b'{') = self.peek() {
            self.skip()?;
            return Ok(Err(RecordError::NotANumber));
        }
        let word = self.word()?;
        match word.parse() {
            Ok(number) => Ok(Ok(number)),
            Err(DecimalError::OutOfRange) => Ok(Err(RecordError::NumberRange)),
            Err(DecimalError::NotANumber) => match word {
                "true" | "false" => Ok(Err(RecordError::NotANumber)),
                "null" => Ok(Err(RecordError::NoValue)),
                _ if is_not_finite(word) => Ok(Err(RecordError::NotFinite)),
                _ => Err(PackError::Malformed),
            },
        }
    }

    fn text(&mut self) -> Result<Option<Text<'a>>, PackError> {
        if self.peek() == Some(b'"') {
            return self.string().map(Some);
        }
        self.skip()?;
        Ok(None)
    }

    fn boolean(&mut self) -> Result<Option<bool>, PackError> {
        let start = self.at;
        match self.peek() {
            Some(b't' | b'f') => match self.word()? {
                "true" => Ok(Some(true)),
                "false" => Ok(Some(false)),
                _ => Err(PackError::Malformed),
            },
            _ => {
                self.at = start;
                self.skip()?;
                Ok(None)
            }
        }
    }

    /// Strings and words are checked; brackets are only counted, for nobody reads what is between them.
    fn skip(&mut self) -> Result<(), PackError> {
        let mut depth = 0u32;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.string()?;
                }
                Some(b'[' | b'{') if depth < MAX_DEPTH => {
                    self.at += 1;
                    depth += 1;
                }
                Some(b']' | b'}') if depth > 0 => {
                    self.at += 1;
                    depth -= 1;
                }
                Some(b',' | b':') if depth > 0 => self.at += 1,
                _ => {
                    self.word()?;
                }
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

fn is_not_finite(word: &str) -> bool {
    let word = word.trim_start_matches(['+', '-']);
    ["nan", "inf", "infinity"]
        .iter()
        .any(|name| word.eq_ignore_ascii_case(name))
}

/// Appends a string with its escapes resolved; false if one is broken or there is no room.
pub(super) fn unescape<const N: usize>(raw: &str, buffer: &mut heapless::String<N>) -> bool {
    let mut rest = raw;
    while let Some((plain, escape)) = rest.split_once('\\') {
        let mut chars = escape.chars();
        let unescaped = match chars.next() {
            Some('u') => {
                let code = escape
                    .get(1..5)
                    .and_then(|hex| u32::from_str_radix(hex, 16).ok());
                chars = escape.get(5..).unwrap_or_default().chars();
                // Pairs of surrogates stand for nothing that is in a name or unit.
                code.and_then(char::from_u32)
            }
            Some('n') => Some('\n'),
            Some('t') => Some('\t'),
            Some('r') => Some('\r'),
            Some('b') => Some('\u{8}'),
            Some('f') => Some('\u{c}'),
            Some(same @ ('"' | '\\' | '/')) => Some(same),
            _ => None,
        };
        let Some(unescaped) = unescaped else {
            return false;
        };
        if buffer.push_str(plain).is_err() || buffer.push(unescaped).is_err() {
            return false;
        }
        rest = chars.as_str();
    }
    buffer.push_str(rest).is_ok()
}
