//! When a process is warm.

/// A later latency may be above the one before it by this fraction.
pub const STEADY_RISE: f64 = 0.05;
/// A later latency may be below the one before it by this fraction: less, because a process that
/// still gets faster is not warm.
pub const STEADY_FALL: f64 = 0.02;

/// Whether a process is steady after these warm-up latencies of one kind of request (nanoseconds, in order): the last one
/// is within [`STEADY_RISE`] above and [`STEADY_FALL`] below the one before it. What came earlier,
/// such as a cold start, does not matter. Callers ask for the plan's `warmup_min` too.
pub fn is_steady(latencies: &[f64]) -> bool {
    let [.., previous, last] = latencies else { return false };
    let ratio = last / previous.max(1.0);
    (1.0 - STEADY_FALL..=1.0 + STEADY_RISE).contains(&ratio)
}

#[cfg(test)]
mod tests {
    use super::is_steady;

    #[test]
    fn needs_two_alike_and_no_fall() {
        assert!(!is_steady(&[]));
        assert!(!is_steady(&[100.0]));
        assert!(is_steady(&[100.0, 104.0]));
        assert!(is_steady(&[100.0, 98.0]));
        assert!(!is_steady(&[100.0, 97.0]), "still getting faster");
        assert!(!is_steady(&[100.0, 106.0]));
        assert!(!is_steady(&[300.0, 100.0]), "a cold start");
        assert!(is_steady(&[300.0, 100.0, 101.0]), "over");
        assert!(!is_steady(&[0.0, 5.0]));
    }
}
