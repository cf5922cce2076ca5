//! Getting a board ready: its image and its node configuration, as writes to named places in its flash.
//!
//! [`Job::new`] works everything out and checks it, [`Job::merged`] gives it as one file, and [`tool`] names the program that
//! brings it onto the board. Nothing here touches a port: what is shown before is what is written.

pub mod elf;
pub mod layout;
pub mod tool;

use std::fmt;
use std::path::PathBuf;

use sen_wire::provision::{PAGE, PARTITION, Provision, ProvisionError};
use sha2::{Digest, Sha256};

use crate::broker::identity::hex;
use layout::{Layout, LayoutError, Partition};

/// Largest image that is taken: no board has more flash.
const MOST: usize = 16 << 20;

/// A board can't be made ready.
#[derive(Debug, thiserror::Error)]
pub enum FlashError {
    /// The layout can't be used.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// There is nowhere to put the node configuration.
    #[error("the layout has no partition {PARTITION}: it is of another firmware")]
    NoPlace,
    /// The partition is too small or lies across pages.
    #[error(
        "partition {PARTITION} at {offset:#x} has {size} bytes: it must be a page of {PAGE} at a multiple of that"
    )]
    Place {
        /// As in the layout.
        offset: u32,
        /// As in the layout.
        size: u32,
    },
    /// The program would be written over the node configuration.
    #[error(
        "the program takes {length} bytes and reaches into partition {PARTITION} at {offset:#x}: it is of another board"
    )]
    Overlap {
        /// The program's length.
        length: usize,
        /// Where the partition is.
        offset: u32,
    },
    /// The image is no image.
    #[error("{0}")]
    Image(&'static str),
    /// The node configuration can't be written.
    #[error("{0}")]
    Provision(ProvisionError),
    /// What was written is not what was asked for: a fault of this program.
    #[error("the node configuration reads back otherwise than it was written")]
    ReadBack,
}

/// What an image file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// All of an ESP32's flash from 0 on, its partition table in it.
    Esp,
    /// A program alone, for the first byte of the flash; the layout comes from a file.
    Program,
}

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The file that it comes from; `None`: the node configuration.
    pub file: Option<PathBuf>,
    /// Where in the flash, from its first byte.
    pub offset: u32,
    /// The partition that it begins in, if it has a name.
    pub partition: Option<String>,
    /// What is written.
    pub bytes: Vec<u8>,
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.file.as_ref().map_or_else(
            || "node configuration".to_owned(),
            |file| file.display().to_string(),
        );
        write!(
            f,
            "{what}\n  offset {:#x}, length {} bytes, partition {}\n  sha256 {}",
            self.offset,
            self.bytes.len(),
            self.partition.as_deref().unwrap_or("-"),
            hex(&Sha256::digest(&self.bytes))
        )
    }
}

/// Everything that goes onto a board.
#[derive(Debug, Clone)]
pub struct Job {
    /// The writes, by rising offset.
    pub writes: Vec<Write>,
    /// The node configuration, where it is laid into the image and no write of its own.
    pub inlaid: Option<Write>,
    kind: Kind,
}

