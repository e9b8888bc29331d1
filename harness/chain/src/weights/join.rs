//! Rewards belong to hotkeys; uids are reassigned. So they are joined on the snapshot the weights are set against.

use edgemaxx_seal::AccountId;
use serde::Serialize;

use super::WeightsError;
use super::normalize::normalize;

/// One weight, explicit about whom it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct WeightTriple {
    /// Whom it is for.
    pub hotkey: AccountId,
    /// Its uid on the snapshot.
    pub uid: u16,
    /// The weight, the largest being 65535.
    pub value: u16,
}

/// Weights ready for the chain, in uid order, and whoever dropped out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Joined {
    /// Ascending by uid.
    pub weights: Vec<WeightTriple>,
    /// Rewarded hotkeys that are not registered any more, with nothing above zero lost silently.
    pub missing: Vec<AccountId>,
}

/// Join rewards by hotkey with the snapshot's `(uid, hotkey)` pairs and normalise what remains.
///
/// # Errors
/// As [`normalize`]; also when a hotkey is named twice, or nobody rewarded is registered any more.
pub fn join(
    neurons: impl IntoIterator<Item = (u16, AccountId)>,
    rewards: &[(AccountId, f64)],
) -> Result<Joined, WeightsError> {
    let uids: std::collections::BTreeMap<AccountId, u16> =
        neurons.into_iter().map(|(uid, hotkey)| (hotkey, uid)).collect();
    let mut seen = std::collections::BTreeSet::new();
    let mut missing = Vec::new();
    let mut present = Vec::new();
    for &(hotkey, reward) in rewards {
        if !seen.insert(hotkey) {
            return Err(WeightsError::DuplicateHotkey(hotkey));
        }
        match uids.get(&hotkey) {
            Some(&uid) => present.push((uid, hotkey, reward)),
            None if reward == 0.0 => {}
            None => missing.push(hotkey),
        }
    }
    present.sort_by_key(|&(uid, ..)| uid);
    let pairs: Vec<_> = present.iter().map(|&(uid, _, reward)| (uid, reward)).collect();
    let values = normalize(&pairs)?;
    let weights = values
        .into_iter()
        .filter_map(|(uid, value)| {
            let found = present.binary_search_by_key(&uid, |&(u, ..)| u).ok()?;
            Some(WeightTriple { hotkey: present[found].1, uid, value })
        })
        .collect();
    Ok(Joined { weights, missing })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> AccountId {
        AccountId([n; 32])
    }

    #[test]
    fn weights_come_in_uid_order_whatever_the_order_of_rewards() {
        let neurons = [(0, key(9)), (1, key(8)), (2, key(7))];
        let a = join(neurons, &[(key(7), 0.5), (key(9), 1.0)]).unwrap();
        let b = join(neurons, &[(key(9), 1.0), (key(7), 0.5)]).unwrap();
        assert_eq!(a, b);
        let shown: Vec<_> = a.weights.iter().map(|w| (w.uid, w.value)).collect();
        assert_eq!(shown, [(0, 65535), (2, 32768)]);
    }

    #[test]
    fn a_reassigned_uid_does_not_pay_its_new_owner() {
        // Yesterday uid 1 was key 8; today it is key 5.
        let joined = join([(0, key(9)), (1, key(5))], &[(key(8), 1.0), (key(9), 0.25)]).unwrap();
        assert_eq!(joined.missing, [key(8)]);
        assert_eq!(joined.weights, [WeightTriple { hotkey: key(9), uid: 0, value: 65535 }]);
        // Who has left and earned nothing lost nothing.
        let joined = join([(0, key(9))], &[(key(8), 0.0), (key(9), 0.25)]).unwrap();
        assert_eq!((joined.missing, joined.weights.len()), (vec![], 1));
    }

    #[test]
    fn nobody_left_is_an_error_and_not_an_empty_call() {
        assert_eq!(join([(0, key(1))], &[(key(2), 1.0)]), Err(WeightsError::AllZero));
        let twice = [(key(1), 1.0), (key(1), 1.0)];
        assert_eq!(join([(0, key(1))], &twice), Err(WeightsError::DuplicateHotkey(key(1))));
    }
}
