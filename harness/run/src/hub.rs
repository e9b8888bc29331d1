//! Checkpoints that lie elsewhere: fetched with progress, read from the cache afterwards.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use edgemaxx_contract::digest::Digest;
use edgemaxx_hub::{Cache, Resolved, Rules, Source, resolve_offline};

#[cfg(feature = "hub")]
pub use self::net::{Watch, publish, publish_files};
use crate::error::Result;
use crate::progress::Observer;

#[cfg(feature = "hub")]
mod net;

/// A candidate may bring its own program; its files then belong to it.
pub fn rules() -> Rules {
    Rules { programs: true, ..Rules::default() }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Folders found so far: their files are read and digested once per command, not at every mention.
static PLACED: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());

/// Fetch what is missing of a source.
///
/// # Errors
/// The hub has it not, or cannot be reached.
pub fn fetch(source: &Source, observer: &dyn Observer) -> Result<Resolved> {
    #[cfg(feature = "hub")]
    return net::fetch(source, observer);
    #[cfg(not(feature = "hub"))]
    {
        let _ = observer;
        let found = resolve_offline(source, &Cache::from_env(variable), &rules());
        found.map_err(|error| crate::left_out::left_out(&error.to_string(), "hub"))
    }
}

/// The folder of a source that was fetched before: plain files, no links.
///
/// # Errors
/// It was not fetched, or not whole.
pub fn cached(source: &Source) -> Result<PathBuf> {
    let mut placed = PLACED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let name = source.to_string();
    if let Some(folder) = placed.get(&name) {
        return Ok(folder.clone());
    }
    let resolved = resolve_offline(source, &Cache::from_env(variable), &rules())?;
    let folder = match (source, &resolved.revision) {
        (Source::Hub { .. }, Some(commit)) => {
            // REPOSITORY/snapshots/COMMIT, and REPOSITORY/edgemaxx/COMMIT beside it.
            let repository = resolved.root.ancestors().nth(2).unwrap_or(&resolved.root);
            let folder = repository.join("edgemaxx").join(commit);
            resolved.place(&folder)?;
            folder
        }
        _ => resolved.root,
    };
    placed.insert(name, folder.clone());
    Ok(folder)
}

/// What a checkpoint will be called by everybody who fetches it: the digest that a plan and a day name it by.
pub fn digest_of(resolved: &Resolved) -> Digest {
    let named: Vec<_> = resolved.files.iter().map(|file| (&file.path, file.digest.to_string())).collect();
    let folder =
        Digest::of_fields(named.iter().flat_map(|(path, digest)| [path.as_bytes(), digest.as_bytes()]));
    Digest::of_fields([folder.to_string().as_bytes(), b"", b""])
}

/// Removes what was fetched of a source at a full revision; bytes made free. Other sources are left alone.
///
/// # Errors
/// The files cannot be removed.
pub fn forget(text: &str) -> Result<u64> {
    let Source::Hub { repository, revision: Some(commit) } = text.parse()? else { return Ok(0) };
    PLACED.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).remove(text);
    Ok(Cache::from_env(variable).remove(&repository, &commit)?)
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::contest::CheckpointSpec;
    use edgemaxx_hub::resolve_folder;

    use super::*;
    use crate::resolve::FolderDigests;

    /// Before it is published, a checkpoint has the digest that others will find when they have fetched it.
    #[test]
    fn a_checkpoint_is_known_by_its_digest_before_it_is_published() {
        let folder = tempfile::tempdir().unwrap();
        let (own, fetched) = (folder.path().join("own"), folder.path().join("fetched"));
        std::fs::create_dir_all(own.join("unet")).unwrap();
        for (name, text) in [
            ("model_index.json", "{}"),
            ("unet/config.json", "{}"),
            ("unet-2.json", "x"),
            ("notes.md", "left out"),
            ("edgemaxx.toml", ""),
        ] {
            std::fs::write(own.join(name), text).unwrap();
        }
        let resolved = resolve_folder(&own, &own, None, &rules()).unwrap();
        assert_eq!(resolved.files.len(), 4);
        resolved.place(&fetched).unwrap();
        let spec = CheckpointSpec { source: "fetched".to_owned(), unet: None, derive: None };
        assert_eq!(digest_of(&resolved), FolderDigests::default().of(folder.path(), &spec).unwrap());
    }
}
