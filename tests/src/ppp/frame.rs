//! PPP in HDLC-like framing (RFC 1662): flags, escapes, a checksum.

const FLAG: u8 = 0x7e;
const ESCAPE: u8 = 0x7d;
const FLIP: u8 = 0x20;
/// Address and control, the same in every frame.
const HEAD: [u8; 2] = [0xff, 0x03];
/// The checksum of a good frame, its own included.
const GOOD: u16 = 0xf0b8;

fn checksum(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |mut sum, byte| {
        sum ^= u16::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 {
                sum >> 1 ^ 0x8408
            } else {
                sum >> 1
            };
        }
        sum
    })
}

/// A frame, ready for the line.
pub(super) fn frame(protocol: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = HEAD.to_vec();
    bytes.extend(protocol.to_be_bytes());
    bytes.extend(body);
    bytes.extend((!checksum(&bytes)).to_le_bytes());
    let mut line = vec![FLAG];
    for byte in bytes {
        if byte < 0x20 || byte == FLAG || byte == ESCAPE {
            line.extend([ESCAPE, byte ^ FLIP]);
        } else {
            line.push(byte);
        }
    }
    line.push(FLAG);
    line
}

/// Finds the frames in what comes.
#[derive(Debug, Default)]
pub(super) struct Deframer {
    bytes: Vec<u8>,
    escaped: bool,
}

impl Deframer {
    /// The good frames that end in these bytes: protocol and body. Spoilt ones are dropped, as on any line.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
        let mut frames = Vec::new();
        for byte in bytes {
            match *byte {
                FLAG => {
                    self.escaped = false;
                    frames.extend(open(&std::mem::take(&mut self.bytes)));
                }
                ESCAPE => self.escaped = true,
                byte => {
                    let flip = if std::mem::take(&mut self.escaped) {
                        FLIP
                    } else {
                        0
                    };
                    self.bytes.push(byte ^ flip);
                }
            }
        }
        frames
    }
}

fn open(frame: &[u8]) -> Option<(u16, Vec<u8>)> {
    if checksum(frame) != GOOD {
        return None;
    }
    let (inner, _) = frame.split_last_chunk::<2>()?;
    // Either may be left out once both agree; the board's library compresses neither, but may.
    let inner = inner.strip_prefix(&HEAD).unwrap_or(inner);
    match inner {
        [short, body @ ..] if short & 1 == 1 => Some((u16::from(*short), body.to_vec())),
        [high, low, body @ ..] => Some((u16::from_be_bytes([*high, *low]), body.to_vec())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_frames_however_they_are_cut_and_drops_spoilt_ones() {
        let bodies = [vec![0x7e, 0x7d, 0x00, 0x41], vec![], (0..=255).collect()];
        let mut line: Vec<u8> = bodies.iter().flat_map(|b| frame(0x21, b)).collect();
        let mut spoilt = frame(0xc021, b"spoilt");
        spoilt[6] ^= 1;
        line.extend(spoilt);
        for step in 1..20 {
            let mut deframer = Deframer::default();
            let found: Vec<_> = line.chunks(step).flat_map(|c| deframer.feed(c)).collect();
            let expected: Vec<_> = bodies.iter().map(|b| (0x21, b.clone())).collect();
            assert_eq!(found, expected);
        }
    }
}
