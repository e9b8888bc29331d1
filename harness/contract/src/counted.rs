//! How many requests should have been compared, and what became of them.

use serde::{Deserialize, Serialize};

/// How many pairs of answers there should be of a candidate, and what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Counted {
    /// Requests that either side was to be asked in sessions that the candidate took part in.
    pub expected: u64,
    /// Those that both sides answered.
    pub compared: u64,
    /// The others.
    pub left_out: Vec<LeftOut>,
}

/// Requests that do not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// How many.
    pub count: u64,
    /// Why.
    pub why: String,
}

impl Counted {
    /// Of so many, all.
    pub fn all(requests: u64) -> Self {
        Self { expected: requests, compared: requests, left_out: Vec::new() }
    }

    /// Leaves out so many, unless it is none.
    pub fn leave_out(&mut self, count: u64, why: impl Into<String>) {
        if count > 0 {
            self.left_out.push(LeftOut { count, why: why.into() });
        }
    }

    /// Whether nothing is missing.
    pub fn is_whole(&self) -> bool {
        self.compared == self.expected && self.left_out.is_empty()
    }
}

/// As a table and a warning say it.
impl std::fmt::Display for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} requests answered on both sides", self.compared, self.expected)?;
        self.left_out.iter().try_for_each(|left| write!(f, "; {} {}", left.count, left.why))
    }
}

#[cfg(test)]
mod tests {
    use super::Counted;

    #[test]
    fn what_is_missing_is_said() {
        let mut counted = Counted::all(480);
        assert!(counted.is_whole());
        assert_eq!(counted.to_string(), "480 of 480 requests answered on both sides");
        counted.leave_out(0, "nothing");
        assert!(counted.is_whole());
        counted.compared = 470;
        assert!(!counted.is_whole(), "also where nobody says why");
        counted.leave_out(7, "failed");
        counted.leave_out(3, "not asked");
        assert_eq!(counted.to_string(), "470 of 480 requests answered on both sides; 7 failed; 3 not asked");
    }
}
