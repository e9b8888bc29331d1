//! Wallets in btcli's layout. Hotkeys only: this program never opens a coldkey.

mod error;
mod keyfile;
mod keypair;
mod layout;
mod nacl;
mod password;

pub use error::WalletError;
pub use keypair::Keypair;
pub use layout::{HotkeyEntry, Wallet, WalletEntry, list_wallets};
pub use password::PasswordSource;
