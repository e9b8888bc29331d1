//! What is said: documents, each signed by whoever says it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::document;
use edgemaxx_contract::environment::Environment;
use edgemaxx_contract::format::{Document, Format};
use serde::{Deserialize, Serialize};

use crate::content::Content;
use crate::error::{FleetError, Result};
use crate::key::Key;

/// A worker, as it says itself: em.host.WORKER.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Host {
    /// `edgemaxx-fleet-host`.
    #[serde(flatten)]
    pub format: Format,
    /// What its operator calls it.
    pub name: String,
    /// The machine, its card, its driver, and how its EdgeMaxx was built.
    pub environment: Environment,
    /// Digest of its program, which is its built-in engine, too.
    pub program: Digest,
    /// Room on the disk of its spool, bytes.
    pub free_bytes: u64,
    /// The lane that it measures; `None`: it is idle.
    pub doing: Option<Doing>,
}

/// How far a worker is with its lane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Doing {
    /// Digest of the run's plan.
    pub plan: Digest,
    /// The lane.
    pub lane: u32,
    /// Which attempt at it.
    pub attempt: u32,
    /// Sessions that ended.
    pub sessions: u32,
    /// Pairs that were asked.
    pub pairs: u32,
    /// Pairs in a minute of the time since it began or went on.
    pub pairs_per_minute: f64,
    /// Bytes of its log that the coordinator has not accepted yet.
    pub spool_bytes: u64,
    /// Content that it lacks.
    pub wants: Vec<Content>,
    /// Why it cannot go on by itself.
    pub failure: Option<Failed>,
}

/// Why a worker cannot measure its lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Failed {
    /// Whether another worker may do better: its disk is full, its card is gone.
    pub here_only: bool,
    /// Whether what the lease says is accepted is gone from its disk.
    pub lost: bool,
    /// In words.
    pub why: String,
}

/// What the coordinator wants of a worker: em.lease.WORKER.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Lease {
    /// `edgemaxx-fleet-lease`.
    #[serde(flatten)]
    pub format: Format,
    /// Whose it is: a worker takes no other's.
    pub worker: String,
    /// The lane that it is to measure; `None`: nothing.
    pub work: Option<Work>,
    /// The plan of a run that is done with this worker: what it holds of it can go.
    pub done: Option<Digest>,
}

/// A lane for a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Work {
    /// Digest of the run's plan.
    pub plan: Digest,
    /// The lane.
    pub lane: u32,
    /// Which attempt at it: what comes of an earlier one is late.
    pub attempt: u32,
    /// What is to be measured, and with what: an [`Inputs`].
    pub inputs: Content,
    /// The head of the lane's log in the run folder; `None`: nothing of it is there.
    pub accepted: Option<Digest>,
    /// The other lanes' logs as they stand in the run folder, where lanes decide together; else none.
    pub seen: Vec<Seen>,
    /// Begin no session after this moment, seconds since 1970-01-01 UTC.
    pub deadline: Option<u64>,
    /// Write no telemetry.
    pub no_telemetry: bool,
    /// Measure although the machine is not fit.
    pub allow_unfit: bool,
    /// Lock the card's clocks meanwhile.
    pub lock_clocks: bool,
}

/// Another lane's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The lane.
    pub lane: u32,
    /// Its log.
    pub log: Content,
}

/// The files that a lane is measured with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Inputs {
    /// `edgemaxx-fleet-inputs`.
    #[serde(flatten)]
    pub format: Format,
    /// The contest's folder, below the root that all paths are relative to.
    pub base: String,
    /// The files of the run folder.
    pub run: Vec<Input>,
    /// What the contest's paths name, below the root.
    pub files: Vec<Input>,
    /// Checkpoints that each host fetches from where they are published.
    pub sources: Vec<String>,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Its path, with `/`.
    pub path: String,
    /// What is in it.
    pub content: Content,
    /// Whether it is a program.
    pub program: bool,
}

