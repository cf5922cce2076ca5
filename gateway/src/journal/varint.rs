//! Bounds-checked reading of the journal's own byte strings.

use integer_encoding::VarInt;

/// The bytes are not what the journal writes: a damaged page, or a newer format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("damaged journal record")]
pub struct Damaged;

/// A cursor over a byte string; every read is checked.
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl Bytes<'_> {
    pub(super) fn byte(&mut self) -> Result<u8, Damaged> {
        let (first, rest) = self.0.split_first().ok_or(Damaged)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn varint<V: VarInt>(&mut self) -> Result<V, Damaged> {
        let (v, used) = V::decode_var(self.0).ok_or(Damaged)?;
        self.0 = &self.0[used..];
        Ok(v)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(Damaged)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Appends a variable-length integer (zigzag for signed types).
pub(super) fn put<V: VarInt>(out: &mut Vec<u8>, v: V) {
    let mut buf = [0u8; 10];
    let n = v.encode_var(&mut buf);
    out.extend_from_slice(&buf[..n]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn integers_come_back(signed: i64, unsigned: u64, short: u16) {
            let mut out = Vec::new();
            put(&mut out, signed);
            put(&mut out, unsigned);
            put(&mut out, short);
            let mut b = Bytes(&out);
            prop_assert_eq!(b.varint(), Ok(signed));
            prop_assert_eq!(b.varint(), Ok(unsigned));
            prop_assert_eq!(b.varint(), Ok(short));
            prop_assert!(b.is_empty());
            // One byte less, and the last of them is not there.
            let mut b = Bytes(&out[..out.len() - 1]);
            prop_assert_eq!((b.varint(), b.varint()), (Ok(signed), Ok(unsigned)));
            prop_assert_eq!(b.varint::<u16>(), Err(Damaged));
        }

        #[test]
        fn any_bytes_are_read_or_reported(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
            let mut b = Bytes(&bytes);
            while b.varint::<i64>().is_ok() {}
            let mut b = Bytes(&bytes);
            while b.varint::<u16>().is_ok() {}
            let mut b = Bytes(&bytes);
            while b.array::<8>().is_ok() {}
        }
    }
}
