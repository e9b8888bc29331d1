//! Who hands out lanes at a server: one coordinator at a time.
//!
//! Whoever begins says so at one place, and says it again every few seconds, each time after what it said last; the server
//! takes none that comes after something else. So of two who begin at once one is refused, and whoever was frozen and
//! replaced learns it when it says so the next time.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::document;
use edgemaxx_contract::format::Format;
use serde::{Deserialize, Serialize};

use crate::connection::Queue;
use crate::error::{FleetError, Result};
use crate::message::Signed;
use crate::subject::{CLAIM, LEASES};

/// How long coordinators wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waits {
    /// How often one says that it is there.
    pub(crate) beat: Duration,
    /// Who said nothing for so long is replaced by whoever begins.
    pub(crate) silence: Duration,
}

/// As all coordinators do.
pub(crate) const WAITS: Waits = Waits { beat: Duration::from_secs(3), silence: Duration::from_secs(30) };

/// How often one who waits for that looks.
const LOOK: Duration = Duration::from_millis(500);

/// So often in a row one says it again, where others write there all the time.
const MOST_REFUSALS: usize = 32;

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

/// What stands where coordinators say that they are there.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    /// Nobody has said anything, or the server lost it.
    Nothing,
    /// What opens under the coordinator's key.
    Claim(Claim),
    /// What does not: others can have a server write there, by way of replies. It is nobody's word, and the one whose word
    /// it was written over says that again.
    Unreadable,
}

impl Standing {
    /// The claim of another run that still hands out lanes.
    fn another(&self, own: &Claim) -> Option<&Claim> {
        match self {
            Self::Claim(other) if other.plan.is_some() && other.plan != own.plan => Some(other),
            _ => None,
        }
    }
}

/// A coordinator's place at a server: claimed when it is first asked for, and kept on a thread of its own, however long
/// anything else takes.
#[derive(Debug)]
pub struct Claimant<'a> {
    queue: &'a Queue,
    own: Claim,
    waits: Waits,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Unclaimed,
    Held {
        /// The number of what was said last.
        sequence: u64,
        said: Instant,
    },
    /// Another has replaced this one, or it has given its place back: why.
    Gone(String),
}

impl<'a> Claimant<'a> {
    /// One that has claimed nothing yet.
    pub fn new(queue: &'a Queue, own: Claim) -> Self {
        Self::with(queue, own, WAITS)
    }

    pub(crate) fn with(queue: &'a Queue, own: Claim, waits: Waits) -> Self {
        Self { queue, own, waits, state: Mutex::new(State::Unclaimed) }
    }

    /// Claims the server for a run, or says again, where that is due, that it is this run's. Another coordinator of the same
    /// run is replaced at once: it was killed, or is fenced by this. One of another run is replaced when it has been silent
    /// for 30 s; what stands there and cannot be read may hide one, and is waited for as long.
    ///
    /// # Errors
    /// [`FleetError::Claimed`]: another is there and not silent, or has replaced this one, which stays so. The server does
    /// not answer.
    pub fn hold(&self) -> Result<()> {
        self.go_on(true)
    }

