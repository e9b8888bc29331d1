//! When a process is warm.

/// Relative difference of latencies that counts as none.
pub const STEADY_TOLERANCE: f64 = 0.05;

/// Whether a process is steady after these warm-up latencies (nanoseconds, in order): the last two
/// differ by at most [`STEADY_TOLERANCE`], and the last is not below the one before the previous
/// by more than that, so that a slow descent in small steps does not pass. Two latencies at least;
/// callers ask for the plan's `warmup_min` too.
pub fn is_steady(latencies: &[u64]) -> bool {
    let not_far_below = |last: u64, earlier: u64| last as f64 >= earlier as f64 * (1.0 - STEADY_TOLERANCE);
    match latencies {
        [.., before, previous, last] => close(*previous, *last) && not_far_below(*last, *before),
        [previous, last] => close(*previous, *last),
        _ => false,
    }
}

fn close(a: u64, b: u64) -> bool {
    let (low, high) = (a.min(b) as f64, a.max(b) as f64);
    high - low <= high * STEADY_TOLERANCE
}

#[cfg(test)]
mod tests {
    use super::is_steady;

    #[test]
    fn needs_two_alike_and_no_descent() {
        assert!(!is_steady(&[]));
        assert!(!is_steady(&[100]));
        assert!(is_steady(&[100, 104]));
        assert!(!is_steady(&[200, 100]));
        assert!(is_steady(&[300, 100, 101]) == false, "still falling from 300");
        assert!(is_steady(&[300, 100, 101, 99]));
        assert!(!is_steady(&[110, 106, 102]), "4% a step, 7% in two");
        assert!(is_steady(&[100, 130, 131]), "slower and level");
    }
}
