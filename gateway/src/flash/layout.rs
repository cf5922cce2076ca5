//! What lies where in a board's flash: from the partition table within an ESP32's image, or from the table's source file.

use std::str::FromStr;

/// Where an ESP32's partition table is (ESP-IDF, `CONFIG_PARTITION_TABLE_OFFSET`).
const TABLE: usize = 0x8000;
/// Room for the table.
const TABLE_BYTES: usize = 0xc00;
/// One entry: magic, type, subtype, offset, size, name, flags.
const ENTRY: usize = 32;
const ENTRY_MAGIC: [u8; 2] = [0xaa, 0x50];
/// The entry with the checksum of those before it.
const CHECKSUM_MAGIC: [u8; 2] = [0xeb, 0xeb];

/// A named stretch of flash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its name.
    pub name: String,
    /// From the flash's first byte.
    pub offset: u32,
    /// In bytes.
    pub size: u32,
}

/// What lies where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout(Vec<Partition>);

/// The layout can't be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LayoutError {
    /// No table where an ESP32 has one.
    #[error(
        "the image has no partition table at 0x8000: it has to be all of the flash from 0 on, as `espflash save-image --merge` writes it"
    )]
    NoTable,
    /// An entry is broken.
    #[error("the image's partition table is damaged at entry {0}")]
    Entry(usize),
    /// A line of the source file is not understood.
    #[error("line {line} of the partition table: {what}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Two partitions lie over each other.
    #[error("the partitions {0} and {1} overlap")]
    Overlap(String, String),
}

impl Layout {
    /// Reads the table within an image of all of an ESP32's flash.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn in_image(image: &[u8]) -> Result<Self, LayoutError> {
        let end = image.len().min(TABLE + TABLE_BYTES);
        let table = image.get(TABLE..end).ok_or(LayoutError::NoTable)?;
        let mut found = Vec::new();
        for (number, entry) in table.chunks_exact(ENTRY).enumerate() {
            if entry.starts_with(&CHECKSUM_MAGIC) || entry.iter().all(|b| *b == 0xff) {
                break;
            }
            if !entry.starts_with(&ENTRY_MAGIC) {
                return Err(if number == 0 {
                    LayoutError::NoTable
                } else {
                    LayoutError::Entry(number)
                });
            }
            found.push(partition(entry).ok_or(LayoutError::Entry(number))?);
        }
        if found.is_empty() {
            return Err(LayoutError::NoTable);
        }
        Self::checked(found)
    }

    /// Reads a table's source: lines of `name, type, subtype, offset, size`, `#` begins a comment.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn from_csv(text: &str) -> Result<Self, LayoutError> {
        let mut found = Vec::new();
        for (i, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let wrong = |what| LayoutError::Line { line: i + 1, what };
            let fields: Vec<&str> = line.split(',').map(str::trim).collect();
            let [name, _, _, offset, size, ..] = fields[..] else {
                return Err(wrong("write name, type, subtype, offset, size"));
            };
            found.push(Partition {
                name: name.to_owned(),
                offset: number(offset).ok_or_else(|| wrong("the offset is no number"))?,
                size: number(size).ok_or_else(|| wrong("the size is no number"))?,
            });
        }
        Self::checked(found)
    }

    fn checked(mut found: Vec<Partition>) -> Result<Self, LayoutError> {
        found.sort_by_key(|p| p.offset);
        for pair in found.windows(2) {
            if let [a, b] = pair
                && u64::from(a.offset) + u64::from(a.size) > u64::from(b.offset)
            {
                return Err(LayoutError::Overlap(a.name.clone(), b.name.clone()));
            }
        }
        Ok(Self(found))
    }

    /// The partition of a name.
    #[must_use]
    pub fn partition(&self, name: &str) -> Option<&Partition> {
        self.0.iter().find(|p| p.name == name)
    }

    /// The partition that an offset lies in.
    #[must_use]
    pub fn at(&self, offset: u32) -> Option<&Partition> {
        self.0
            .iter()
            .find(|p| p.offset <= offset && offset - p.offset < p.size)
    }
}

fn partition(entry: &[u8]) -> Option<Partition> {
    let word = |at: usize| {
        let bytes = entry.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let name = entry.get(12..28)?;
    let end = name.iter().position(|b| *b == 0).unwrap_or(name.len());
    Some(Partition {
        name: std::str::from_utf8(&name[..end]).ok()?.to_owned(),
        offset: word(4)?,
        size: word(8)?,
    })
}

/// `4096`, `0x1000`, `4K`, `1M`.
fn number(text: &str) -> Option<u32> {
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u32::from_str_radix(hex, 16).ok();
    }
    let (digits, unit) = match text.as_bytes().last()? {
        b'K' | b'k' => (&text[..text.len() - 1], 1024),
        b'M' | b'm' => (&text[..text.len() - 1], 1024 * 1024),
        _ => (text, 1),
    };
    u32::from_str(digits).ok()?.checked_mul(unit)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A partition table as ESP-IDF writes it.
    pub(in crate::flash) fn table(rows: &[(&str, u32, u32)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, offset, size) in rows {
            out.extend(ENTRY_MAGIC);
            out.extend([1, 6]);
            out.extend(offset.to_le_bytes());
            out.extend(size.to_le_bytes());
            let mut field = [0; 16];
            field[..name.len()].copy_from_slice(name.as_bytes());
            out.extend(field);
            out.extend([0; 4]);
        }
        out.extend(CHECKSUM_MAGIC);
        out.extend([0xff; 14]);
        out.extend([0x5a; 16]);
        out
    }

    #[test]
    fn source_and_table_say_the_same() {
        let rows = [("otadata", 0x9000, 0x2000), ("sen_node", 0xb000, 0x1000)];
        let mut image = vec![0xff; 0x9000];
        let made = table(&rows);
        image[TABLE..TABLE + made.len()].copy_from_slice(&made);
        let read = Layout::in_image(&image).unwrap();
        let source =
            "# a comment\notadata, data, ota, 0x9000, 8K\nsen_node,data,undefined,45056,0x1000,\n";
        assert_eq!(read, Layout::from_csv(source).unwrap());
        assert_eq!(read.at(0xbfff).map(|p| p.name.as_str()), Some("sen_node"));
        assert_eq!(read.at(0xc000), None);
        // Entries behind the first that are broken.
        image[TABLE + ENTRY] = 0;
        assert_eq!(Layout::in_image(&image), Err(LayoutError::Entry(1)));
        for cut in [0, TABLE, TABLE + 40] {
            let _ = Layout::in_image(&image[..cut]);
        }
        assert_eq!(Layout::in_image(&image[..TABLE]), Err(LayoutError::NoTable));
    }

    #[test]
    fn broken_sources_name_their_line() {
        let line = |text: &str| match Layout::from_csv(text) {
            Err(LayoutError::Line { line, .. }) => line,
            other => panic!("{other:?}"),
        };
        assert_eq!(line("a, data, x, 0, 1\nb, data, x\n"), 2);
        assert_eq!(line("a, data, x, , 0x1000\n"), 1);
        assert_eq!(line("a, data, x, 0, 5T\n"), 1);
        assert!(matches!(
            Layout::from_csv("a, app, x, 0, 0x2000\nb, app, x, 0x1000, 0x1000\n"),
            Err(LayoutError::Overlap(..))
        ));
    }
}
