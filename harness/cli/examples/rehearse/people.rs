//! Who takes part in the rehearsal, and their wallets in btcli's layout.

use std::fs::{Permissions, create_dir_all, set_permissions, write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use edgemaxx_contract::digest::Digest;
use edgemaxx_seal::Keypair;

/// Wallets, by uid: the validator's, and the miners' with the microseconds that their engines take.
pub(crate) const MINERS: [(u16, &str, &str); 3] =
    [(3, "miner-quick", "10000"), (4, "miner-slow", "35000"), (5, "miner-copy", "10000")];
/// The validator's wallet; its uid is 0, which has a permit.
pub(crate) const VALIDATOR: &str = "validator";
/// How each wallet's hotkey is called.
pub(crate) const HOTKEY: &str = "default";

/// The hotkey of a uid. Everybody can make it: for this rehearsal only.
pub(crate) fn key(uid: u16) -> Keypair {
    Keypair::from_seed(seed(uid).as_bytes())
}

fn seed(uid: u16) -> Digest {
    Digest::of(format!("the rehearsal's hotkey {uid}"))
}

/// Makes the wallets of all who take part.
pub(crate) fn wallets(folder: &Path) -> anyhow::Result<()> {
    let miners = MINERS.map(|(uid, name, _)| (uid, name));
    for (uid, name) in miners.into_iter().chain([(0, VALIDATOR)]) {
        let hotkeys = folder.join(name).join("hotkeys");
        create_dir_all(&hotkeys).with_context(|| hotkeys.display().to_string())?;
        let file = hotkeys.join(HOTKEY);
        write(&file, seed(uid).to_string()).with_context(|| file.display().to_string())?;
        set_permissions(&file, Permissions::from_mode(0o600))?;
        let public = serde_json::json!({ "ss58Address": key(uid).account().to_string() });
        write(hotkeys.join(format!("{HOTKEY}pub.txt")), public.to_string())?;
    }
    Ok(())
}
