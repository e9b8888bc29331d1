//! What a validator does when things do not go as planned: every choice has a name here.

use serde::{Deserialize, Serialize};

/// The choices; times in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// `collect_for_s`: how long after noon the chain may be away before the day goes without
    /// submissions and keeps its weights.
    pub collect_for_s: i64,
    /// `prepare_for_s`: how long the day waits for a checkpoint that is out of reach while nobody else's is there.
    pub prepare_for_s: i64,
    /// `wait_for_s`: how long it waits for one while somebody's is there.
    pub wait_for_s: i64,
    /// `gone_for_s`: how long it waits for one that is not there, or not for us (401, 403, 404, 410); the contest says.
    pub gone_for_s: i64,
    /// `open_for_s`: how long after the close sealed entries can be opened; the contest says.
    pub open_for_s: i64,
    /// `standing_s`: pause between two looks whether weights could be set.
    pub standing_s: i64,
    /// `fetch_look_s`: pause between two looks at what is being fetched.
    pub fetch_look_s: i64,
    /// `group_most`: how many of those whose weights repeat one another are measured, in their order.
    pub group_most: usize,
    /// `reserve_s`: how long before the next noon the last session begins.
    pub reserve_s: i64,
    /// `overrun_s`: how long after the next noon a contest may still run before it is given up.
    pub overrun_s: i64,
    /// `late_start_s`: how long after noon a validator that was not running still begins that day.
    pub late_start_s: i64,
    /// `retry_s`: pause after the first failure; it doubles up to `retry_most_s`.
    pub retry_s: i64,
    /// See `retry_s`.
    pub retry_most_s: i64,
    /// `look_s`: pause between two looks at a running contest, and longest sleep: a clock that jumps
    /// is noticed after this.
    pub look_s: i64,
    /// `refresh_blocks`: weights older than this are set again, the same.
    pub refresh_blocks: u64,
    /// `alarm_blocks`: weights older than this raise an alarm.
    pub alarm_blocks: u64,
    /// `contact_s`: time since the chain was last read that raises an alarm.
    pub contact_s: i64,
    /// `skew_s`: a difference between this machine's clock and the chain's that raises an alarm.
    pub skew_s: i64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            collect_for_s: 6 * 3600,
            prepare_for_s: 8 * 3600,
            wait_for_s: 2 * 3600,
            gone_for_s: 1800,
            open_for_s: 1800,
            standing_s: 900,
            fetch_look_s: 5,
            group_most: 8,
            reserve_s: 2 * 3600,
            overrun_s: 6 * 3600,
            late_start_s: 8 * 3600,
            retry_s: 15,
            retry_most_s: 600,
            look_s: 30,
            refresh_blocks: 2400,
            alarm_blocks: 4500,
            contact_s: 3600,
            skew_s: 120,
        }
    }
}

impl Policy {
    /// The pause after `attempts` failures in a row.
    pub fn pause(&self, attempts: u32) -> i64 {
        let doubled = self.retry_s.saturating_mul(1 << attempts.saturating_sub(1).min(20));
        doubled.min(self.retry_most_s)
    }
}