impl Job {
    /// Works out what goes where. `image`: file and bytes; `layout`: needed where the image has none in it, or no image is
    /// written.
    ///
    /// # Errors
    /// [`FlashError`].
    pub fn new(
        image: Option<(PathBuf, Vec<u8>)>,
        kind: Kind,
        layout: Option<&Layout>,
        node: &Provision<'_>,
    ) -> Result<Self, FlashError> {
        let within = match (&image, kind) {
            (Some((_, bytes)), Kind::Esp) => Some(Layout::in_image(bytes)?),
            _ => None,
        };
        let layout = within.as_ref().or(layout).ok_or(FlashError::NoPlace)?;
        let place = layout.partition(PARTITION).ok_or(FlashError::NoPlace)?;
        let (offset, size) = (place.offset, place.size);
        if size as usize != PAGE || !(offset as usize).is_multiple_of(PAGE) {
            return Err(FlashError::Place { offset, size });
        }
        let page = page(node)?;
        let (mut writes, mut inlaid) = (Vec::new(), None);
        let own = Write {
            file: None,
            offset,
            partition: Some(PARTITION.to_owned()),
            bytes: page,
        };
        if let Some((file, mut bytes)) = image {
            if bytes.is_empty() || bytes.len() > MOST {
                return Err(FlashError::Image(
                    "the image is empty or larger than 16 MiB",
                ));
            }
            if bytes.starts_with(elf::MAGIC) {
                return Err(FlashError::Image(
                    "this is an ELF file: give the .bin that was made of it (scripts/firmware-boards.sh)",
                ));
            }
            match kind {
                // What lies around the page in the image is written too: one write, page included.
                Kind::Esp => {
                    put(&mut bytes, offset as usize, &own.bytes);
                    inlaid = Some(own.clone());
                }
                Kind::Program if bytes.len() > offset as usize => {
                    return Err(FlashError::Overlap {
                        length: bytes.len(),
                        offset,
                    });
                }
                Kind::Program => {}
            }
            let partition = layout.at(0).map(|p| p.name.clone());
            writes.push(Write {
                file: Some(file),
                offset: 0,
                partition,
                bytes,
            });
        }
        if inlaid.is_none() {
            writes.push(own);
        }
        let job = Self {
            writes,
            inlaid,
            kind,
        };
        job.read_back(place, node)?;
        Ok(job)
    }

    /// All of it as one file from the flash's first byte on; what nothing is written to is erased.
    #[must_use]
    pub fn merged(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for write in &self.writes {
            put(&mut all, write.offset as usize, &write.bytes);
        }
        all
    }

    /// What kind of image it is made of.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// A node that starts on this reads what was asked for.
    fn read_back(&self, place: &Partition, node: &Provision<'_>) -> Result<(), FlashError> {
        let merged = self.merged();
        let from = place.offset as usize;
        let page = merged.get(from..from + PAGE).ok_or(FlashError::ReadBack)?;
        match Provision::for_board(page, node.board) {
            Ok(read) if read == *node => Ok(()),
            _ => Err(FlashError::ReadBack),
        }
    }
}

fn page(node: &Provision<'_>) -> Result<Vec<u8>, FlashError> {
    let mut page = vec![0xff; PAGE];
    node.encode(&mut page).map_err(FlashError::Provision)?;
    Ok(page)
}

