//! btcli's folders: `<path>/<name>/{coldkeypub.txt, hotkeys/<hotkey>, hotkeys/<hotkey>pub.txt}`.

use std::path::{Path, PathBuf};

use super::error::WalletError;
use super::keyfile;
use super::keypair::Keypair;
use super::password::PasswordSource;
use crate::AccountId;

/// One wallet folder. Opening it reads nothing.
#[derive(Debug, Clone)]
pub struct Wallet {
    folder: PathBuf,
    hotkey: String,
}

/// A wallet as listed: public facts only.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct WalletEntry {
    /// `--wallet.name`.
    pub name: String,
    /// Address of the coldkey, where `coldkeypub.txt` tells it.
    pub coldkey: Option<AccountId>,
    /// Its hotkeys by name.
    pub hotkeys: Vec<HotkeyEntry>,
}

/// A hotkey as listed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct HotkeyEntry {
    /// `--wallet.hotkey`.
    pub name: String,
    /// Its address, where a public file tells it.
    pub address: Option<AccountId>,
    /// Whether a password is needed.
    pub encrypted: bool,
}

impl Wallet {
    /// The wallet `name` below `path` (btcli's default: `~/.bittensor/wallets`), and one hotkey of it.
    ///
    /// # Errors
    /// When a name could leave the folder.
    pub fn new(path: &Path, name: &str, hotkey: &str) -> Result<Self, WalletError> {
        check_name("wallet", name)?;
        check_name("hotkey", hotkey)?;
        Ok(Self { folder: path.join(name), hotkey: hotkey.to_owned() })
    }

    /// Path of the hotkey file.
    pub fn hotkey_path(&self) -> PathBuf {
        self.folder.join("hotkeys").join(&self.hotkey)
    }

    /// The coldkey's address, from `coldkeypub.txt`; the coldkey itself is never touched.
    ///
    /// # Errors
    /// When the file is missing or damaged.
    pub fn coldkey_address(&self) -> Result<AccountId, WalletError> {
        keyfile::read_public(&self.folder.join("coldkeypub.txt"))
    }

    /// The hotkey's address without opening it: from its public file, else from its plain key file.
    ///
    /// # Errors
    /// When neither tells it.
    pub fn hotkey_address(&self) -> Result<AccountId, WalletError> {
        let public = self.folder.join("hotkeys").join(format!("{}pub.txt", self.hotkey));
        if public.exists() {
            return keyfile::read_public(&public);
        }
        Ok(self.open(&PasswordSource::default())?.account())
    }

    /// Whether the hotkey could be opened, as far as that is known without its password.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn look(&self) -> Result<(), WalletError> {
        keyfile::look(&self.hotkey_path())
    }

    /// Open the hotkey for signing.
    ///
    /// # Errors
    /// Unsafe mode, link, legacy format, wrong password, damage, or a coldkey by mistake.
    pub fn open(&self, password: &PasswordSource) -> Result<Keypair, WalletError> {
        let path = self.hotkey_path();
        let cold = self.coldkey_address().ok();
        // A coldkey copied among the hotkeys is recognised before its password is asked for, where
        // its public half stands beside it, and otherwise before it is used.
        let public = path.with_file_name(format!("{}pub.txt", self.hotkey));
        let named = keyfile::read_public(&public).ok();
        if cold.is_some() && named == cold {
            return Err(WalletError::Coldkey { path });
        }
        let pair = Keypair::read(&path, password)?;
        if cold == Some(pair.account()) {
            return Err(WalletError::Coldkey { path });
        }
        if let Some(named) = named.filter(|id| *id != pair.account()) {
            return Err(WalletError::Format {
                path: public,
                field: "ss58Address",
                problem: format!("{named}, but the key beside it is {}", pair.account()),
            });
        }
        Ok(pair)
    }
}

/// All wallets below `path`, by name. Public files only; a damaged one shows as an unknown address.
///
/// # Errors
/// When the folder cannot be read.
pub fn list_wallets(path: &Path) -> Result<Vec<WalletEntry>, WalletError> {
    let mut wallets = Vec::new();
    for name in names(path)? {
        let folder = path.join(&name);
        if !folder.is_dir() {
            continue;
        }
        let mut hotkeys = Vec::new();
        let hot = folder.join("hotkeys");
        for key in if hot.is_dir() { names(&hot)? } else { Vec::new() } {
            let file = hot.join(&key);
            if key.ends_with("pub.txt") || !file.is_file() {
                continue;
            }
            let address = keyfile::read_public(&hot.join(format!("{key}pub.txt"))).ok();
            let encrypted = keyfile::is_encrypted(&file)?;
            // A plain file tells its own address; it is asked only when no public file does.
            let address = address.or_else(|| if encrypted { None } else { keyfile::read_public(&file).ok() });
            hotkeys.push(HotkeyEntry { name: key, address, encrypted });
        }
        let coldkey = keyfile::read_public(&folder.join("coldkeypub.txt")).ok();
        if coldkey.is_some() || !hotkeys.is_empty() {
            wallets.push(WalletEntry { name, coldkey, hotkeys });
        }
    }
    Ok(wallets)
}

/// Names in a folder that a wallet could have, sorted.
fn names(folder: &Path) -> Result<Vec<String>, WalletError> {
    let io = |source| WalletError::Io { path: folder.to_owned(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        if let Ok(name) = entry.map_err(io)?.file_name().into_string()
            && check_name("wallet", &name).is_ok()
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn check_name(what: &'static str, name: &str) -> Result<(), WalletError> {
    let leaves = |c: char| matches!(c, '/' | '\\') || c.is_control();
    if !name.is_empty() && name.len() <= 255 && !name.starts_with('.') && !name.contains(leaves) {
        Ok(())
    } else {
        Err(WalletError::Name { what, name: name.chars().take(64).collect() })
    }
}
