//! A database file read page by page, without SQLite, which gives up on a tree at its first bad page.
//!
//! Format: <https://www.sqlite.org/fileformat2.html>. Everything is bounds-checked: a page may hold anything.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rusqlite::types::Value;

use super::wal::Wal;

/// Bytes in a page: SQLite's default, which the journal does not change.
pub(super) const PAGE: usize = 4_096;
/// Longest record that is put together again: far beyond any of the journal's.
const LONGEST: usize = 1 << 26;
/// Pages between two pages of pointers, in a file that gives free pages back (section 1.8 of the format): page 2 is the
/// first of them.
const MAP_EVERY: usize = PAGE / 5 + 1;
/// What the first entry of a pointer map says: the page behind it is a root.
const MAP_OF_ROOT: u8 = 1;
/// Trees of 4 KiB pages are never as deep.
const DEEPEST: usize = 24;

const INDEX_INTERIOR: u8 = 0x02;
const TABLE_INTERIOR: u8 = 0x05;
const INDEX_LEAF: u8 = 0x0a;
const TABLE_LEAF: u8 = 0x0d;

/// One record: its row id (0 in an index or a table without them) and its columns.
pub(super) type Record = (i64, Vec<Value>);

/// The pages of a file, with those of its write-ahead log laid over them.
#[derive(Debug)]
pub(super) struct Image {
    file: File,
    wal: Wal,
    pages: u32,
    /// Pages that belong to something: a tree, a long record, the free list.
    used: HashSet<u32>,
    /// Places in trees where a page should be and is not, and records that can't be put together.
    pub(super) broken: u64,
}

impl Image {
    pub(super) fn open(path: &Path, wal: Wal) -> io::Result<Self> {
        // A file that is gone is one without pages; what the log holds may be enough.
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let pages = (file.metadata()?.len() / PAGE as u64).min(u64::from(u32::MAX)) as u32;
        let pages = pages.max(wal.pages.keys().copied().max().unwrap_or(0));
        Ok(Self {
            file,
            wal,
            pages,
            used: HashSet::new(),
            broken: 0,
        })
    }

    fn page(&self, n: u32) -> Option<Vec<u8>> {
        if n == 0 || n > self.pages {
            return None;
        }
        if let Some(page) = self.wal.pages.get(&n) {
            return Some(page.to_vec());
        }
        let mut page = vec![0; PAGE];
        self.file
            .read_exact_at(&mut page, u64::from(n - 1) * PAGE as u64)
            .ok()?;
        Some(page)
    }

    /// Every record of the tree at `root` that can be reached.
    pub(super) fn tree(&mut self, root: u32, index: bool, each: &mut impl FnMut(Record)) {
        self.subtree(root, index, 0, each);
    }

    fn subtree(&mut self, n: u32, index: bool, depth: usize, each: &mut impl FnMut(Record)) {
        let page = self.page(n).filter(|_| depth < DEEPEST);
        let node = page.as_deref().and_then(|page| Node::of(page, n));
        let Some(node) = node.filter(|node| node.index == index) else {
            self.broken += 1;
            return;
        };
        // A page is in one tree, once: a pointer that says otherwise is a wrong one.
        if !self.used.insert(n) {
            self.broken += 1;
            return;
        }
        for cell in 0..node.cells {
            if let Some(child) = node.child(cell) {
                self.subtree(child, index, depth + 1, each);
            }
            if node.holds_records() {
                match node.record(self, cell) {
                    Some(record) => each(record),
                    None => self.broken += 1,
                }
            }
        }
        if let Some(right) = node.right() {
            self.subtree(right, index, depth + 1, each);
        }
    }

    /// Whether the file keeps a map of pointers, so that free pages can be given back. The map itself says so, since page 1
    /// may be the damaged one; the header is asked where page 2 is neither that nor a root.
    pub(super) fn has_map(&self) -> bool {
        let second = self.page(2);
        match second.as_deref().and_then(<[u8]>::first) {
            Some(&MAP_OF_ROOT) => true,
            Some(&(INDEX_INTERIOR | INDEX_LEAF | TABLE_INTERIOR | TABLE_LEAF)) => false,
            _ => self
                .page(1)
                .as_deref()
                .and_then(|h| u32_at(h, 52))
                .is_some_and(|root| root != 0),
        }
    }

    /// Marks the pages of the pointer map as used: they look like others at times.
    pub(super) fn map(&mut self) {
        if self.has_map() {
            self.used.extend((2..=self.pages).step_by(MAP_EVERY));
        }
    }

    /// Marks the pages of the free list as used: what they hold was deleted.
    pub(super) fn free(&mut self) {
        let header = self.page(1);
        let mut trunk = header.as_deref().and_then(|h| u32_at(h, 32)).unwrap_or(0);
        while trunk != 0 && self.used.insert(trunk) {
            let Some(page) = self.page(trunk) else { return };
            let leaves = u32_at(&page, 4).unwrap_or(0).min(PAGE as u32 / 4 - 2);
            for i in 0..leaves as usize {
                self.used.extend(u32_at(&page, 8 + 4 * i));
            }
            trunk = u32_at(&page, 0).unwrap_or(0);
        }
    }