/// Lays `bytes` over `flash` from `offset` on; what was not there yet is erased flash.
fn put(flash: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if flash.len() < end {
        flash.resize(end, 0xff);
    }
    flash[offset..end].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use sen_wire::provision::{Gateway, Hidden, Tls, Wifi};

    use super::layout::tests::table;
    use super::*;

    fn node() -> Provision<'static> {
        let gateway = Gateway {
            host: "192.168.1.10",
            port: 8883,
            tls: Tls::Pinned(&[4; 65]),
        };
        Provision {
            wifi: Some(Wifi {
                name: "Ao tôm",
                password: Some(Hidden("mật khẩu 9")),
            }),
            ..Provision::new("pond-3", "correct-horse-battery", gateway, "esp32c3")
        }
    }

    const CSV: &str = "# name, type, subtype, offset, size\nprogram, app, factory, 0x0, 0x30000\nsen_node, data, undefined, 0x7f000, 0x1000\n";

    /// As `espflash save-image --merge` lays it out: bootloader, table, an application at 0x10000.
    fn esp_image() -> Vec<u8> {
        let mut image = vec![0xff; 0x10000];
        image[..4].copy_from_slice(&[0xe9, 3, 2, 0x20]);
        let rows = table(&[
            ("otadata", 0x9000, 0x2000),
            ("sen_node", 0xb000, 0x1000),
            ("ota_0", 0x10000, 0x10_0000),
        ]);
        image[0x8000..0x8000 + rows.len()].copy_from_slice(&rows);
        image.extend([0xe9; 5000]);
        image
    }

    #[test]
    fn an_esp_image_carries_the_configuration_in_its_partition_and_nothing_else_changes() {
        let image = esp_image();
        let job = Job::new(
            Some(("a.bin".into(), image.clone())),
            Kind::Esp,
            None,
            &node(),
        )
        .unwrap();
        assert_eq!(job.writes.len(), 1);
        let merged = job.merged();
        assert_eq!(merged.len(), image.len());
        let page = &merged[0xb000..0xc000];
        assert_eq!(Provision::for_board(page, "esp32c3"), Ok(node()));
        assert_eq!(
            (&merged[..0xb000], &merged[0xc000..]),
            (&image[..0xb000], &image[0xc000..])
        );
    }

    #[test]
    fn a_program_and_the_configuration_are_two_writes() {
        let layout = Layout::from_csv(CSV).unwrap();
        let program = vec![7; 1000];
        let job = Job::new(
            Some(("p.bin".into(), program)),
            Kind::Program,
            Some(&layout),
            &node(),
        )
        .unwrap();
        let places: Vec<_> = job
            .writes
            .iter()
            .map(|w| (w.offset, w.partition.as_deref(), w.bytes.len()))
            .collect();
        assert_eq!(
            places,
            [
                (0, Some("program"), 1000),
                (0x7f000, Some("sen_node"), PAGE)
            ]
        );
        let merged = job.merged();
        assert_eq!(merged.len(), 0x80000);
        assert!(merged[1000..0x7f000].iter().all(|b| *b == 0xff));
        let text = job.writes[1].to_string();
        assert!(
            text.contains("offset 0x7f000, length 4096 bytes, partition sen_node"),
            "{text}"
        );
        assert!(!text.contains("correct-horse"));
    }

    #[test]
    fn the_configuration_alone_can_be_written() {
        let layout = Layout::from_csv(CSV).unwrap();
        let job = Job::new(None, Kind::Esp, Some(&layout), &node()).unwrap();
        assert_eq!((job.writes.len(), job.writes[0].offset), (1, 0x7f000));
    }

    #[test]
    fn what_can_not_work_is_refused_before_a_board_is_touched() {
        let layout = Layout::from_csv(CSV).unwrap();
        let job = |bytes: Vec<u8>, kind, layout: Option<&Layout>| {
            Job::new(Some(("x".into(), bytes)), kind, layout, &node()).map(|_| ())
        };
        assert!(matches!(
            job(vec![0; 0x80000], Kind::Program, Some(&layout)),
            Err(FlashError::Overlap { .. })
        ));
        assert!(matches!(
            job(b"\x7fELF....".to_vec(), Kind::Program, Some(&layout)),
            Err(FlashError::Image(_))
        ));
        assert!(matches!(
            job(vec![1; 100], Kind::Esp, None),
            Err(FlashError::Layout(_))
        ));
        assert!(matches!(
            job(vec![1; 100], Kind::Program, None),
            Err(FlashError::NoPlace)
        ));
        let small = Layout::from_csv("sen_node, data, undefined, 0x7f000, 0x800\n").unwrap();
        assert!(matches!(
            job(vec![1; 100], Kind::Program, Some(&small)),
            Err(FlashError::Place { .. })
        ));
        let elsewhere = Layout::from_csv("app, app, factory, 0, 0x1000\n").unwrap();
        assert!(matches!(
            job(vec![1; 100], Kind::Program, Some(&elsewhere)),
            Err(FlashError::NoPlace)
        ));
        let unsound = Provision {
            node: "Pond",
            ..node()
        };
        assert!(matches!(
            Job::new(None, Kind::Esp, Some(&layout), &unsound),
            Err(FlashError::Provision(_))
        ));
    }
}
