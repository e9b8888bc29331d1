//! From a phrase of words to the seed of a key, as Substrate does: the phrase's entropy, not its letters, is stretched.

use bip39::{Language, Mnemonic};
use sha2::Sha512;
use zeroize::Zeroizing;

/// Rounds of PBKDF2 that BIP 39 names.
const ROUNDS: u32 = 2048;

/// The seed of an English phrase without a password of its own; else what is wrong, never quoting a word.
pub(super) fn seed(phrase: &str) -> Result<Zeroizing<[u8; 32]>, String> {
    let words = Zeroizing::new(phrase.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
    let mnemonic = Mnemonic::parse_in_normalized(Language::English, &words).map_err(|error| match error {
        bip39::Error::BadWordCount(n) => format!("{n} words, expected 12, 15, 18, 21 or 24"),
        bip39::Error::UnknownWord(at) => format!("word {} is not in the English list of BIP 39", at + 1),
        bip39::Error::InvalidChecksum => "its checksum is wrong: a word is mistaken".to_owned(),
        _ => "not an English phrase of BIP 39".to_owned(),
    })?;
    let (entropy, length) = mnemonic.to_entropy_array();
    let entropy = Zeroizing::new(entropy);
    let mut stretched = Zeroizing::new([0; 64]);
    pbkdf2::pbkdf2_hmac::<Sha512>(&entropy[..length], b"mnemonic", ROUNDS, &mut stretched[..]);
    let mut seed = Zeroizing::new([0; 32]);
    seed.copy_from_slice(&stretched[..32]);
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_has_the_seed_that_bittensor_wallet_writes_beside_it() {
        let file = include_str!("../../tests/data/wallet/phrase");
        let json: serde_json::Value = serde_json::from_str(file).unwrap();
        let seed = seed(json["secretPhrase"].as_str().unwrap()).unwrap();
        assert_eq!(json["secretSeed"], format!("0x{}", hex::encode(&seed[..])));
    }

    #[test]
    fn what_is_no_phrase_is_named_without_a_word_of_it() {
        let eleven = "abandon ".repeat(11);
        for (phrase, expected) in [
            (eleven.clone(), "11 words"),
            (format!("{eleven}zzyzx"), "word 12 "),
            (format!("{eleven}zoo"), "checksum"),
        ] {
            let problem = seed(&phrase).unwrap_err();
            assert!(problem.contains(expected) && !problem.contains("abandon"), "{problem}");
            assert!(!problem.contains("zzyzx"), "{problem}");
        }
    }
}
