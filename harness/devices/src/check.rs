//! [`Check`]: one thing of a machine that was looked at, and the verdict on it.

use serde::Serialize;

/// A verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fitness {
    /// As it should be.
    Fit,
    /// The system does not tell.
    Unknown,
    /// Results are noisier than they need be.
    Advice,
    /// A run may be made; no weights can come of it.
    NoWeights,
    /// Nothing should be measured here.
    Unfit,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// The verdict.
    pub fitness: Fitness,
    /// What was found.
    pub found: String,
    /// Why it matters.
    pub why: &'static str,
    /// How to mend it, in words; empty: nothing to mend.
    pub cure: String,
    /// Commands that mend it; empty: there is none.
    pub commands: Vec<String>,
}

impl Check {
    /// As it should be.
    pub fn fit(name: &'static str, why: &'static str, found: impl Into<String>) -> Self {
        let (cure, commands) = (String::new(), Vec::new());
        Self { name, fitness: Fitness::Fit, found: found.into(), why, cure, commands }
    }

    /// The same, found wanting, with the cure in words.
    #[must_use]
    pub fn but(self, fitness: Fitness, cure: impl Into<String>) -> Self {
        Self { fitness, cure: cure.into(), ..self }
    }

    /// The same with a command that mends it.
    #[must_use]
    pub fn by(self, command: String) -> Self {
        Self { commands: vec![command], ..self }
    }

    /// The system does not tell.
    pub fn unknown(name: &'static str, why: &'static str) -> Self {
        Self { fitness: Fitness::Unknown, ..Self::fit(name, why, "the system does not tell") }
    }
}
