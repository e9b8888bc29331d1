//! What the machine has left.

use std::path::Path;

/// Room for files below a folder, bytes; `None` where the system does not tell.
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let found = nix::sys::statvfs::statvfs(folder).ok()?;
    // Their size depends on the system.
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
    let (blocks, size) = (found.blocks_available() as u64, found.fragment_size() as u64);
    blocks.checked_mul(size)
}

#[cfg(test)]
mod tests {
    use super::free_bytes;

    #[test]
    fn a_disk_has_room_and_a_missing_folder_none() {
        assert!(free_bytes(&std::env::temp_dir()).is_some());
        assert_eq!(free_bytes(std::path::Path::new("/no/such/folder")), None);
    }
}
