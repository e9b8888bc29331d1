//! The workers that a coordinator has heard of: who is there, who is silent, and whose machine does not fit.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use edgemaxx_contract::contest::{Device, DeviceKind};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::environment::{Confinement, Environment};
use edgemaxx_contract::shown_text::{line, shorten};
use edgemaxx_devices::{Ask, Pins, any_device, environment};
use edgemaxx_files::file_digest;
use edgemaxx_fleet::Host;
use edgemaxx_fleet::limits::{NAME_LETTERS, WHY_LETTERS};

use crate::error::{InFile as _, Result};
use crate::{build, fitness};

/// Most workers that are known, and most who are told of: whoever makes up names fills no memory.
const MOST: usize = 1024;

/// How often a worker says how it is.
pub(super) const BEAT: Duration = Duration::from_secs(2);

/// Who says something says it twice in this time, though nobody heard the first: two beats, and a second for the way.
const TWO_BEATS: Duration = Duration::from_secs(2 * BEAT.as_secs() + 1);

/// A worker as it was last heard of.
#[derive(Debug)]
pub(super) struct Known {
    /// What it said.
    pub(super) host: Host,
    /// When.
    pub(super) at: Instant,
}

/// What the server said of a worker that seems to be silent.
#[derive(Debug, Clone, Copy)]
struct Look {
    /// The number of its last word; `None`: the server has none of it.
    number: Option<u64>,
    at: Instant,
    /// Whether a look a while before found nothing older.
    silent: bool,
}

/// The workers.
#[derive(Debug, Default)]
pub(super) struct Roster {
    known: BTreeMap<String, Known>,
    looks: BTreeMap<String, Look>,
    /// What was told of whom.
    told: BTreeSet<(News, String)>,
}

/// What is told of a worker once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum News {
    /// What it says of itself is not its word.
    Unheard,
    /// What it sent is not its word.
    Uncounted,
    /// Its machine does not fit.
    Refused,
}

impl Roster {
    /// A worker has said how it is. One more than can be known is not heard; nor is one without a name that can be shown.
    pub(super) fn hear(&mut self, worker: &str, mut host: Host, at: Instant) {
        if self.known.len() >= MOST && !self.known.contains_key(worker) {
            return;
        }
        host.name = shorten(&line(&host.name), NAME_LETTERS);
        if let Some(failed) = host.doing.as_mut().and_then(|doing| doing.failure.as_mut()) {
            failed.why = shorten(&line(&failed.why), WHY_LETTERS);
        }
        self.looks.remove(worker);
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

    /// Whether nothing was heard for longer than `lease` of a worker, of whom one could have heard since `begun`.
    pub(super) fn seems_silent(&self, worker: &str, begun: Instant, lease: Duration) -> bool {
        self.known.get(worker).map_or(begun, |known| known.at.max(begun)).elapsed() > lease
    }

    /// Whether the server is to be asked for the last word of a worker that seems to be silent.
    pub(super) fn is_to_look(&self, worker: &str) -> bool {
        self.looks.get(worker).is_none_or(|look| !look.silent && look.at.elapsed() >= TWO_BEATS)
    }

    /// The server has the last word of a worker under this number, or none: whether it is a new one since it was looked for
    /// before.
    pub(super) fn looked(&mut self, worker: &str, number: Option<u64>, at: Instant) -> bool {
        let before = self.looks.get(worker).map(|look| look.number);
        let is_new = before.is_some_and(|before| number.is_some() && before != number);
        self.looks.insert(worker.to_owned(), Look { number, at, silent: before.is_some() && !is_new });
        is_new
    }

    /// Whether the server, too, has heard nothing of it.
    pub(super) fn is_silent(&self, worker: &str) -> bool {
        self.looks.get(worker).is_some_and(|look| look.silent)
    }

    /// Whether something is to be told of a worker: each once.
    pub(super) fn is_news(&mut self, news: News, worker: &str) -> bool {
        self.told.len() < MOST && self.told.insert((news, worker.to_owned()))
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
pub fn this_host(device: Option<u32>) -> Result<(Environment, Digest)> {
    let wanted = any_device();
    let ask = if wanted.kind == DeviceKind::Cpu { Ask::Only } else { Ask::from(device) };
    let chosen = fitness::choose(&wanted, ask, None)?;
    let pins = Pins { threads: 1, card: chosen.card().cloned() };
    let reason = "nothing was measured yet".to_owned();
    let environment =
        environment(build::build(), Confinement::Unsandboxed { reason }, None, &pins, Vec::new());
    let program = std::env::current_exe().in_file(std::path::Path::new("this program"))?;
    Ok((environment, file_digest(&program)?.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_said_something_that_nobody_heard_is_not_silent() {
        let mut roster = Roster::default();
        let long_ago = |ago: Duration| Instant::now().checked_sub(ago).unwrap_or_else(Instant::now);
        assert!(roster.is_to_look("a") && !roster.is_silent("a"));
        assert!(!roster.looked("a", Some(7), long_ago(2 * TWO_BEATS)), "one look shows nothing");
        assert!(!roster.is_silent("a"));
        assert!(roster.looked("a", Some(8), Instant::now()), "it has said something since");
        assert!(!roster.is_silent("a") && !roster.is_to_look("a"), "not so soon again");
        assert!(!roster.looked("a", Some(8), Instant::now()));
        assert!(roster.is_silent("a") && !roster.is_to_look("a"));
        // What is not its word is no sign of life, before its own and after it.
        for (worker, first) in [("c", Some(7)), ("d", None)] {
            assert!(!roster.looked(worker, first, Instant::now()) && !roster.is_silent(worker));
            assert!(!roster.looked(worker, None, Instant::now()) && roster.is_silent(worker));
        }
        assert!(roster.looked("d", Some(8), Instant::now()) && !roster.is_silent("d"));
        // Of others nothing is known.
        assert!(!roster.is_silent("b"));
    }

    #[test]
    fn made_up_names_fill_no_memory() {
        let mut roster = Roster::default();
        let mut is_news = |news, number: u32| roster.is_news(news, &number.to_string());
        assert!(is_news(News::Refused, 0) && !is_news(News::Refused, 0));
        assert!(is_news(News::Unheard, 0), "what was told of it is another matter");
        let news = (1..5000).filter(|number| is_news(News::Uncounted, *number)).count();
        assert_eq!(news, MOST - 2);
    }
}
