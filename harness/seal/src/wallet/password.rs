//! Where a wallet's password may come from: a file, the environment, the terminal.

use std::path::{Path, PathBuf};

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
            let text = std::str::from_utf8(&text).map_err(|_| WalletError::Format {
                path: path.clone(),
                field: "password file",
                problem: "not UTF-8".into(),
            })?;
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
