//! At which confidence something is claimed: the level that holds where nobody names one, and the levels that can be named.

/// The level of every interval and of all claims, unless a contest or an option names another.
pub const DEFAULT_LEVEL: f64 = 0.95;
/// The lowest level that can be named.
pub const LOWEST_LEVEL: f64 = 0.5;
/// The highest: beyond it, an interval is as wide as nothing that was measured.
pub const HIGHEST_LEVEL: f64 = 0.9999;

/// Whether a level can be named.
pub fn is_level(level: f64) -> bool {
    (LOWEST_LEVEL..=HIGHEST_LEVEL).contains(&level)
}
