//! Images that the page may write onto boards: files `images/BOARD.bin` in the data folder, BOARD as the board's firmware calls
//! itself (`esp32c3.bin`). Whoever may write there decides what runs on the nodes; nothing comes there by the network.
//!
//! Only those of ESP32 chips: a browser speaks a serial line, and other boards are written through a debug probe.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::esp;
use super::layout::Layout;
use crate::broker::identity::hex;

/// The folder within the data folder.
pub const FOLDER: &str = "images";

/// An image that lies ready.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Ready {
    /// The board that it is for.
    pub board: String,
    /// Its length.
    pub bytes: u64,
    /// Of the file.
    pub sha256: String,
    /// Why it can't be used; `null`: it can.
    pub problem: Option<String>,
}

/// All of them, by board.
///
/// # Errors
/// What the system says; no folder means no images.
pub fn list(data_dir: &Path) -> io::Result<Vec<Ready>> {
    let entries = match std::fs::read_dir(data_dir.join(FOLDER)) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let board = name.to_str().and_then(|name| name.strip_suffix(".bin"));
        let Some(board) = board.filter(|board| is_board(board)) else {
            continue;
        };
        let (_, bytes) = read(data_dir, board)?;
        found.push(Ready {
            board: board.to_owned(),
            bytes: bytes.len() as u64,
            sha256: hex(&Sha256::digest(&bytes)),
            problem: problem(&bytes, board),
        });
    }
    found.sort_by(|a, b| a.board.cmp(&b.board));
    Ok(found)
}

/// The image of a board: its path and bytes.
///
/// # Errors
/// What the system says; [`io::ErrorKind::NotFound`] also for a name that is none of a board.
pub fn read(data_dir: &Path, board: &str) -> io::Result<(PathBuf, Vec<u8>)> {
    if !is_board(board) {
        return Err(io::ErrorKind::NotFound.into());
    }
    let path = data_dir.join(FOLDER).join(format!("{board}.bin"));
    let bytes = std::fs::read(&path)?;
    Ok((path, bytes))
}

/// Plain names only: a board's name comes from a request.
fn is_board(name: &str) -> bool {
    (1..=16).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn problem(bytes: &[u8], board: &str) -> Option<String> {
    Layout::in_image(bytes)
        .map_err(|e| e.to_string())
        .and_then(|layout| esp::check(bytes, &layout, board).map_err(|e| e.to_string()))
        .err()
}

#[cfg(test)]
mod tests {
    use super::super::esp::tests::image;
    use super::*;

    #[test]
    fn what_lies_there_is_listed_with_what_is_wrong_with_it() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(list(dir.path()).unwrap(), []);
        let folder = dir.path().join(FOLDER);
        std::fs::create_dir(&folder).unwrap();
        let good = image(5);
        let mut torn = good.clone();
        let last = torn.len() - 40;
        torn[last] ^= 1;
        for (name, bytes) in [
            ("esp32c3.bin", &good[..]),
            ("esp32s3.bin", &good[..]),
            ("esp32c3-torn.bin", &torn[..]),
            ("noise.bin", b"noise"),
            ("NOT-A-BOARD.bin", &good[..]),
            ("readme.txt", b""),
        ] {
            std::fs::write(folder.join(name), bytes).unwrap();
        }
        let found = list(dir.path()).unwrap();
        let said: Vec<_> = found
            .iter()
            .map(|r| (r.board.as_str(), r.problem.as_deref().unwrap_or("")))
            .collect();
        assert_eq!(said[0], ("esp32c3", ""));
        assert!(said[1].1.contains("damaged"), "{said:?}");
        assert!(said[2].1.contains("another chip"), "{said:?}");
        assert!(said[3].1.contains("partition table"), "{said:?}");
        assert_eq!(said.len(), 4);
        assert!(read(dir.path(), "../sen").is_err());
        assert_eq!(read(dir.path(), "esp32c3").unwrap().1, good);
    }
}
