//! Wallets made by bittensor-wallet open; whatever is unsafe or foreign is refused by name.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use edgemaxx_seal::{Keypair, PasswordSource, Wallet, WalletError, list_wallets};

const PLAIN: &str = "5HR3ocBm18EXhuNoWw9iqmk6KLRjR6nxeiiKqUqjyfkTwN1s";
const PHRASE: &str = "5Gjspch44xjc6qSLpjNGUDjmjfhbacNtcacVFaojGp3tsmRT";

struct Home(tempfile::TempDir);

impl Home {
    /// A wallet `golden` whose hotkeys are the given files of tests/data/wallet.
    fn with(hotkeys: &[&str]) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(home.hot()).unwrap();
        home.put("coldkeypub.txt", &home.0.path().join("golden/coldkeypub.txt"));
        for name in hotkeys {
            home.put(name, &home.hot().join(name));
        }
        home
    }

    fn hot(&self) -> PathBuf {
        self.0.path().join("golden/hotkeys")
    }

    fn put(&self, from: &str, to: &Path) {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/wallet").join(from);
        fs::copy(data, to).unwrap();
        fs::set_permissions(to, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.hot().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn open(&self, hotkey: &str) -> Result<Keypair, WalletError> {
        Wallet::new(self.0.path(), "golden", hotkey)?.open(&PasswordSource::default())
    }

    fn open_with(&self, hotkey: &str, password: &str) -> Result<Keypair, WalletError> {
        self.write("../password", password);
        let source = PasswordSource { file: Some(self.hot().join("../password")), prompt: false };
        Wallet::new(self.0.path(), "golden", hotkey)?.open(&source)
    }
}

#[test]
fn plain_phrase_and_private_only_hotkeys_open() {
    let home = Home::with(&["plain", "plainpub.txt", "phrase", "private"]);
    assert_eq!(home.open("plain").unwrap().account().to_string(), PLAIN);
    assert_eq!(home.open("phrase").unwrap().account().to_string(), PHRASE);
    assert_eq!(home.open("private").unwrap().account().to_string(), PHRASE);
}

#[test]
fn a_seed_alone_opens_too() {
    let home = Home::with(&["phrase"]);
    let mut json: serde_json::Value =
        serde_json::from_slice(&fs::read(home.hot().join("phrase")).unwrap()).unwrap();
    json.as_object_mut().unwrap().remove("privateKey");
    home.write("seed", &json.to_string());
    assert_eq!(home.open("seed").unwrap().account().to_string(), PHRASE);
    // Neither key nor seed, but the words they come from.
    let seed = json.as_object_mut().unwrap().remove("secretSeed").unwrap();
    home.write("words", &json.to_string());
    assert_eq!(home.open("words").unwrap().account().to_string(), PHRASE);
    // Bare, as people keep them.
    for text in [seed.as_str().unwrap(), &seed.as_str().unwrap()[2..], json["secretPhrase"].as_str().unwrap()]
    {
        home.write("bare", &format!("{text}\n"));
        assert_eq!(home.open("bare").unwrap().account().to_string(), PHRASE);
    }
}

#[test]
fn an_encrypted_hotkey_opens_with_its_password_only() {
    let home = Home::with(&["nacl"]);
    assert!(matches!(home.open("nacl"), Err(WalletError::NoPassword { .. })));
    let pair = home.open_with("nacl", "correct horse 7!\n").unwrap();
    assert_eq!(pair.account().to_string(), PHRASE);
    let error = home.open_with("nacl", "wrong horse 7!").unwrap_err();
    assert!(matches!(error, WalletError::WrongPassword { .. }));
    assert!(!format!("{error} {error:?}").contains("horse"));
}

#[test]
fn a_key_others_may_read_is_refused() {
    let home = Home::with(&["plain"]);
    let path = home.hot().join("plain");
    for mode in [0o644, 0o640, 0o604, 0o610] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = home.open("plain").unwrap_err();
        assert!(matches!(error, WalletError::Mode { mode: m, .. } if m == mode), "{error}");
        assert!(error.to_string().contains("chmod 600"));
    }
}

