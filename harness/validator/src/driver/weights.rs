//! What a driver does about the weights on chain: setting them, keeping them from becoming old, and seeing in time that
//! they could not be set.

use super::{Driver, DriverError, Role};
use crate::calendar::{next, noon};
use crate::machine::Event;
use crate::state::OnChain;
use crate::status::Contact;
use crate::world::ChainTrouble;

/// Seconds between two blocks.
const BLOCK_S: i64 = 12;

impl Driver<'_> {
    /// Looks now and then whether weights could be set at all, so that it is known before a day is measured in vain.
    pub(super) fn look_at_standing(&mut self, now: i64) -> Result<(), DriverError> {
        if matches!(self.settings.role, Role::Part { .. }) {
            return Ok(());
        }
        let again = self.settings.policy.standing_s;
        if self.looked_at.is_some_and(|at| (at..at + again).contains(&now)) {
            return Ok(());
        }
        self.looked_at = Some(now);
        let Ok(hindrances) = self.world.chain.hindrances() else { return Ok(()) };
        let head = self.world.chain.head().ok().map(|head| head.number);
        self.seen.contact = head.map(|head| Contact { head, unix_s: now }).or(self.seen.contact);
        let head = head.unwrap_or(0);
        // What ends by itself before the day does hinders nobody.
        let end = noon(&next(&self.state.day)?)?;
        let lasts = |until: u64| now + until.saturating_sub(head).cast_signed() * BLOCK_S >= end;
        let lasting = hindrances.into_iter().filter(|hindrance| hindrance.until.is_none_or(lasts));
        let lasting: Vec<String> = lasting.map(|hindrance| hindrance.why).collect();
        if lasting != self.seen.hindrances {
            let what = match lasting.is_empty() {
                true => "weights can be set again".to_owned(),
                false => format!("weights cannot be set: {}", lasting.join("; ")),
            };
            self.store.record(&self.state, now, &what)?;
            self.seen.hindrances = lasting;
        }
        Ok(())
    }

    pub(super) fn set_weights(&mut self, after: u64) -> Event {
        let Some(weights) = &self.state.weights else {
            return Event::WeightsNotSet("nothing was decided".to_owned());
        };
        match self.world.chain.set_weights(weights, after + 1) {
            Ok(block) => Event::WeightsSet(block),
            Err(trouble) => Event::Trouble(trouble.to_string()),
        }
    }

    /// Keeps the weights of the day before from becoming old while this day has none.
    pub(super) fn refresh_previous(&mut self, now: i64) -> Result<(), DriverError> {
        let Some(previous) = &self.state.previous else { return Ok(()) };
        let Some(old) = previous.block.map(|block| block + self.settings.policy.refresh_blocks) else {
            return Ok(());
        };
        let Ok(head) = self.world.chain.head() else { return Ok(()) };
        self.seen.contact = Some(Contact { head: head.number, unix_s: now });
        if head.number < old {
            return Ok(());
        }
        let weights = previous.weights.clone();
        if let Ok(block) = self.world.chain.set_weights(&weights, old) {
            let mut after = self.state.clone();
            if let Some(previous) = &mut after.previous {
                previous.block = Some(block);
            }
            self.store.record(
                &after,
                now,
                &format!("weights of {} stand again in block {block}", weights.day),
            )?;
            self.state = after;
        }
        Ok(())
    }

    /// Keeps the weights from becoming old; what does not work is tried again later.
    pub(super) fn refresh(&mut self, now: i64) -> Result<i64, DriverError> {
        let later = now + 10 * self.settings.policy.look_s;
        let Ok(head) = self.world.chain.head() else { return Ok(later) };
        self.seen.contact = Some(Contact { head: head.number, unix_s: now });
        self.seen.skew_s = Some(now - head.unix_s);
        let (Some(OnChain::Set { block }), Some(weights)) = (&self.state.on_chain, &self.state.weights)
        else {
            return Ok(later);
        };
        let old = block + self.settings.policy.refresh_blocks;
        if head.number < old {
            return Ok(later);
        }
        match self.world.chain.set_weights(weights, old) {
            Ok(block) => self.happened(Event::WeightsSet(block)).map(|_| later),
            Err(ChainTrouble::Away(_)) => Ok(later),
            Err(trouble) => {
                self.store.record(&self.state, now, &format!("not refreshed: {trouble}"))?;
                Ok(later)
            }
        }
    }
}
