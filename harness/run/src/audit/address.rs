//! Days that lie on a static site.

use std::path::Path;

/// The address, if that is what was given instead of a folder.
pub fn address(run: &Path) -> Option<&str> {
    run.to_str().filter(|text| text.starts_with("http://") || text.starts_with("https://"))
}
