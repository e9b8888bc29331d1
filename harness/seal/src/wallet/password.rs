//! Where a wallet's password may come from: a file, the environment, the terminal.

use std::path::{Path, PathBuf};

use edgemaxx_contract::utf8::text_of;
use zeroize::Zeroizing;

use super::error::WalletError;
use super::secret::read_secret;

/// The environment variable asked when no password file is given.
const VARIABLE: &str = "BT_WALLET_PASSWORD";

/// How to obtain the password of an encrypted hotkey, in this order: the file, `BT_WALLET_PASSWORD`, the terminal.
#[derive(Debug, Clone, Default)]
pub struct PasswordSource {
    /// A file whose first line is the password (mode 0600 is demanded of it as of a key).
    pub file: Option<PathBuf>,
    /// Ask on the terminal, without echo, when nothing else answers.
    pub prompt: bool,
}

impl PasswordSource {
    /// The password for `key`, and a description of where it came from.
    pub(super) fn ask(&self, key: &Path) -> Result<(Zeroizing<String>, String), WalletError> {
        if let Some(path) = &self.file {
            let text = read_secret(path)?;
            let text = text_of(&text)
                .map_err(|error| WalletError::format(path, "password file", error.to_string()))?;
            let line = text.lines().next().unwrap_or_default();
            return Ok((Zeroizing::new(line.to_owned()), path.display().to_string()));
        }
        if let Ok(value) = std::env::var(VARIABLE) {
            return Ok((Zeroizing::new(value), VARIABLE.to_owned()));
        }
        if self.prompt {
            let asked = rpassword::prompt_password(format!("Password for {}: ", key.display()))
                .map_err(|source| WalletError::Io { path: key.to_owned(), source })?;
            return Ok((Zeroizing::new(asked), "what was typed".to_owned()));
        }
        Err(WalletError::NoPassword { path: key.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_password_is_the_first_line_whatever_editor_wrote_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        let asked = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            let source = PasswordSource { file: Some(path.clone()), prompt: false };
            source.ask(Path::new("key")).map(|(word, _)| word.to_string()).map_err(|error| error.to_string())
        };
        for content in ["open sesame\n", "open sesame\r\nmore\n", "\u{feff}open sesame"] {
            assert_eq!(asked(content.as_bytes()).unwrap(), "open sesame", "{content:?}");
        }
        let said = asked(b"\xff\xfeo\0p\0").unwrap_err();
        assert!(said.contains("password file") && said.contains("UTF-16"), "{said}");
    }
}
