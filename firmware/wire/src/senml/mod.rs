//! SenML (RFC 8428): the format of readings.
//!
//! A pack is an array of records. Sen's own nodes write CBOR with [`PackWriter`]; [`read_pack`] takes CBOR and JSON from
//! any device. Extension labels, which a reader that does not know them ignores:
//!
//! | label | where | value |
//! |---|---|---|
//! | `boot`, `seq` | first record, both or neither | place of the first record in the node's sequence; record i is `seq + i` |
//! | `flt` | any record, in place of a value | why the probe gave none: a [`Fault`](crate::Fault) code |
//! | `est` | any record | `true`: the time was placed backwards by the node |
//!
//! ```json
//! [{"bn":"pond-3/","bt":1341100800,"boot":7,"seq":41,"n":"sal","v":1.9},{"n":"wt","v":28.4},{"n":"do","flt":4}]
//! ```
//!
//! **Errors come in two levels.** A pack whose structure can't be trusted is refused as a whole ([`PackError`]). One record
//! that can't be used, say a channel that this version does not know, is refused alone ([`RecordError`]) and keeps its
//! place in the sequence: a new firmware in an old gateway loses one channel, not everything.

mod cbor;
mod json;
mod label;
mod reader;
mod writer;

pub use reader::{PackHead, Record, read_pack};
pub use writer::{Full, PackWriter};

crate::error::errors! {
    /// Why a pack was refused as a whole.
    PackError {
        NotAPack = "not_a_pack", "not a SenML pack: send a JSON or CBOR array of at least one record";
        Malformed = "malformed", "broken JSON or CBOR, or a base field of the wrong kind: check the device's encoder, and that the whole payload was sent";
        TooLarge = "too_large", "more than 16384 bytes: split the pack";
        TooManyRecords = "too_many_records", "more than 1024 records: split the pack";
        DuplicateKey = "duplicate_key", "a label stands twice in one record: a reader can't know which is meant";
        MustUnderstand = "must_understand", "a label ends in '_' and is not known here (RFC 8428 section 4.4): leave it out or update the gateway";
        UnsupportedVersion = "unsupported_version", "SenML version other than 10: send version 10, or leave bver out";
        MixedNames = "mixed_names", "records of several devices in one pack: all names need the same part before the last '/' or ':'";
        BadSequence = "bad_sequence", "boot and seq are whole numbers that stand together in the first record only; boot <= 2^53-1, and the last record's number fits 32 bits";
    }
}

crate::error::errors! {
    /// Why one record was refused.
    RecordError {
        UnknownChannel = "unknown_channel", "the name is no channel: use a name or code of the quantity table";
        UnknownUnit = "unknown_unit", "the unit is not one of this channel: use its canonical unit, or leave the unit out";
        NameTooLong = "name_too_long", "base name and name together pass 64 bytes: shorten them";
        NoValue = "no_value", "neither value nor fault: leave the record out, or say why with flt";
        NotANumber = "not_a_number", "the value is text, true/false or data: send a number";
        NotFinite = "not_finite", "the value is NaN or infinite: leave the record out, or say why with flt";
        NumberRange = "number_range", "the number is too large, too small or too long for a reading: give it in the channel's own unit";
        SeveralValues = "several_values", "more than one of value, text, boolean, data and fault: send one";
        UnknownFault = "unknown_fault", "the fault code is not known: use 1 to 9";
        BadTime = "bad_time", "the time is no number of seconds, or not between 8 years before now and the year 9999";
        BadField = "bad_field", "name, unit or est is of the wrong kind: names and units are text, est is true or false";
    }
}

/// Absolute times start here; anything below is relative to now (RFC 8428 section 4.5.3). Seconds: 2^28, July 1978.
const ABSOLUTE_FROM_MS: i64 = (1 << 28) * 1000;

/// The end of the year 9999.
const LATEST_MS: i64 = 253_402_300_799_999;
