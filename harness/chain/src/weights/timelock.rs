//! Commit–reveal v4: weights sealed until a drand round, and which round that is.
//!
//! The cryptography is the `timelock` crate's (Boneh–Franklin over drand quicknet, AES-GCM inside); the chain's
//! serialisation carries two length prefixes more than the crate's.

use ark_serialize::{CanonicalDeserialize, CanonicalSerialize};
use edgemaxx_seal::AccountId;
use rand_core::{OsRng, RngCore};
use sha2::{Digest, Sha256};
use subxt::ext::codec::{Decode, Encode};
use timelock::block_ciphers::AESGCMBlockCipherProvider;
use timelock::engines::EngineBLS;
use timelock::engines::drand::TinyBLS381;
use timelock::ibe::fullident::Identity;
use timelock::tlock::{TLECiphertext, tld, tle};
use zeroize::Zeroizing;

/// drand quicknet: its group key, its first second, seconds per round.
const GROUP_KEY: &str = "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a";
const GENESIS: f64 = 1_692_803_367.0;
const PERIOD: f64 = 3.0;
/// The chain stores at most this much per commit.
pub const MAX_COMMIT_BYTES: usize = 5000;
/// `commit_reveal_version` of this scheme.
pub const COMMIT_REVEAL_VERSION: u16 = 4;
/// A subnet's period is a handful of epochs; beyond this the schedule read from the chain makes no sense.
const MAX_PERIOD: u64 = 1000;
/// `u` (a compressed G2 point), then `v` and `w` of 32 bytes: where the chain inserts its two prefixes.
const U: usize = 96;
const V: usize = 32;

/// What is sealed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[codec(crate = subxt::ext::codec)]
pub struct SealedWeights {
    /// The setter's 32 bytes.
    pub hotkey: Vec<u8>,
    /// Whom the weights are for.
    pub uids: Vec<u16>,
    /// The weights.
    pub values: Vec<u16>,
    /// The version key.
    pub version_key: u64,
}

/// Why weights cannot be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimelockError {
    /// Larger than the chain stores.
    #[error("the sealed weights have {0} bytes, the chain stores 5000; set fewer weights")]
    TooLong(usize),
    /// The cryptography refused.
    #[error("timelock encryption failed: {0}")]
    Crypto(String),
    /// Not a sealed commit, or not of this round.
    #[error("not a sealed commit that this round's signature opens: {0}")]
    Unopenable(&'static str),
    /// The chain's schedule cannot be right.
    #[error(
        "the subnet's epoch schedule makes no sense (tempo {tempo}, reveal period {period}): no reveal round can be computed"
    )]
    Schedule {
        /// Blocks per epoch.
        tempo: u64,
        /// Epochs until reveal.
        period: u64,
    },
}

/// Seal weights until drand round `round`: the bytes of `commit_timelocked_mechanism_weights`.
///
/// # Errors
/// When the result exceeds [`MAX_COMMIT_BYTES`].
pub fn seal(
    hotkey: &AccountId,
    weights: &[(u16, u16)],
    version_key: u64,
    round: u64,
) -> Result<Vec<u8>, TimelockError> {
    let payload = SealedWeights {
        hotkey: hotkey.0.to_vec(),
        uids: weights.iter().map(|w| w.0).collect(),
        values: weights.iter().map(|w| w.1).collect(),
        version_key,
    };
    let bytes = encrypt(&payload.encode(), round)?;
    if bytes.len() > MAX_COMMIT_BYTES {
        return Err(TimelockError::TooLong(bytes.len()));
    }
    Ok(bytes)
}

/// Open a sealed commit with the 48-byte signature that drand published for its round.
///
/// # Errors
/// When the bytes or the signature do not fit.
pub fn open(commit: &[u8], signature: &[u8]) -> Result<SealedWeights, TimelockError> {
    let plain = decrypt(commit, signature)?;
    SealedWeights::decode(&mut &plain[..]).map_err(|_| TimelockError::Unopenable("payload"))
}

fn identity(round: u64) -> Identity {
    Identity::new(b"", &Sha256::digest(round.to_be_bytes()))
}