    /// Says again and again that the server is this run's, once it is, until the other end of `ended` is gone.
    pub fn keep(&self, ended: &Receiver<()>) {
        while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            // What went wrong is found again, and said, by whoever asks for the place.
            let _ = self.go_on(false);
        }
    }

    /// Hands out no lanes here any more.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn end(&self) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *state, State::Gone("this coordinator has ended".to_owned()));
        let State::Held { sequence, .. } = before else { return Ok(()) };
        let none = Claim { plan: None, ..self.own.clone() };
        self.queue.say_claim(&none, &self.own, sequence).map(drop)
    }

    fn go_on(&self, claim: bool) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let said = match &*state {
            State::Gone(why) => return Err(FleetError::Claimed(why.clone())),
            State::Held { said, .. } if said.elapsed() < self.waits.beat => return Ok(()),
            State::Held { sequence, .. } => self.queue.say_claim(&self.own, &self.own, *sequence),
            State::Unclaimed if claim => self.queue.claim(&self.own, self.waits.silence),
            State::Unclaimed => return Ok(()),
        };
        match said {
            Ok(sequence) => *state = State::Held { sequence, said: Instant::now() },
            Err(FleetError::Claimed(why)) => {
                *state = State::Gone(why.clone());
                return Err(FleetError::Claimed(why));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl Queue {
    /// Claims the server: the number of what was said.
    fn claim(&self, own: &Claim, silence: Duration) -> Result<u64> {
        let (mut standing, mut sequence) = self.standing()?;
        let began = Instant::now();
        while (standing == Standing::Unreadable || standing.another(own).is_some())
            && began.elapsed() < silence
        {
            std::thread::sleep(LOOK);
            let (now, later) = self.standing()?;
            if let Some(other) = now.another(own).filter(|_| later != sequence) {
                return Err(taken(other));
            }
            (standing, sequence) = (now, later);
        }
        self.say_claim(own, own, sequence)
    }

    /// What stands there, and its number.
    fn standing(&self) -> Result<(Standing, u64)> {
        let Some(message) = self.last(LEASES, CLAIM.to_owned())? else { return Ok((Standing::Nothing, 0)) };
        let claim = Signed::open::<Claim>(&message.payload, Some(&self.key().name()));
        let standing = claim.map_or(Standing::Unreadable, |(claim, _)| Standing::Claim(claim));
        Ok((standing, message.sequence))
    }

    /// Says a claim after what has this number, and after whatever came since that is no other coordinator's: the number
    /// that it gets.
    fn say_claim(&self, claim: &Claim, own: &Claim, after: u64) -> Result<u64> {
        say_over(own, after, |after| self.say_after(claim, after), || self.standing())
    }

    /// Says it after what has this number; `None`: something else stands there.
    fn say_after(&self, claim: &Claim, after: u64) -> Result<Option<u64>> {
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

/// Says something until it is taken: the number that it gets. Where it is refused, one looks what stands there: nothing, when
/// the server lost its store; what is unreadable; this one's own word, whose number did not arrive; or another's claim.
fn say_over(
    own: &Claim,
    mut after: u64,
    mut say: impl FnMut(u64) -> Result<Option<u64>>,
    mut look: impl FnMut() -> Result<(Standing, u64)>,
) -> Result<u64> {
    for _ in 0..MOST_REFUSALS {
        if let Some(sequence) = say(after)? {
            return Ok(sequence);
        }
        let (standing, sequence) = look()?;
        match standing {
            Standing::Claim(other) if other.plan.is_some() && other != *own => return Err(taken(&other)),
            _ => after = sequence,
        }
    }
    Err(FleetError::Server { what: "claim", why: format!("refused {MOST_REFUSALS} times in a row") })
}

fn taken(other: &Claim) -> FleetError {
    FleetError::Claimed(format!(
        "another coordinator hands out lanes at this server: process {} of {}, plan {}; a server has one at a time: wait until its run ends, end it, or use a server of its own",
        other.process,
        other.host,
        other.plan.map_or_else(String::new, |plan| plan.short())
    ))
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::format::Document as _;

    use super::*;

    fn claim(plan: Option<&str>, process: u32) -> Claim {
        let plan = plan.map(Digest::of);
        let (format, host) = (Claim::expected_format(), "desk".to_owned());
        Claim { format, plan, host, process, began_unix_ns: 0 }
    }

    #[test]
    fn who_is_refused_looks_again_and_takes_nobodys_place() {
        let own = claim(Some("one"), 1);
        // Twice something is written in between; what is taken is said after what stands there then.
        let (said, looks) = (std::cell::RefCell::new(Vec::new()), std::cell::Cell::new(10));
        let say = |refusals: usize| {
            let said = &said;
            move |after: u64| {
                said.borrow_mut().push(after);
                Ok((said.borrow().len() > refusals).then_some(99))
            }
        };
        let unreadable = || {
            looks.set(looks.get() + 1);
            Ok((Standing::Unreadable, looks.get()))
        };
        assert_eq!(say_over(&own, 5, say(2), unreadable).unwrap(), 99);
        assert_eq!(*said.borrow(), [5, 11, 12]);
        // What is never taken is no claim.
        said.borrow_mut().clear();
        let error = say_over(&own, 5, say(usize::MAX), unreadable).unwrap_err();
        assert!(error.is_remote() && error.to_string().contains("refused"), "{error}");
        assert_eq!(said.borrow().len(), MOST_REFUSALS);
        // Its own word, one that has ended, and a store that was lost are gone on from; another's is not.
        for standing in [Standing::Claim(own.clone()), Standing::Claim(claim(None, 2)), Standing::Nothing] {
            said.borrow_mut().clear();
            assert_eq!(say_over(&own, 5, say(1), || Ok((standing.clone(), 0))).unwrap(), 99);
        }
        for other in [claim(Some("another"), 2), claim(Some("one"), 2)] {
            said.borrow_mut().clear();
            let error = say_over(&own, 5, say(1), || Ok((Standing::Claim(other.clone()), 7))).unwrap_err();
            assert!(matches!(&error, FleetError::Claimed(why) if why.contains("process 2")), "{error}");
            assert_eq!(said.borrow().len(), 1);
        }
    }
}
