//! Small files that are there whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What lies beside the journal in the data folder and can't be made again: the key that every node has pinned, with its
/// certificate, and the operator's token. A backup takes them along.
pub const IRREPLACEABLE: [&str; 3] = [KEY_FILE, CERTIFICATE_FILE, OPERATOR_FILE];
/// The gateway's key towards nodes.
pub const KEY_FILE: &str = "node-tls.key";
/// Its certificate.
pub const CERTIFICATE_FILE: &str = "node-tls.crt";
/// What an operator shows to change something.
pub const OPERATOR_FILE: &str = "operator.token";

/// Writes a file under its name only when all of it is on disk. `mode` as in chmod.
///
/// # Errors
/// What the system said; the file that was there before is untouched then.
pub fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty());
    let dir = dir.unwrap_or(Path::new("."));
    // Made with 0600: nobody else reads it before its mode is set.
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(bytes)?;
    file.as_file()
        .set_permissions(fs::Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(dir)?.sync_all()
}