    /// The records of every page that nothing leads to any more.
    pub(super) fn strays(&mut self, each: &mut impl FnMut(Record)) {
        for n in 1..=self.pages {
            if self.used.contains(&n) {
                continue;
            }
            let page = self.page(n);
            let Some(node) = page.as_deref().and_then(|page| Node::of(page, n)) else {
                continue;
            };
            for cell in (0..node.cells).filter(|_| node.holds_records()) {
                if let Some(record) = node.record(self, cell) {
                    each(record);
                }
            }
        }
    }

    /// The rest of a record that is too long for its page.
    fn overflow(&mut self, mut next: u32, payload: &mut Vec<u8>, len: usize) -> Option<()> {
        let mut chain = Vec::new();
        while payload.len() < len {
            if chain.len() > LONGEST / PAGE {
                return None;
            }
            let page = self.page(next)?;
            chain.push(next);
            next = u32_at(&page, 0)?;
            let take = (len - payload.len()).min(PAGE - 4);
            payload.extend_from_slice(page.get(4..4 + take)?);
        }
        self.used.extend(chain);
        Some(())
    }
}

/// One page of a tree.
struct Node<'a> {
    page: &'a [u8],
    /// Where its header is: behind the file's own on page 1.
    at: usize,
    kind: u8,
    index: bool,
    cells: usize,
}

impl<'a> Node<'a> {
    fn of(page: &'a [u8], n: u32) -> Option<Self> {
        let at = if n == 1 { 100 } else { 0 };
        let kind = *page.get(at)?;
        let index = match kind {
            INDEX_INTERIOR | INDEX_LEAF => true,
            TABLE_INTERIOR | TABLE_LEAF => false,
            _ => return None,
        };
        let cells = usize::from(u16_at(page, at + 3)?);
        // Two bytes of pointer and four of cell are the least that one takes.
        (cells <= PAGE / 6).then_some(Self {
            page,
            at,
            kind,
            index,
            cells,
        })
    }

    fn is_leaf(&self) -> bool {
        matches!(self.kind, INDEX_LEAF | TABLE_LEAF)
    }

    fn holds_records(&self) -> bool {
        self.kind != TABLE_INTERIOR
    }

    fn cell(&self, i: usize) -> Option<&'a [u8]> {
        let pointers = self.at + if self.is_leaf() { 8 } else { 12 };
        self.page
            .get(usize::from(u16_at(self.page, pointers + 2 * i)?)..)
    }

    fn child(&self, i: usize) -> Option<u32> {
        if self.is_leaf() {
            return None;
        }
        // A pointer outside the page is one to no page: it counts as broken.
        Some(self.cell(i).and_then(|c| u32_at(c, 0)).unwrap_or(0))
    }

    fn right(&self) -> Option<u32> {
        (!self.is_leaf()).then(|| u32_at(self.page, self.at + 8).unwrap_or(0))
    }

    fn record(&self, image: &mut Image, i: usize) -> Option<Record> {
        let mut cell = self.cell(i)?;
        if !self.is_leaf() {
            cell = cell.get(4..)?;
        }
        let len = usize::try_from(varint(&mut cell)?).ok()?;
        let id = if self.index { 0 } else { varint(&mut cell)? };
        if len > LONGEST {
            return None;
        }
        // How much of a record stays in its page: section 1.6 of the format.
        let most = if self.index {
            (PAGE - 12) * 64 / 255 - 23
        } else {
            PAGE - 35
        };
        let least = (PAGE - 12) * 32 / 255 - 23;
        let here = if len <= most {
            len
        } else {
            let some = least + (len - least) % (PAGE - 4);
            if some <= most { some } else { least }
        };
        let mut payload = cell.get(..here)?.to_vec();
        if here < len {
            image.overflow(u32_at(cell, here)?, &mut payload, len)?;
        }
        Some((id, columns(&payload)?))
    }
}

fn columns(payload: &[u8]) -> Option<Vec<Value>> {
    let mut header = payload;
    let len = usize::try_from(varint(&mut header)?).ok()?;
    let used = payload.len() - header.len();
    let mut types = payload.get(used..len)?;
    let mut body = payload.get(len..)?;
    let mut out = Vec::new();
    while !types.is_empty() {
        let kind = varint(&mut types)?;
        let size = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind as usize,
            5 => 6,
            6 | 7 => 8,
            12.. => usize::try_from((kind - 12) / 2).ok()?,
            _ => return None,
        };
        let (bytes, rest) = body.split_at_checked(size)?;
        body = rest;
        out.push(match kind {
            0 => Value::Null,
            8 => Value::Integer(0),
            9 => Value::Integer(1),
            7 => Value::Real(f64::from_be_bytes(bytes.try_into().ok()?)),
            1..=6 => {
                let sign = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
                Value::Integer(bytes.iter().fold(sign, |v, b| v << 8 | i64::from(*b)))
            }
            _ if kind % 2 == 0 => Value::Blob(bytes.to_vec()),
            _ => Value::Text(String::from_utf8(bytes.to_vec()).ok()?),
        });
    }
    Some(out)
}

/// SQLite's own variable-length integer: big endian, 9 bytes at most.
fn varint(bytes: &mut &[u8]) -> Option<i64> {
    let mut v = 0i64;
    for i in 0..9 {
        let (&b, rest) = bytes.split_first()?;
        *bytes = rest;
        if i == 8 {
            return Some(v << 8 | i64::from(b));
        }
        v = v << 7 | i64::from(b & 0x7f);
        if b & 0x80 == 0 {
            break;
        }
    }
    Some(v)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}
