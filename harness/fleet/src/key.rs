//! The key of a worker or a coordinator: it lets them in at the server, and signs what they say.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use edgemaxx_files::read_text;
use nkeys::KeyPair;

use crate::error::{FleetError, Result};

/// An Ed25519 key as NATS writes it.
#[derive(Clone)]
pub struct Key {
    pair: std::sync::Arc<KeyPair>,
    seed: String,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({})", self.name())
    }
}

impl Key {
    /// Makes one, and writes it to a file that its owner alone may read.
    ///
    /// # Errors
    /// The file is there already, or cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        let pair = KeyPair::new_user();
        let seed =
            pair.seed().map_err(|error| FleetError::Key { path: path.to_owned(), why: error.to_string() })?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(FleetError::file(path))?;
        file.write_all(format!("{seed}\n").as_bytes()).map_err(FleetError::file(path))?;
        Ok(Self { pair: pair.into(), seed })
    }

    /// Reads the key of a file.
    ///
    /// # Errors
    /// It holds none.
    pub fn read(path: &Path) -> Result<Self> {
        let bad = |why: String| FleetError::Key { path: path.to_owned(), why };
        let text = read_text(path).map_err(|error| bad(error.source.to_string()))?;
        let seed = text.lines().map(str::trim).find(|line| line.starts_with("SU"));
        let seed = seed.ok_or_else(|| {
            bad("expected a line that begins with SU, the key of a user of NATS".to_owned())
        })?;
        let pair = KeyPair::from_seed(seed).map_err(|error| bad(error.to_string()))?;
        Ok(Self { pair: pair.into(), seed: seed.to_owned() })
    }

    /// Its public half, by which everybody knows its owner.
    pub fn name(&self) -> String {
        self.pair.public_key()
    }

    pub(crate) fn seed(&self) -> &str {
        &self.seed
    }

    /// The signature of bytes.
    ///
    /// # Errors
    /// None of a whole key.
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        self.pair.sign(bytes).map_err(|error| FleetError::Message(error.to_string()))
    }

    /// Whether the owner of the key called `name` signed these bytes.
    pub fn has_signed(name: &str, bytes: &[u8], signature: &[u8]) -> bool {
        KeyPair::from_public_key(name).is_ok_and(|pair| pair.verify(bytes, signature).is_ok())
    }

    /// Whether this is the name of a key of a user.
    pub fn is_name(name: &str) -> bool {
        name.starts_with('U') && KeyPair::from_public_key(name).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_signs_for_itself_alone_and_is_kept_from_others() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let key = Key::create(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(Key::create(&path), Err(FleetError::File { .. })), "none is written over");
        let read = Key::read(&path).unwrap();
        assert!(read.name() == key.name() && Key::is_name(&key.name()));
        let other = Key::create(&folder.path().join("other")).unwrap();
        let signature = key.sign(b"words").unwrap();
        assert!(Key::has_signed(&read.name(), b"words", &signature));
        assert!(!Key::has_signed(&other.name(), b"words", &signature));
        assert!(!Key::has_signed(&read.name(), b"other words", &signature));
        assert!(!format!("{key:?}").contains(key.seed()));
        std::fs::write(&path, "nothing").unwrap();
        assert!(Key::read(&path).unwrap_err().to_string().contains("fleet key"));
    }
}
