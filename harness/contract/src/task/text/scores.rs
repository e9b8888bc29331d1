//! What an engine says of the tokens that it could have chosen: the most likely ones, and how likely each is to it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Tokens that are listed for each position, or the whole vocabulary where that is smaller.
pub const LISTED: u32 = 64;

/// What the probabilities of a list may sum to beyond 1: they are logarithms in single precision.
const ROUNDING: f64 = 1e-3;

/// A token, and the natural logarithm of its probability: the softmax over all logits, at temperature 1.
pub type Scored = (u32, f32);

/// For each position of a text its most likely tokens, given all that stands before; the most likely first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scores(pub Vec<Vec<Scored>>);

impl Scores {
    /// How many tokens a list has, of so many that there are.
    pub fn listed(vocabulary: u32) -> u32 {
        LISTED.min(vocabulary)
    }

    /// The list that logits make: of several that are equal, the lowest token first.
    pub fn of_logits(logits: &[f32], listed: u32) -> Vec<Scored> {
        let mut order: Vec<u32> = (0..logits.len() as u32).collect();
        let before =
            |a: &u32, b: &u32| logits[*b as usize].total_cmp(&logits[*a as usize]).then_with(|| a.cmp(b));
        let listed = (listed as usize).min(order.len());
        if let Some(last) = listed.checked_sub(1) {
            order.select_nth_unstable_by(last, before);
        }
        order.truncate(listed);
        order.sort_unstable_by(before);
        let Some(&first) = order.first() else { return Vec::new() };
        let top = f64::from(logits[first as usize]);
        let sum = logits.iter().map(|logit| (f64::from(*logit) - top).exp()).sum::<f64>().ln();
        order.into_iter().map(|id| (id, (f64::from(logits[id as usize]) - top - sum) as f32)).collect()
    }

    /// Refuses what no model says of a text of so many positions: every engine lists equally many tokens, since who lists
    /// fewer shows less of what it would have said.
    ///
    /// # Errors
    /// In words, what is wrong, and where.
    pub fn check(&self, positions: usize, vocabulary: u32) -> Result<(), String> {
        let Self(lists) = self;
        if lists.len() != positions {
            return Err(format!("scores of {} positions; the text has {positions}", lists.len()));
        }
        let each = Self::listed(vocabulary);
        for (position, list) in lists.iter().enumerate() {
            check(list, each, vocabulary).map_err(|problem| format!("scores[{position}]: {problem}"))?;
        }
        Ok(())
    }

    /// Of the first tokens that the engine chose greedily where it was scored, the share that its own lists put first, a
    /// token as likely as the first one included. `None` of no tokens.
    pub fn own_choices(&self, chosen: &[u32]) -> Option<f64> {
        let first = |(list, token): (&Vec<Scored>, &u32)| {
            let top = list.first().map(|(_, likely)| *likely);
            list.iter().take_while(|(_, likely)| Some(*likely) == top).any(|(id, _)| id == token)
        };
        let pairs = || self.0.iter().zip(chosen);
        let count = pairs().count();
        (count > 0).then(|| pairs().filter(|pair| first(*pair)).count() as f64 / count as f64)
    }
}

fn check(list: &[Scored], listed: u32, vocabulary: u32) -> Result<(), String> {
    if list.len() != listed as usize {
        return Err(format!("{} tokens; {listed} were asked for", list.len()));
    }
    let (mut seen, mut sum, mut before) = (BTreeSet::new(), 0.0, 0.0);
    for &(id, likely) in list {
        if id >= vocabulary {
            return Err(format!("token {id}, which is none of the vocabulary's {vocabulary}"));
        }
        if !seen.insert(id) {
            return Err(format!("token {id} twice"));
        }
        // Not a number is in no range.
        if !(f32::MIN..=0.0).contains(&likely) {
            return Err(format!("token {id}: {likely}, which is no logarithm of a probability"));
        }
        if likely > before {
            return Err(format!("token {id} is more likely than the one before it"));
        }
        before = likely;
        sum += f64::from(likely).exp();
    }
    if sum > 1.0 + ROUNDING {
        return Err(format!("probabilities that sum to {sum:.4}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logits_become_a_list_in_order() {
        let list = Scores::of_logits(&[0.0, 2.0, 2.0, -1.0], 3);
        assert_eq!(list.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 2, 0]);
        let sum: f64 =
            Scores::of_logits(&[0.0, 2.0, 2.0, -1.0], 64).iter().map(|(_, l)| f64::from(*l).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-6, "{sum}");
        // One that is certain has a logarithm of 0, not of more.
        let certain = Scores::of_logits(&[1e4, 0.0], 2);
        assert_eq!(certain[0], (0, 0.0));
        assert_eq!(Scores(vec![certain, Scores::of_logits(&[1.0, 1.0], 2)]).check(2, 2), Ok(()));
        assert_eq!(Scores::of_logits(&[], 64), []);
    }

    #[test]
    fn what_no_model_says_is_refused_by_its_place() {
        let even = (1f32 / 3.0).ln();
        let honest = vec![(2, even), (0, even), (1, even)];
        let refused = |list: Vec<Scored>| Scores(vec![honest.clone(), list]).check(2, 3).unwrap_err();
        assert_eq!(Scores(vec![honest.clone(), honest.clone()]).check(2, 3), Ok(()));
        let cases = [
            (vec![(2, even), (0, even)], "2 tokens; 3 were asked for"),
            (vec![(2, even), (0, even), (3, even)], "token 3, which is none of the vocabulary's 3"),
            (vec![(2, even), (0, even), (0, even)], "token 0 twice"),
            (vec![(2, even), (0, f32::NAN), (1, even)], "token 0: NaN"),
            (vec![(2, 0.01), (0, -9.0), (1, -9.0)], "token 2: 0.01"),
            (vec![(2, -0.1), (0, -9.0), (1, f32::NEG_INFINITY)], "token 1: -inf"),
            (vec![(2, -2.0), (0, -1.0), (1, -3.0)], "token 0 is more likely than the one before it"),
            (vec![(2, -0.5), (0, -0.6), (1, -3.0)], "probabilities that sum to 1.2051"),
        ];
        for (list, words) in cases {
            let found = refused(list);
            assert!(found.starts_with("scores[1]: ") && found.contains(words), "{found}");
        }
        assert_eq!(Scores(vec![honest]).check(2, 3).unwrap_err(), "scores of 1 positions; the text has 2");
    }

    #[test]
    fn own_choices_are_those_that_come_first() {
        let scores =
            Scores(vec![vec![(4, -0.1), (5, -3.0)], vec![(6, -0.5), (7, -0.5), (8, -2.0)], vec![(9, 0.0)]]);
        assert_eq!(scores.own_choices(&[4, 7, 1]), Some(2.0 / 3.0));
        assert_eq!(scores.own_choices(&[5]), Some(0.0));
        assert_eq!(scores.own_choices(&[4, 6, 9, 1]), Some(1.0), "what was not scored");
        assert_eq!(scores.own_choices(&[]), None);
    }
}
