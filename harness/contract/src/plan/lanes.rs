//! Lanes: the rounds of a plan dealt to several cards, or sets of processors, that measure at the same time.
//!
//! A round goes to one lane as a whole, so both sides of every session are on the same lane, every candidate meets every
//! lane equally often, and candidates are compared within a lane. What is drawn does not depend on the deal.

use super::types::{Plan, PlannedSession};

/// The fewest rounds of a lane: its own A/A control says nothing of one.
pub const MIN_ROUNDS: u32 = 2;

/// More lanes than any host has cards.
const MOST_LANES: u32 = 64;

/// On which of so many lanes a round is measured.
pub fn lane_of(round: u32, lanes: u32) -> u32 {
    round % lanes.max(1)
}

impl Plan {
    /// The same plan for so many lanes.
    ///
    /// # Errors
    /// It has too few rounds for them.
    pub fn in_lanes(mut self, lanes: u32) -> Result<Self, String> {
        self.lanes = lanes;
        self.check_lanes()?;
        Ok(self)
    }

    /// Whether its rounds can be dealt to its lanes.
    pub(super) fn check_lanes(&self) -> Result<(), String> {
        if self.lanes == 1 {
            return Ok(());
        }
        let rounds = self.rounds();
        if self.lanes == 0 || self.lanes > MOST_LANES {
            return Err(format!("lanes: expected 1 to {MOST_LANES}, found {}", self.lanes));
        }
        if rounds / self.lanes < MIN_ROUNDS {
            return Err(format!(
                "lanes: {rounds} rounds cannot be dealt to {} lanes: each needs {MIN_ROUNDS} at least, or its own A/A control says nothing; take {} at most",
                self.lanes,
                (rounds / MIN_ROUNDS).max(1)
            ));
        }
        Ok(())
    }

    /// How many rounds it has.
    pub fn rounds(&self) -> u32 {
        self.sessions.iter().map(|session| session.round + 1).max().unwrap_or(0)
    }

    /// On which lane a round is measured.
    pub fn lane_of(&self, round: u32) -> u32 {
        lane_of(round, self.lanes)
    }

    /// The sessions of a lane, by their place in this plan.
    pub fn sessions_of_lane(&self, lane: u32) -> impl Iterator<Item = &PlannedSession> {
        self.sessions.iter().filter(move |session| self.lane_of(session.round) == lane)
    }

    /// What a lane measures: a plan of one lane, with its rounds alone. Its sessions are counted from 0; its rounds and
    /// requests keep their numbers.
    pub fn of_lane(&self, lane: u32) -> Self {
        let sessions = self.sessions_of_lane(lane).cloned();
        let sessions = (0..).zip(sessions).map(|(index, session)| PlannedSession { index, ..session });
        Self { lanes: 1, sessions: sessions.collect(), ..self.clone() }
    }
}
