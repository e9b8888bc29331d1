//! Where tests find the chain's own files, which are not part of this repository.

use std::path::{Path, PathBuf};

/// The folder of the chain spec: beside `EDGEMAXX_CHAIN_SPEC`, else `../shared/chain`. Says so where it is absent.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let folder = match std::env::var_os("EDGEMAXX_CHAIN_SPEC") {
        Some(spec) => Path::new(&spec).parent()?.to_owned(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/chain"),
    };
    let path = folder.join(name);
    if path.exists() {
        return Some(path);
    }
    let stderr = std::io::stderr();
    let _ = std::io::Write::write_all(&mut stderr.lock(), b"skipped: set EDGEMAXX_CHAIN_SPEC\n");
    None
}
