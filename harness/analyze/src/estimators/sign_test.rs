//! The sign test (Arbuthnot 1710; Conover, *Practical Nonparametric Statistics*, 3.4), one-sided and exact.

use statrs::distribution::{Binomial, DiscreteCDF as _};

/// Probability that of `all` equally likely signs `own` or more are one and the same.
pub fn chance(own: u32, all: u32) -> f64 {
    let Some(fewer) = own.checked_sub(1) else { return 1.0 };
    Binomial::new(0.5, u64::from(all)).map_or(1.0, |signs| signs.sf(u64::from(fewer)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_that_of_so_many_fair_coins() {
        for (own, all, expected) in [
            (0, 0, 1.0),
            (0, 5, 1.0),
            (1, 1, 0.5),
            (5, 5, 1.0 / 32.0),
            (8, 9, 10.0 / 512.0),
            (3, 4, 5.0 / 16.0),
        ] {
            assert!((chance(own, all) - expected).abs() < 1e-12, "{own} of {all}: {}", chance(own, all));
        }
    }
}
