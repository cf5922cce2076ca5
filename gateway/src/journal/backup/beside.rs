//! The files beside the journal that a backup takes along: a gateway without its key is a stranger to every node in the field.
//!
//! They stand in a table of the backup, which is no table of the journal: a restore takes it out before it uses the file.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rusqlite::{Connection, params};

use crate::files::{CERTIFICATE_FILE, IRREPLACEABLE, write_whole};

const TABLE: &str = "file_beside";

/// A file of the data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::journal) struct Kept {
    /// One of [`IRREPLACEABLE`].
    name: String,
    body: Vec<u8>,
}

/// Those that are there.
pub(super) fn read(dir: &Path) -> io::Result<Vec<Kept>> {
    let mut found = Vec::new();
    for name in IRREPLACEABLE {
        match std::fs::read(dir.join(name)) {
            Ok(body) => found.push(Kept {
                name: name.to_owned(),
                body,
            }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok(found)
}

/// Puts them into a backup that is being made. Its rollback journal goes when the file is closed.
pub(super) fn put(c: &Connection, files: &[Kept]) -> rusqlite::Result<()> {
    c.execute_batch(&format!(
        "DROP TABLE IF EXISTS {TABLE};
         CREATE TABLE {TABLE} (name TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID, STRICT;"
    ))?;
    let mut insert = c.prepare(&format!("INSERT INTO {TABLE} (name, body) VALUES (?1, ?2)"))?;
    for file in files {
        insert.execute(params![file.name, file.body])?;
    }
    Ok(())
}

/// Takes them out of a restored copy, and leaves nothing of them in it. None in a backup of before they were taken along.
pub(in crate::journal) fn take(c: &Connection) -> rusqlite::Result<Vec<Kept>> {
    let there: i64 = c.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE name = ?1",
        [TABLE],
        |r| r.get(0),
    )?;
    if there == 0 {
        return Ok(Vec::new());
    }
    let files = c
        .prepare(&format!("SELECT name, body FROM {TABLE}"))?
        .query_map([], |r| {
            Ok(Kept {
                name: r.get(0)?,
                body: r.get(1)?,
            })
        })?
        .collect::<rusqlite::Result<Vec<Kept>>>()?;
    c.execute_batch(&format!("PRAGMA secure_delete = ON; DROP TABLE {TABLE};"))?;
    Ok(files)
}

/// Writes them into the data folder. One that is there and says something else is kept under the name with `stamp` behind it.
/// Names that are none of ours are left out: a backup writes nowhere else.
pub(in crate::journal) fn lay(
    dir: &Path,
    files: &[Kept],
    stamp: &str,
    give: impl Fn(&std::fs::File) -> io::Result<()>,
) -> io::Result<()> {
    for file in files
        .iter()
        .filter(|file| IRREPLACEABLE.contains(&file.name.as_str()))
    {
        let path = dir.join(&file.name);
        match std::fs::read(&path) {
            Ok(there) if there == file.body => continue,
            Ok(_) => {
                let aside = dir.join(format!("{}.before-restore-{stamp}", file.name));
                std::fs::rename(&path, &aside)?;
                std::fs::set_permissions(&aside, std::fs::Permissions::from_mode(0o600))?;
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        let mode = if file.name == CERTIFICATE_FILE {
            0o644
        } else {
            0o600
        };
        write_whole(&path, &file.body, mode)?;
        give(&std::fs::File::open(&path)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::super::restore::restore;
    use super::super::backup;
    use super::*;
    use crate::broker::identity::Identity;
    use crate::journal::Journal;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn bytes_of(path: &Path, needle: &[u8]) -> bool {
        std::fs::read(path)
            .unwrap()
            .windows(needle.len())
            .any(|w| w == needle)
    }

    #[tokio::test]
    async fn a_restored_gateway_is_the_one_that_its_nodes_know() {
        let (from, to, elsewhere) = (
            tempfile::tempdir().unwrap(),
            tempfile::tempdir().unwrap(),
            tempfile::tempdir().unwrap(),
        );
        Journal::open(from.path()).unwrap().close().await;
        let pin = Identity::load_or_make(from.path(), None).unwrap().pin();
        std::fs::write(from.path().join("operator.token"), "a-token-of-the-farm\n").unwrap();
        let target = elsewhere.path().join("backup");
        backup(from.path(), &target, false).unwrap();
        assert_eq!(mode(&target), 0o600);
        let made: Vec<_> = std::fs::read_dir(elsewhere.path())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(made, ["backup"], "one file");

        // A gateway that has been started here already, and made a key of its own.
        let own = Identity::load_or_make(to.path(), None).unwrap().pin();
        assert_ne!(own, pin);
        restore(&target, to.path(), false, 1_790_000_000_000).unwrap();
        assert_eq!(Identity::load_or_make(to.path(), None).unwrap().pin(), pin);
        assert_eq!(
            std::fs::read_to_string(to.path().join("operator.token")).unwrap(),
            "a-token-of-the-farm\n"
        );
        for name in ["node-tls.key", "operator.token"] {
            assert_eq!(mode(&to.path().join(name)), 0o600, "{name}");
        }
        let aside: Vec<String> = std::fs::read_dir(to.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("node-tls.key.before-restore-"))
            .collect();
        assert_eq!(aside.len(), 1, "the key that was there is kept");
        let secret = b"a-token-of-the-farm";
        assert!(bytes_of(&target, secret));
        assert!(!bytes_of(&to.path().join("sen.db"), secret));

        // Once more, over what it has made itself: nothing to move aside.
        restore(&target, to.path(), true, 1_790_000_000_001).unwrap();
        let again = Identity::load_or_make(to.path(), None).unwrap().pin();
        assert_eq!(again, pin);
    }
}
