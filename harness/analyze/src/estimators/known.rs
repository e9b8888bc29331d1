//! Data of the known-answer tests.

/// Eight log ratios.
pub(crate) const A: [f64; 8] = [0.0121, 0.0043, -0.0018, 0.0187, 0.0096, 0.0152, 0.0231, 0.0108];
/// Five log ratios.
pub(crate) const B: [f64; 5] = [0.031, -0.012, 0.045, 0.008, 0.027];

/// Equal to 1e-9.
#[track_caller]
pub(crate) fn assert_close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} instead of {expected}");
}
