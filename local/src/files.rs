//! Files that are never seen half written.

use std::io::Write;
use std::path::Path;

/// Replaces a file whole: whoever reads it sees the old bytes or the new ones.
pub(crate) fn replace(file: &Path, bytes: &[u8]) -> Result<(), String> {
    let write = || -> std::io::Result<()> {
        let folder = file.parent().unwrap_or(Path::new("."));
        let mut fresh = tempfile::NamedTempFile::new_in(folder)?;
        fresh.write_all(bytes)?;
        fresh.as_file().sync_all()?;
        fresh.persist(file).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|error| format!("{} cannot be written: {error}", file.display()))
}