#[test]
fn the_coldkey_is_refused_however_it_is_reached() {
    let home = Home::with(&["plain"]);
    home.put("coldkey", &home.0.path().join("golden/coldkey"));
    // by path
    assert!(matches!(home.open("../coldkey"), Err(WalletError::Name { .. })));
    // by its file
    let cold = home.0.path().join("golden/coldkey");
    assert!(matches!(Keypair::read(&cold, &PasswordSource::default()), Err(WalletError::Coldkey { .. })));
    // by link
    symlink("../coldkey", home.hot().join("link")).unwrap();
    assert!(matches!(home.open("link"), Err(WalletError::NotAPlainFile { .. })));
    // by copy
    home.put("coldkey", &home.hot().join("copy"));
    assert!(matches!(home.open("copy"), Err(WalletError::Coldkey { .. })));
}

#[test]
fn legacy_encryption_is_refused_with_the_way_out() {
    let home = Home::with(&[]);
    home.write("vault", "$ANSIBLE_VAULT;1.1;AES256\n313962373");
    home.write("fernet", "gAAAAABmh3Zk");
    for name in ["vault", "fernet"] {
        let error = home.open(name).unwrap_err();
        assert!(matches!(error, WalletError::Legacy { .. }));
        assert!(error.to_string().contains("btcli wallet regen-hotkey"));
    }
}

#[test]
fn damaged_and_foreign_files_name_the_field_and_never_the_value() {
    let home = Home::with(&["phrase"]);
    let good = fs::read_to_string(home.hot().join("phrase")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&good).unwrap();
    let secret = json["privateKey"].as_str().unwrap()[2..].to_owned();
    let with = |field: &str, value: serde_json::Value| {
        let mut json = json.clone();
        json[field] = value;
        json.to_string()
    };
    let cases = [
        (with("cryptoType", 0.into()), "cryptoType"),
        (with("ss58Address", PLAIN.into()), "publicKey"),
        (with("privateKey", format!("0x{}", &secret[2..]).into()), "privateKey"),
        (with("privateKey", format!("zz{}", &secret[2..]).into()), "privateKey"),
        (with("privateKey", format!("{}00", &secret[2..]).into()), "privateKey"),
        (with("publicKey", "0x12".into()), "publicKey"),
        (good[..good.len() - 9].to_owned(), "file"),
        (String::new(), "file"),
        ("{}".into(), "privateKey"),
        ("0x12".into(), "file"),
        ("g".repeat(64), "file"),
        ("soft year picnic".into(), "secretPhrase"),
    ];
    for (i, (text, expected)) in cases.into_iter().enumerate() {
        home.write("bad", &text);
        let error = home.open("bad").unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(matches!(error, WalletError::Format { field, .. } if field == expected), "{i}: {shown}");
        assert!(!shown.contains(&secret[2..20]) && !shown.contains("picnic"), "{i}: {shown}");
    }
}

#[test]
fn a_public_file_of_another_key_is_noticed() {
    let home = Home::with(&["phrase"]);
    home.put("plainpub.txt", &home.hot().join("phrasepub.txt"));
    assert!(matches!(home.open("phrase"), Err(WalletError::Format { field: "ss58Address", .. })));
}

#[test]
fn every_wallet_is_listed_whatever_its_name() {
    let home = Home::with(&["plain"]);
    for name in ["zwölf", "zwo\u{308}lf", "my wallet", "a+b"] {
        fs::create_dir(home.0.path().join(name)).unwrap();
        home.put("coldkeypub.txt", &home.0.path().join(name).join("coldkeypub.txt"));
        assert!(Wallet::new(home.0.path(), name, "a key").is_ok(), "{name}");
    }
    assert_eq!(list_wallets(home.0.path()).unwrap().len(), 5);
    for name in ["", ".", "..", ".hidden", "a/b", "a\\b", "a\nb"] {
        assert!(Wallet::new(home.0.path(), name, "k").is_err(), "{name:?}");
    }
}

#[test]
fn listing_shows_public_facts() {
    let home = Home::with(&["plain", "plainpub.txt", "nacl", "private"]);
    let list = list_wallets(home.0.path()).unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!(list[0].coldkey.unwrap().to_string(), "5Fh4Ujzv6NYpJK8V8guCGtVeN4SytCpEAzr4mYNhkDrnSvCQ");
    let shown: Vec<_> = list[0]
        .hotkeys
        .iter()
        .map(|h| (h.name.as_str(), h.address.map(|a| a.to_string()), h.encrypted))
        .collect();
    assert_eq!(
        shown,
        [
            ("nacl", None, true),
            ("plain", Some(PLAIN.to_owned()), false),
            ("private", Some(PHRASE.to_owned()), false)
        ]
    );
}
