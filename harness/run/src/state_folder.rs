//! Where a machine's state is kept between commands.

use std::path::{Path, PathBuf};

/// The user's home.
pub fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from)
}

/// `$XDG_STATE_HOME/edgemaxx`, or `~/.local/state/edgemaxx`; `None` where there is no home.
pub fn state_folder() -> Option<PathBuf> {
    let named = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let state = named.filter(|path: &PathBuf| Path::is_absolute(path));
    Some(state.or_else(|| Some(home()?.join(".local/state")))?.join("edgemaxx"))
}
