//! What can be wrong with a wallet, each with the next step. No variant ever holds a secret.

use std::path::{Path, PathBuf};

/// A wallet that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// The file is missing or unreadable.
    #[error("{}: cannot read the key file: {source}; check its path (of a wallet: --wallet.path, --wallet.name and --wallet.hotkey)", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A name that could leave the wallet's folder.
    #[error(
        "`{name}` is no {what} name: expected the name of a file, without slashes, not starting with a dot"
    )]
    Name {
        /// "wallet" or "hotkey".
        what: &'static str,
        /// What was given.
        name: String,
    },
    /// Others may read the secret.
    #[error("{}: mode is {mode:04o}, so others may read the key; run `chmod 600` on it", path.display())]
    Mode {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A link, or no file.
    #[error("{}: expected the key itself, a plain file, not a link or a folder; name the file that holds it", path.display())]
    NotAPlainFile {
        /// The path.
        path: PathBuf,
    },
    /// A coldkey where a hotkey belongs.
    #[error("{}: this is the wallet's coldkey; only hotkeys are ever opened here: name a file in hotkeys/ made by `btcli wallet new-hotkey`", path.display())]
    Coldkey {
        /// The file.
        path: PathBuf,
    },
    /// Encrypted by a method this program does not read.
    #[error("{}: encrypted the legacy way ({kind}); convert it with btcli: `btcli wallet regen-hotkey` from its phrase, or open it once with bittensor-wallet (`Keyfile.check_and_update_encryption()`), then try again", path.display())]
    Legacy {
        /// The file.
        path: PathBuf,
        /// "ansible vault" or "fernet".
        kind: &'static str,
    },
    /// The content is no key file.
    #[error("{}: field `{field}`: {problem}; restore the file from its backup or run `btcli wallet regen-hotkey`", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The field, or "file".
        field: &'static str,
        /// What is wrong, never quoting the content.
        problem: String,
    },
    /// The password does not open the file.
    #[error("{}: wrong password (or the file is damaged); check {asked}", path.display())]
    WrongPassword {
        /// The file.
        path: PathBuf,
        /// Where the password came from.
        asked: String,
    },
    /// No password was offered for an encrypted file.
    #[error("{}: encrypted; give its password by --wallet.password-file, by BT_WALLET_PASSWORD, or on a terminal", path.display())]
    NoPassword {
        /// The file.
        path: PathBuf,
    },
    /// A development key that is none.
    #[error(
        "`{uri}` is no development key: expected hard junctions such as //Alice, with --insecure-dev-key, on a local chain only"
    )]
    DevUri {
        /// What was given.
        uri: String,
    },
}

impl WalletError {
    pub(super) fn format(path: &Path, field: &'static str, problem: String) -> Self {
        Self::Format { path: path.to_owned(), field, problem }
    }
}