fn encrypt(plain: &[u8], round: u64) -> Result<Vec<u8>, TimelockError> {
    let crypto = |what: &dyn std::fmt::Debug| TimelockError::Crypto(format!("{what:?}"));
    let key = unhex(GROUP_KEY);
    let key = <TinyBLS381 as EngineBLS>::PublicKeyGroup::deserialize_compressed(&key[..])
        .map_err(|e| crypto(&e))?;
    let mut secret = Zeroizing::new([0; 32]);
    OsRng.fill_bytes(&mut secret[..]);
    let sealed =
        tle::<TinyBLS381, AESGCMBlockCipherProvider, OsRng>(key, *secret, plain, identity(round), OsRng)
            .map_err(|e| crypto(&e))?;
    let mut ours = Vec::new();
    sealed.serialize_compressed(&mut ours).map_err(|e| crypto(&e))?;
    let prefix = (V as u64).to_le_bytes();
    Ok([&ours[..U], &prefix, &ours[U..U + V], &prefix, &ours[U + V..]].concat())
}

fn decrypt(commit: &[u8], signature: &[u8]) -> Result<Vec<u8>, TimelockError> {
    let bad = TimelockError::Unopenable;
    let prefix = (V as u64).to_le_bytes();
    let (u, rest) = commit.split_at_checked(U).ok_or(bad("too short"))?;
    let rest = rest.strip_prefix(&prefix).ok_or(bad("length of V"))?;
    let (v, rest) = rest.split_at_checked(V).ok_or(bad("too short"))?;
    let rest = rest.strip_prefix(&prefix).ok_or(bad("length of W"))?;
    let crate_form = [u, v, rest].concat();
    let sealed = TLECiphertext::<TinyBLS381>::deserialize_compressed(&crate_form[..])
        .map_err(|_| bad("ciphertext"))?;
    let signature = <TinyBLS381 as EngineBLS>::SignatureGroup::deserialize_compressed(signature)
        .map_err(|_| bad("signature"))?;
    tld::<TinyBLS381, AESGCMBlockCipherProvider>(sealed, signature).map_err(|_| bad("key"))
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |b: u8| (b as char).to_digit(16).unwrap_or(0) as u8;
    text.as_bytes().chunks_exact(2).map(|p| digit(p[0]) << 4 | digit(p[1])).collect()
}

/// A subnet's epochs as the chain schedules them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Newer runtimes: an epoch `tempo` blocks after the last, or earlier at `pending`.
    Stateful {
        /// Block of the last epoch.
        last_epoch: u64,
        /// Block of an epoch the owner asked for, 0 for none.
        pending: u64,
        /// Blocks per epoch.
        tempo: u64,
    },
    /// Older runtimes: an epoch whenever `(block + netuid + 1) mod (tempo + 1) = 0`.
    Modular {
        /// The subnet.
        netuid: u16,
        /// Blocks per epoch, less one.
        tempo: u64,
    },
}

impl Schedule {
    /// The block whose epoch reveals a commit that enters the block after `head`, `period` epochs on.
    /// The stateful rule was read off the official core, which simulates the chain: `tests/data/reveal-blocks.txt`.
    ///
    /// # Errors
    /// When tempo or period make no sense.
    pub fn reveal_block(&self, head: u64, period: u64) -> Result<u64, TimelockError> {
        match *self {
            Self::Stateful { last_epoch, pending, tempo } => {
                if tempo == 0 || !(1..=MAX_PERIOD).contains(&period) || last_epoch > head {
                    return Err(TimelockError::Schedule { tempo, period });
                }
                // The next epoch: due, or overdue and then in the very next block. It clears `pending`.
                let next = (last_epoch.saturating_add(tempo))
                    .min(if pending == 0 { u64::MAX } else { pending })
                    .max(head + 1);
                // An epoch in the commit's own block runs before the commit, so it does not count.
                let first = if next == head + 1 { next.saturating_add(tempo) } else { next };
                Ok(first.saturating_add(tempo.saturating_mul(period - 1)))
            }
            Self::Modular { netuid, tempo } => {
                if tempo == 0 || !(1..=MAX_PERIOD).contains(&period) {
                    return Err(TimelockError::Schedule { tempo, period });
                }
                let offset = netuid as u64 + 1;
                let epoch = (head + 1 + offset) / (tempo + 1);
                Ok(((epoch + period) * (tempo + 1)).saturating_sub(offset))
            }
        }
    }
}

