//! Who hands out lanes at a server: one coordinator at a time.
//!
//! Whoever begins says so at one place, and says it again every few seconds, each time after what it said last; the server
//! takes none that comes after something else. So of two who begin at once one is refused, and whoever was frozen and
//! replaced learns it when it says so the next time.

use std::time::{Duration, Instant};

use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::document;
use edgemaxx_contract::format::Format;
use serde::{Deserialize, Serialize};

use crate::error::{FleetError, Result};
use crate::message::Signed;
use crate::queue::Queue;
use crate::subject::{CLAIM, LEASES};

/// How often a coordinator says that it is there.
const BEAT: Duration = Duration::from_secs(3);

/// Who said nothing for so long is replaced by whoever begins.
const SILENCE: Duration = Duration::from_secs(30);

/// How often one who waits for that looks.
const LOOK: Duration = Duration::from_millis(500);

/// A coordinator says that it hands out lanes here: em.lease.coordinator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Claim {
    /// `edgemaxx-fleet-claim`.
    #[serde(flatten)]
    pub format: Format,
    /// Digest of the run's plan; `None`: it hands out none any more.
    pub plan: Option<Digest>,
    /// The host that it runs on.
    pub host: String,
    /// The process on that host.
    pub process: u32,
    /// When it began, nanoseconds since 1970-01-01 UTC by its clock: tells two of the same run apart.
    pub began_unix_ns: u64,
}

document!(Claim, "edgemaxx-fleet-claim", 1);

/// A claim that stands.
#[derive(Debug)]
pub struct Claimed {
    own: Claim,
    sequence: u64,
    said: Instant,
}

impl Queue {
    /// Claims the server for a run. Another coordinator of the same run is replaced at once: it was killed, or is fenced
    /// by this. One of another run is replaced when it has been silent for 30 s.
    ///
    /// # Errors
    /// [`FleetError::Claimed`]: it is not silent. The server does not answer.
    pub fn claim(&self, own: Claim) -> Result<Claimed> {
        let (mut standing, mut sequence) = self.standing()?;
        let began = Instant::now();
        while let Some(other) = standing.filter(|other| other.plan.is_some() && other.plan != own.plan) {
            if began.elapsed() >= SILENCE {
                break;
            }
            std::thread::sleep(LOOK);
            let (now, later) = self.standing()?;
            if later != sequence && now.as_ref().is_some_and(|now| now.plan == other.plan) {
                return Err(taken(&other));
            }
            (standing, sequence) = (now, later);
        }
        let mut claimed = Claimed { own, sequence, said: Instant::now() };
        match self.say_claim(&claimed.own, sequence)? {
            Some(sequence) => claimed.sequence = sequence,
            None => self.claim_again(&mut claimed)?,
        }
        Ok(claimed)
    }

    /// Says so again, where that is due.
    ///
    /// # Errors
    /// [`FleetError::Claimed`]: another has replaced this one. The server does not answer.
    pub fn keep_claim(&self, claimed: &mut Claimed) -> Result<()> {
        if claimed.said.elapsed() < BEAT {
            return Ok(());
        }
        match self.say_claim(&claimed.own, claimed.sequence)? {
            Some(sequence) => claimed.sequence = sequence,
            None => self.claim_again(claimed)?,
        }
        claimed.said = Instant::now();
        Ok(())
    }

    /// Hands out no lanes here any more.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn end_claim(&self, claimed: &Claimed) -> Result<()> {
        let none = Claim { plan: None, ..claimed.own.clone() };
        self.say_claim(&none, claimed.sequence).map(drop)
    }

    /// After something else than what this one said last stands there: nothing, where the server lost its store, or what
    /// is no claim, which others can have a server write there. Neither is another coordinator.
    fn claim_again(&self, claimed: &mut Claimed) -> Result<()> {
        let (standing, sequence) = self.standing()?;
        match standing.filter(|standing| standing.plan.is_some() && *standing != claimed.own) {
            Some(other) => Err(taken(&other)),
            None => {
                let said = self.say_claim(&claimed.own, sequence)?;
                claimed.sequence = said.unwrap_or(sequence);
                Ok(())
            }
        }
    }

    /// The claim that stands, and the number of what stands there.
    fn standing(&self) -> Result<(Option<Claim>, u64)> {
        let Some(message) = self.last(LEASES, CLAIM.to_owned())? else { return Ok((None, 0)) };
        let claim = Signed::open::<Claim>(&message.payload, Some(&self.key().name())).ok();
        Ok((claim.map(|(claim, _)| claim), message.sequence))
    }

    /// Says so after what has this number: the number that it gets; `None`: something else stands there.
    fn say_claim(&self, claim: &Claim, after: u64) -> Result<Option<u64>> {
        let message = PublishMessage::build()
            .payload(Signed::of(claim, self.key())?.to_bytes().into())
            .expected_last_subject_sequence(after);
        self.ask("claim", async {
            let sent = self.js().send_publish(CLAIM, message).await;
            let acknowledged = match sent {
                Ok(sent) => sent.await,
                Err(error) => Err(error),
            };
            match acknowledged {
                Ok(ack) => Ok(Some(ack.sequence)),
                Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Ok(None),
                Err(error) => Err(error),
            }
        })
    }
}

fn taken(other: &Claim) -> FleetError {
    FleetError::Claimed(format!(
        "another coordinator hands out lanes at this server: process {} of {}, plan {}; a server has one at a time: wait until its run ends, end it, or use a server of its own",
        other.process,
        other.host,
        other.plan.map_or_else(String::new, |plan| plan.short())
    ))
}
