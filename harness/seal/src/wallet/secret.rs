//! Reading a file that holds a secret: with care, and wiped afterwards.

use std::io::Read as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::error::WalletError;

/// A key file has about 600 bytes; whatever is larger is none.
pub(super) const MAX_BYTES: u64 = 64 * 1024;

/// Read a file that holds a secret: a plain file that only its owner may read, of modest size.
pub(super) fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, WalletError> {
    let io = |source| WalletError::Io { path: path.to_owned(), source };
    let link = std::fs::symlink_metadata(path).map_err(io)?;
    if !link.is_file() {
        return Err(WalletError::NotAPlainFile { path: path.to_owned() });
    }
    let file = std::fs::File::open(path).map_err(io)?;
    let opened = file.metadata().map_err(io)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = opened.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(WalletError::Mode { path: path.to_owned(), mode });
        }
    }
    if opened.len() > MAX_BYTES {
        return Err(WalletError::format(
            path,
            "file",
            format!("{} bytes, expected at most {MAX_BYTES}", opened.len()),
        ));
    }
    // One allocation of the final size, so that no grown-out-of copy stays behind unwiped.
    let mut bytes = Zeroizing::new(Vec::with_capacity(opened.len() as usize + 1));
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}