/// The drand round whose signature exists when `reveal_block` is three blocks past: `now` in Unix seconds at
/// `head`, `block_time` in seconds.
pub fn reveal_round(now: f64, head: u64, reveal_block: u64, block_time: f64) -> u64 {
    let blocks = (reveal_block + 3).saturating_sub(head) as f64;
    // A time before 2023 gives round 0; the cast saturates.
    ((now + blocks * block_time - GENESIS) / PERIOD).floor() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// drand quicknet's signature of round 1000, from the tests of the `timelock` crate 0.3.0.
    const ROUND_1000: &str =
        "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39";

    #[test]
    fn what_the_official_core_sealed_is_opened() {
        // bittensor-core 0.1.5: inner_ciphertext(encrypt_at_round(b"this is a test", 1000)[0]).
        let sealed = unhex(include_str!("../../tests/data/sealed-at-1000.hex").trim());
        assert_eq!(decrypt(&sealed, &unhex(ROUND_1000)).unwrap(), b"this is a test");
    }

    #[test]
    fn what_is_sealed_opens_with_the_round_s_signature_only() {
        let hotkey = AccountId([7; 32]);
        let sealed = seal(&hotkey, &[(1, 65535), (2, 32768)], 7, 1000).unwrap();
        // The official core's size for two weights.
        assert_eq!(sealed.len(), 295);
        let opened = open(&sealed, &unhex(ROUND_1000)).unwrap();
        let expected = SealedWeights {
            hotkey: vec![7; 32],
            uids: vec![1, 2],
            values: vec![65535, 32768],
            version_key: 7,
        };
        assert_eq!(opened, expected);
        let later = seal(&hotkey, &[(1, 65535)], 7, 1001).unwrap();
        assert_eq!(open(&later, &unhex(ROUND_1000)), Err(TimelockError::Unopenable("key")));
        for cut in [0, 50, 100, 140, 200, sealed.len() - 1] {
            assert!(open(&sealed[..cut], &unhex(ROUND_1000)).is_err(), "{cut}");
        }
    }

    #[test]
    fn too_many_weights_are_refused_before_submission() {
        let weights: Vec<_> = (0..2000).map(|uid| (uid, 1)).collect();
        assert!(matches!(seal(&AccountId([0; 32]), &weights, 0, 1), Err(TimelockError::TooLong(_))));
    }

    #[test]
    fn reveal_blocks_agree_with_the_official_core() {
        let mut rows = 0;
        for line in include_str!("../../tests/data/reveal-blocks.txt").lines() {
            if line.starts_with('#') {
                continue;
            }
            let n: Vec<u64> = line.split(' ').map(|n| n.parse().unwrap()).collect();
            let &[last_epoch, pending, tempo, head, period, blocks] = &n[..] else { panic!("{line}") };
            let schedule = Schedule::Stateful { last_epoch, pending, tempo };
            assert_eq!(schedule.reveal_block(head, period).unwrap(), head + blocks, "{line}");
            rows += 1;
        }
        assert_eq!(rows, 300);
    }

    #[test]
    fn modular_epochs_fall_on_their_blocks() {
        // Subtensor before LastEpochBlock: epochs of netuid 39, tempo 360 run where (block + 40) mod 361 = 0.
        let schedule = Schedule::Modular { netuid: 39, tempo: 360 };
        let block = schedule.reveal_block(1000, 1).unwrap();
        assert_eq!((block + 40) % 361, 0);
        assert!((1001..=1001 + 361).contains(&block));
        assert_eq!(schedule.reveal_block(1000, 3).unwrap(), block + 2 * 361);
        // One block before an epoch the commit enters the epoch's own block, so it waits for the one after.
        assert_eq!(schedule.reveal_block(block - 1, 1).unwrap(), block + 361);
    }

    #[test]
    fn senseless_schedules_are_refused() {
        let bad = [
            Schedule::Stateful { last_epoch: 5, pending: 0, tempo: 0 }.reveal_block(9, 1),
            Schedule::Stateful { last_epoch: 10, pending: 0, tempo: 9 }.reveal_block(9, 1),
            Schedule::Stateful { last_epoch: 5, pending: 0, tempo: 9 }.reveal_block(9, 0),
            Schedule::Modular { netuid: 1, tempo: 0 }.reveal_block(9, 1),
        ];
        for result in bad {
            assert!(matches!(result, Err(TimelockError::Schedule { .. })));
        }
    }

    #[test]
    fn the_round_follows_the_formula_of_the_chain() {
        // floor((1700000000 + (1400 + 3 − 1000)·12 − 1692803367) / 3)
        assert_eq!(reveal_round(1_700_000_000.0, 1000, 1400, 12.0), 2_400_489);
        assert_eq!(reveal_round(1_700_000_000.0, 1000, 1400, 0.25), 2_398_911);
        assert_eq!(reveal_round(0.0, 1, 2, 12.0), 0);
    }
}
