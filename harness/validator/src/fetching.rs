//! Checkpoints on their way: each for itself, tried again in its own time.

use std::collections::BTreeMap;

use edgemaxx_contract::day::Fate;

use crate::machine::Event;
use crate::policy::Policy;
use crate::state::Unreachable;
use crate::world::{CheckpointTrouble, Checkpoints};

/// What a day knows of its fetching beside its state; a validator that was killed begins this anew.
#[derive(Debug, Default)]
pub(crate) struct Fetching {
    /// Failed attempts by hotkey, and when to try again.
    tried: BTreeMap<String, (u32, i64)>,
}

impl Fetching {
    /// Looks after everything that is `pending`, hotkey and source; what became of it since the last look.
    pub(crate) fn look(
        &mut self,
        checkpoints: &mut dyn Checkpoints,
        pending: &[(String, String)],
        now: i64,
        policy: &Policy,
    ) -> Vec<Event> {
        let mut events = Vec::new();
        for (hotkey, source) in pending {
            if self.tried.get(hotkey).is_some_and(|(_, retry_at)| now < *retry_at) {
                continue;
            }
            let unreachable = |why: String, gone| {
                Event::Unreachable(hotkey.clone(), Unreachable { why: format!("{source}: {why}"), gone })
            };
            let event = match checkpoints.prepare(source) {
                None => continue,
                Some(Ok(digest)) => Event::Prepared(hotkey.clone(), Fate::candidate(digest)),
                Some(Err(CheckpointTrouble::Invalid(reason))) => {
                    Event::Prepared(hotkey.clone(), Fate::Invalid { reason })
                }
                Some(Err(CheckpointTrouble::Gone(why))) => unreachable(why, true),
                Some(Err(CheckpointTrouble::Away(why))) => unreachable(why, false),
            };
            if let Event::Unreachable(..) = event {
                let attempts = self.tried.get(hotkey).map_or(0, |(attempts, _)| *attempts) + 1;
                self.tried.insert(hotkey.clone(), (attempts, now + policy.pause(attempts)));
            }
            events.push(event);
        }
        events
    }
}
