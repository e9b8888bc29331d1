//! [`Length`]: how many tokens are to be made, drawn for each request.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::input::{Input, InputError};

/// The most tokens that may be asked for.
const MOST: u32 = 1 << 14;

/// How many new tokens a request asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "expected a number of tokens, { least, most }, or a list of numbers"
)]
pub enum Length {
    /// The same for all.
    Exactly(u32),
    /// Any from `least` to `most`, all equally likely.
    Between {
        /// The fewest.
        least: u32,
        /// The most.
        most: u32,
    },
    /// One of these, all equally likely; one that stands twice is twice as likely.
    OneOf(Vec<u32>),
}

impl Length {
    /// The most that it can be.
    pub fn most(&self) -> u32 {
        match self {
            Self::Exactly(count) | Self::Between { most: count, .. } => *count,
            Self::OneOf(counts) => counts.iter().copied().max().unwrap_or(0),
        }
    }

    /// The length of the request of this seed.
    pub(super) fn drawn(&self, seed: u64) -> u32 {
        let below = |bound: u64| {
            let key = Digest::of_fields([b"edgemaxx-text-1 length".as_slice(), &seed.to_le_bytes()]);
            let mut draws = ChaCha20Rng::from_seed(*key.as_bytes());
            // 64 bits for a bound of at most 14: what the remainder favours is beyond notice, and the same everywhere.
            draws.next_u64() % bound
        };
        match self {
            Self::Exactly(count) => *count,
            Self::Between { least, most } => least + below(u64::from(most - least) + 1) as u32,
            Self::OneOf(counts) => counts[below(counts.len() as u64) as usize],
        }
    }

    /// In words.
    pub fn words(&self) -> String {
        match self {
            Self::Exactly(count) => count.to_string(),
            Self::Between { least, most } => format!("{least} to {most}"),
            Self::OneOf(counts) => counts.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or "),
        }
    }

    pub(super) fn check(&self, input: &Input<'_>, key: &str) -> Result<(), InputError> {
        match self {
            Self::Exactly(count) => input.within(key, *count, 1, MOST).map(drop),
            Self::Between { least, most } => {
                input.within(&format!("{key}.most"), *most, 1, MOST)?;
                input.within(&format!("{key}.least"), *least, 1, *most).map(drop)
            }
            Self::OneOf(counts) if counts.is_empty() => Err(input.bad(key, "a number at least", "none")),
            Self::OneOf(counts) => {
                counts.iter().try_for_each(|count| input.within(key, *count, 1, MOST).map(drop))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Length;

    #[test]
    fn lengths_are_drawn_evenly_from_what_the_contest_says() {
        let between = Length::Between { least: 3, most: 6 };
        let listed = Length::OneOf(vec![8, 8, 64]);
        let mut counts = [0u32; 4];
        let mut long = 0;
        for seed in 0..4000 {
            counts[between.drawn(seed) as usize - 3] += 1;
            long += u32::from(listed.drawn(seed) == 64);
        }
        // Five standard deviations of a binomial around 1000 and 1333.
        assert!(counts.iter().all(|count| count.abs_diff(1000) < 137), "{counts:?}");
        assert!(long.abs_diff(1333) < 149, "{long}");
        assert_eq!((between.most(), listed.most(), Length::Exactly(9).drawn(1)), (6, 64, 9));
    }
}
