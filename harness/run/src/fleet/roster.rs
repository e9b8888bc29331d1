//! The workers that a coordinator has heard of: who is there, who may measure, and who may not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use edgemaxx_contract::contest::{Device, DeviceKind};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::environment::{Confinement, Environment};
use edgemaxx_devices::{Ask, Pins, environment};
use edgemaxx_files::file_digest;
use edgemaxx_fleet::Host;

use crate::error::{InFile as _, Result};
use crate::{build, fitness};

/// A worker as it was last heard of.
#[derive(Debug)]
pub(super) struct Known {
    /// What it said.
    pub(super) host: Host,
    /// When.
    pub(super) at: Instant,
}

/// The workers.
#[derive(Debug, Default)]
pub(super) struct Roster {
    known: BTreeMap<String, Known>,
    /// Who said what is not so, and gets no lane of this run.
    barred: BTreeSet<String>,
    /// Whose machine does not fit, and has been told of.
    told: BTreeSet<String>,
}

impl Roster {
    /// A worker has said how it is.
    pub(super) fn hear(&mut self, worker: &str, host: Host, at: Instant) {
        self.known.insert(worker.to_owned(), Known { host, at });
    }

    /// What a worker said last.
    pub(super) fn of(&self, worker: &str) -> Option<&Host> {
        self.known.get(worker).map(|known| &known.host)
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &Host)> {
        self.known.iter().map(|(worker, known)| (worker.as_str(), &known.host))
    }

    /// How long nothing was heard of a worker, of whom one could have heard since `begun`.
    pub(super) fn silence(&self, worker: &str, begun: Instant) -> Duration {
        self.known.get(worker).map_or(begun, |known| known.at.max(begun)).elapsed()
    }

    /// A worker gets no lane any more.
    pub(super) fn bar(&mut self, worker: &str) {
        self.barred.insert(worker.to_owned());
    }

    /// Whether it gets none.
    pub(super) fn is_barred(&self, worker: &str) -> bool {
        self.barred.contains(worker)
    }

    /// Whether a refusal is to be told of: once for each worker.
    pub(super) fn is_news(&mut self, worker: &str) -> bool {
        self.told.insert(worker.to_owned())
    }
}

/// What keeps a worker from a lane of a plan whose other lanes were measured on such a machine by such a program.
pub(super) fn unlike(
    host: &Host,
    device: &Device,
    like: Option<&Environment>,
    program: Option<Digest>,
) -> Option<String> {
    let own = of_kind(&host.environment, device.kind);
    if device.kind != DeviceKind::Cpu && own.card.as_ref().is_none_or(|card| card.kind != device.kind) {
        return Some("it has no card of the kind that the contest is for".to_owned());
    }
    if let Some((what, there, here)) = like.and_then(|like| like.other_machine(&own)) {
        return Some(format!("another {what} ({here}) than that of the lanes before ({there})"));
    }
    match program {
        Some(program) if program != host.program => Some(format!(
            "another engine (program {}) than that of the lanes before ({})",
            host.program.short(),
            program.short()
        )),
        _ => None,
    }
}

/// A machine as a contest for such devices sees it: one for the processor sees no card.
pub(super) fn of_kind(environment: &Environment, kind: DeviceKind) -> Environment {
    let mut own = environment.clone();
    if kind == DeviceKind::Cpu {
        own.card = None;
    }
    own
}

/// What this machine says it is, and the digest of this program; with this card, where it has several.
///
/// # Errors
/// It must be said which card is meant.
pub fn own_claim(device: Option<u32>) -> Result<(Environment, Digest)> {
    let wanted = fitness::any_device().device;
    let ask = if wanted.kind == DeviceKind::Cpu { Ask::Only } else { Ask::from(device) };
    let chosen = fitness::choose(&wanted, ask, None)?;
    let pins = Pins { threads: 1, card: chosen.card().cloned() };
    let reason = "nothing was measured yet".to_owned();
    let environment =
        environment(build::build(), Confinement::Unsandboxed { reason }, None, &pins, Vec::new());
    let program = std::env::current_exe().in_file(std::path::Path::new("this program"))?;
    Ok((environment, file_digest(&program)?.1))
}
