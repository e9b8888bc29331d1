//! Who is proven to be before whom, over all pairs at once; and what follows: rank sets and tiers.

use rayon::prelude::*;

use super::pairwise::Difference;
use crate::estimators::multiplicity::shaffer;
use crate::sequential::pair_p_value;

/// Which of several candidates are proven to be before which others.
///
/// With the stated probability or more, everything in it is true. Whatever is said of the order of
/// candidates is read off one of these, so nothing said contradicts anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proofs {
    count: usize,
    /// Row by row: whether the row's candidate is before the column's.
    before: Vec<bool>,
}

impl Proofs {
    /// Tests every pair of `count` candidates, `test(a, b)` with a < b, with all errors together at
    /// most 1 − `level`. `last`: the most rounds, where candidates might have been ended before for
    /// what they showed.
    pub fn of(
        count: usize,
        level: f64,
        last: Option<usize>,
        test: impl Fn(usize, usize) -> Difference + Sync,
    ) -> Self {
        let pairs: Vec<(usize, usize)> =
            (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b))).collect();
        let found: Vec<Difference> = pairs.par_iter().map(|&(a, b)| test(a, b)).collect();
        let p_value = |found: &Difference| match last {
            Some(last) => pair_p_value(found.p_value, found.rounds, last),
            None => found.p_value,
        };
        let adjusted = shaffer(&found.iter().map(p_value).collect::<Vec<_>>(), count);
        let mut proofs = Self { count, before: vec![false; count * count] };
        for ((&(a, b), found), adjusted) in pairs.iter().zip(&found).zip(adjusted) {
            if adjusted > 1.0 - level {
                continue;
            }
            if found.point < 0.0 {
                proofs.add(a, b);
            } else if found.point > 0.0 {
                proofs.add(b, a);
            }
        }
        proofs.with_what_follows()
    }

    /// Adds what was proven elsewhere, its error counted there.
    #[must_use]
    pub fn with(mut self, others: impl IntoIterator<Item = (usize, usize)>) -> Self {
        for (first, second) in others {
            // Where later rounds prove the contrary, the earlier proof was wrong.
            if first != second && !self.proven(second, first) {
                self.add(first, second);
            }
        }
        self.with_what_follows()
    }

    fn add(&mut self, first: usize, second: usize) {
        self.before[first * self.count + second] = true;
    }

    /// Who is before one that is before a third is before the third, too. Proofs that run in a
    /// circle cannot all be true, and stay as they are.
    fn with_what_follows(self) -> Self {
        let mut all = self.clone();
        for via in 0..self.count {
            for first in 0..self.count {
                if all.proven(first, via) {
                    for second in 0..self.count {
                        all.before[first * self.count + second] |= all.proven(via, second);
                    }
                }
            }
        }
        let circular = (0..self.count).any(|one| all.proven(one, one));
        if circular { self } else { all }
    }

    /// Whether `first` is proven to be before `second`.
    pub fn proven(&self, first: usize, second: usize) -> bool {
        self.before[first * self.count + second]
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether nobody is proven to be before this one.
    pub fn can_be_first(&self, one: usize) -> bool {
        (0..self.count).all(|other| !self.proven(other, one))
    }

    /// For each candidate the best and the worst rank that cannot be excluded, from 1.
    pub fn rank_sets(&self) -> Vec<(u32, u32)> {
        let set = |one: usize| {
            let better = (0..self.count).filter(|&other| self.proven(other, one)).count();
            let worse = (0..self.count).filter(|&other| self.proven(one, other)).count();
            (better as u32 + 1, (self.count - worse) as u32)
        };
        (0..self.count).map(set).collect()
    }

    /// The tier of each candidate, 1 the first, where they stand in `order`: cut only where everyone
    /// above is proven to be before everyone below. A cut at the first proven pair would separate
    /// equal candidates that straddle it.
    pub fn tiers(&self, order: &[usize]) -> Vec<u32> {
        let mut tiers = vec![0; self.count];
        let mut tier = 1;
        // The last place that someone so far is not proven to be before.
        let mut tied_until = 0;
        for (place, &one) in order.iter().enumerate() {
            if place > tied_until {
                tier += 1;
            }
            tiers[one] = tier;
            let last = (place..order.len()).rev().find(|&other| !self.proven(one, order[other]));
            tied_until = tied_until.max(last.unwrap_or(place));
        }
        tiers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proofs(count: usize, proven: &[(usize, usize)]) -> Proofs {
        Proofs { count, before: vec![false; count * count] }.with(proven.iter().copied())
    }

    #[test]
    fn what_follows_is_proven_too() {
        let found = proofs(4, &[(0, 1), (1, 2)]);
        assert!(found.proven(0, 2) && !found.proven(2, 0) && !found.proven(0, 3));
        assert_eq!(found.rank_sets(), [(1, 2), (2, 3), (3, 4), (1, 4)]);
        assert_eq!(found.tiers(&[0, 1, 2, 3]), [1, 1, 1, 1]);
        assert_eq!(proofs(3, &[(0, 1), (1, 2)]).tiers(&[0, 1, 2]), [1, 2, 3]);
        let found = proofs(4, &[(1, 2), (2, 3)]);
        assert!(found.proven(1, 3) && (0..4).all(|other| !found.proven(0, other)));
    }

    #[test]
    fn circles_prove_nothing_more() {
        let found = proofs(3, &[(0, 1), (1, 2), (2, 0)]);
        assert!(!found.proven(0, 2) && (0..3).all(|one| !found.proven(one, one)));
        assert_eq!(found.tiers(&[0, 1, 2]), [1, 1, 1]);
    }

    #[test]
    fn later_rounds_overrule_an_earlier_proof() {
        let found = proofs(2, &[(1, 0)]).with([(0, 1)]);
        assert!(found.proven(1, 0) && !found.proven(0, 1));
        assert!(proofs(0, &[]).tiers(&[]).is_empty());
    }

    #[test]
    fn a_pair_is_proven_by_what_its_test_leaves_of_the_error() {
        let of = |point: f64, p_value: f64, last: Option<usize>| {
            let found = Proofs::of(2, 0.75, last, |_, _| Difference { point, p_value, rounds: 3 });
            (found.proven(0, 1), found.proven(1, 0))
        };
        assert_eq!(of(-1.0, 0.25, None), (true, false));
        assert_eq!(of(1.0, 0.25, None), (false, true));
        assert_eq!(of(-1.0, 0.26, None), (false, false));
        assert_eq!(of(0.0, 0.01, None), (false, false), "no difference is in nobody's favour");
        // After three of at most six rounds a test has an eighth of the error.
        assert_eq!(of(-1.0, 0.03125, Some(6)), (true, false));
        assert_eq!(of(-1.0, 0.032, Some(6)), (false, false));
        // Of three, the middle one is proven to be before the last alone.
        let found = Proofs::of(3, 0.75, None, |a, b| {
            assert!(a < b, "each pair once");
            Difference { point: -1.0, p_value: if (a, b) == (1, 2) { 0.01 } else { 0.9 }, rounds: 3 }
        });
        let all = [(0, 1), (0, 2), (1, 2), (1, 0), (2, 0), (2, 1)];
        assert_eq!(all.map(|(a, b)| found.proven(a, b)), [false, false, true, false, false, false]);
        assert_eq!(found.count(), 3);
        assert_eq!([0, 1, 2].map(|one| found.can_be_first(one)), [true, true, false]);
    }
}
