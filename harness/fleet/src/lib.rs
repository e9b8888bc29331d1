//! Lanes on other hosts: what is said between a coordinator and its workers, through NATS JetStream.
//!
//! A worker is one card of one host, and measures one lane of a run at a time, with the very program that measures lanes
//! on one host. **The queue carries; it holds nothing that is not elsewhere.** What was measured stands in the worker's
//! spool until the coordinator has it in the run folder; who has which lane stands in the run folder (`fleet.json`). So a
//! server that lost its store loses nothing: streams are made again, and both sides say again what stands.
//!
//! Everything is said as a state, and not as a change of one, so it may be lost, doubled or come late:
//! ```text
//! em.host.WORKER          the worker: who I am, what I measure, how far I am        last one kept   EM_HOST
//! em.lease.WORKER         the coordinator: measure this lane, attempt N; this head is in the run folder    EM_LEASE
//! em.result.WORKER        the worker: these lines extend that head                  work queue      EM_RESULT
//! em.input.SHA256.N       the coordinator's bytes by their digest, in parts: checkpoints, logs     EM_INPUT
//! em.part.WORKER.SHA256.N a worker's: lines, answers; each part signed for its place               EM_PART
//! em.lease.coordinator    who hands lanes out at this server                                       EM_LEASE
//! ```
//! A lane's log is one chain, so the chain is the key by which a result counts once: a [`Bundle`] names the head that its
//! lines extend and the head that they lead to. What does not extend the lane's head as it stands is a repetition (and is
//! compared), is ahead (and is sent again from the head that the lease names), or is refused. The number of the attempt is
//! the fence: it grows whenever a lane goes to another worker, and what comes of an earlier attempt is kept beside the
//! run, named, and never pooled. A lane that is handed over is measured anew, since a lane is one card of one host.
//!
//! Nobody fills anything: [`limits`] bounds what each may send, and each stream what the server holds of it. One coordinator
//! hands out lanes at a server ([`Claimant`]).
//!
//! Workers sign what they say with the key that lets them in at the server, which lets each write under its own name
//! only ([`server_config::configuration`]).

#![forbid(unsafe_code)]

mod connection;
mod content;
mod error;
mod key;
pub mod limits;
mod message;
mod one_coordinator;
mod parts;
pub mod server_config;
mod streams;
mod subject;
#[cfg(test)]
mod trials;

pub use connection::{Place, Queue, Received, Side};
pub use content::{Content, PART_BYTES};
pub use error::{FleetError, Result};
pub use key::Key;
pub use message::{Answer, Bundle, Doing, Failed, Host, Input, Inputs, Lease, Seen, Signed, Work};
pub use one_coordinator::{Claim, Claimant};
pub use streams::Room;