/// Lines of a lane's log: em.result.WORKER.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Bundle {
    /// `edgemaxx-fleet-bundle`.
    #[serde(flatten)]
    pub format: Format,
    /// Digest of the run's plan.
    pub plan: Digest,
    /// The lane.
    pub lane: u32,
    /// Which attempt at it.
    pub attempt: u32,
    /// The head that the lines extend; `None`: they begin the log.
    pub from: Option<Digest>,
    /// The head that they lead to.
    pub head: Digest,
    /// The lines.
    pub lines: Content,
    /// The files of the answers that they name, but for those that were sent with an earlier one.
    pub answers: Vec<Answer>,
    /// The lane's `environment.json`.
    pub environment: Content,
    /// Whether the lane is measured to its end.
    pub last: bool,
    /// The lane's `telemetry.jsonl`, with the last lines, where it has any.
    pub telemetry: Option<Content>,
}

/// An answer that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// As the log names it.
    pub answer: Digest,
    /// Its file.
    pub file: Content,
}

document!(Host, "edgemaxx-fleet-host", 1);
document!(Lease, "edgemaxx-fleet-lease", 1);
document!(Inputs, "edgemaxx-fleet-inputs", 1);
document!(Bundle, "edgemaxx-fleet-bundle", 1);

/// A document as it is sent: its text, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// The document.
    pub text: String,
    /// Whose key signed it.
    pub by: String,
    /// The Ed25519 signature, in Base64, of the byte 0xFF, `edgemaxx-fleet`, the byte 0, and `text`.
    pub signature: String,
}

/// What stands before a document where it is signed. The same key answers the server's challenge, a text, which never holds
/// the first byte: nobody gets a document signed by asking who is there.
const PURPOSE: &[u8] = b"\xffedgemaxx-fleet\0";

/// The bytes that are signed.
fn signed(text: &str) -> Vec<u8> {
    [PURPOSE, text.as_bytes()].concat()
}

impl Signed {
    /// A document signed by a key.
    ///
    /// # Errors
    /// None of a whole key.
    pub fn of(document: &impl Document, key: &Key) -> Result<Self> {
        let text = document.to_json();
        let signature = STANDARD.encode(key.sign(&signed(&text))?);
        Ok(Self { text, by: key.name(), signature })
    }

    /// As it is sent.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Three strings are always JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The document of a message that `by` must have signed; of whoever says he did, where it is `None`.
    ///
    /// # Errors
    /// It is no such document, or somebody else's.
    pub fn open<T: Document>(bytes: &[u8], by: Option<&str>) -> Result<(T, Self)> {
        let bad = |why: String| FleetError::Message(why);
        let message: Self =
            serde_json::from_slice(bytes).map_err(|error| bad(format!("no message: {error}")))?;
        let by = by.unwrap_or(&message.by);
        let signature = STANDARD.decode(&message.signature).unwrap_or_default();
        if message.by != by || !Key::has_signed(by, &signed(&message.text), &signature) {
            return Err(bad(format!("signed by {}, and not by the key {by}", message.by)));
        }
        let document = T::from_json(&message.text).map_err(|error| bad(error.to_string()))?;
        Ok((document, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_of_the_key_that_signed_it_and_of_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let key = |name: &str| Key::create(&folder.path().join(name)).unwrap();
        let (own, other) = (key("own"), key("other"));
        let done = Some(Digest::of("plan"));
        let lease = Lease { format: Lease::expected_format(), worker: other.name(), work: None, done };
        let signed = Signed::of(&lease, &own).unwrap();
        let open = |signed: &Signed, by: &Key| Signed::open::<Lease>(&signed.to_bytes(), Some(&by.name()));
        assert_eq!(open(&signed, &own).unwrap().0, lease);
        assert!(open(&signed, &other).is_err());
        // Nor by saying so.
        let claimed = Signed { by: other.name(), ..signed.clone() };
        assert!(open(&claimed, &other).is_err() && open(&claimed, &own).is_err());
        let changed = Signed { text: signed.text.replace("null", "null "), ..signed.clone() };
        assert!(open(&changed, &own).is_err());
        // What the key signs for a server that asks who is there is no document.
        let signature = STANDARD.encode(own.sign(signed.text.as_bytes()).unwrap());
        assert!(open(&Signed { signature, ..signed }, &own).is_err());
    }
}
