//! SQLite's write-ahead log, looked at before SQLite does.
//!
//! SQLite takes the log up to the first frame whose checksum is wrong, and forgets the rest without a word. After a power
//! cut that is right: what follows was never synced. But a bit that flips in the middle would silently cost every commit
//! after it. The two are told apart by what comes behind the wrong frame. Each commit is synced before the next one
//! begins, so a torn tail holds one commit at most; two whole ones in a row behind a wrong frame were acknowledged.
//!
//! ```text
//! log    = magic:u32 version:u32 page size:u32 count:u32 salt:8 checksum:8   frame*        (all big endian)
//! frame  = page:u32  pages after commit:u32 (0: no commit)  salt:8  checksum:8  data
//! ```
//! A frame's checksum goes on from the one before, over its first 8 bytes and its data. It is stored in every frame, so
//! the chain can be picked up again behind a wrong one.

use std::collections::HashMap;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::image::PAGE;

const HEADER: usize = 32;
const FRAME: usize = 24;
const MAGIC: u32 = 0x377f_0682;

/// What a write-ahead log holds.
#[derive(Debug, Default)]
pub(super) struct Wal {
    /// Frames that SQLite would pass over although they were acknowledged, and those that are wrong.
    pub(super) damaged: bool,
    /// The newest version of each page, committed and whole.
    pub(super) pages: HashMap<u32, Box<[u8]>>,
}

/// Frames of one commit.
type Commit = Vec<(u32, Box<[u8]>)>;

/// Reads the log beside a database; its pages are kept only if `keep`. An absent one holds nothing.
///
/// # Errors
/// Only what opening says: a place that can't be read is where the log ends.
pub(super) fn read(path: &Path, keep: bool) -> io::Result<Wal> {
    let mut file = match std::fs::File::open(path) {
        Ok(file) => BufReader::with_capacity(1 << 16, file),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Wal::default()),
        Err(e) => return Err(e),
    };
    let mut header = [0; HEADER];
    if file.read_exact(&mut header).is_err() {
        return Ok(Wal::default());
    }
    // The lowest bit of the magic says in which order the words of a checksum are read.
    let big_endian = u32_at(&header, 0) == MAGIC | 1;
    let whole = u32_at(&header, 0) | 1 == MAGIC | 1
        && u32_at(&header, 8) as usize == PAGE
        && sum((0, 0), &header[..24], big_endian) == sums_at(&header, 24);
    let mut salt = whole.then(|| header[16..24].to_vec());
    let mut before = sums_at(&header, 24);

    let mut out = Wal::default();
    // SQLite stops at the first wrong frame; behind it commits wait for a second one in the same run.
    let mut sqlite_reads = whole;
    let (mut commit, mut waiting): (Commit, Vec<Commit>) = (Vec::new(), Vec::new());
    let mut frame = vec![0; FRAME + PAGE];
    while file.read_exact(&mut frame).is_ok() {
        let (head, data) = frame.split_at(FRAME);
        let (page, size) = (u32_at(head, 0), u32_at(head, 4));
        let sums = sum(sum(before, &head[..8], big_endian), data, big_endian);
        before = sums_at(head, 16);
        // A damaged header takes its salt with it; then that of the first frame counts.
        let salted = page != 0 && salt.get_or_insert_with(|| head[8..16].to_vec()) == &head[8..16];
        if !salted || sums != before {
            sqlite_reads = false;
            commit.clear();
            waiting.clear();
            continue;
        }
        if keep {
            commit.push((page, data.into()));
        }
        if size == 0 {
            continue;
        }
        let commit = std::mem::take(&mut commit);
        if sqlite_reads {
            out.pages.extend(commit);
        } else {
            waiting.push(commit);
            if waiting.len() >= 2 || out.damaged {
                out.damaged = true;
                out.pages.extend(waiting.drain(..).flatten());
            }
        }
    }
    Ok(out)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .map_or(0, |b| u32::from_be_bytes(*b))
}

fn sums_at(bytes: &[u8], at: usize) -> (u32, u32) {
    (u32_at(bytes, at), u32_at(bytes, at + 4))
}

fn sum((mut a, mut b): (u32, u32), bytes: &[u8], big_endian: bool) -> (u32, u32) {
    let word = |w: &[u8]| {
        let w = u32_at(w, 0);
        if big_endian { w } else { w.swap_bytes() }
    };
    for pair in bytes.chunks_exact(8) {
        a = a.wrapping_add(word(&pair[..4])).wrapping_add(b);
        b = b.wrapping_add(word(&pair[4..])).wrapping_add(a);
    }
    (a, b)
}
