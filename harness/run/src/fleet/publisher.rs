//! Publishing what workers lack: each content once at a time, however long it takes and however often it is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use edgemaxx_fleet::{Content, FleetError};

use super::inputs::Stored;

/// How long after it was published content is published again that is still lacked: the server may have lost it.
const AGAIN: Duration = Duration::from_secs(15);

/// Most contents whose state is remembered: those of a run, and logs that grow.
const MOST_REMEMBERED: usize = 100_000;

/// Most failures that are told of; what else fails is tried again without a word.
const MOST_TOLD: usize = 100;

/// What both ends know.
#[derive(Default)]
struct Shared {
    /// When each content was published; `None`: it waits, or is being sent.
    published: Mutex<BTreeMap<Content, Option<Instant>>>,
    failures: Mutex<Failures>,
    /// Nobody waits for any of it any more.
    ended: AtomicBool,
}

/// What went wrong, each of it once, and what of it was not told yet.
#[derive(Default)]
struct Failures {
    all: BTreeSet<String>,
    new: Vec<String>,
}

/// Takes wishes, and waits for nothing.
pub(super) struct Publisher {
    wishes: Sender<(Content, Stored)>,
    shared: Arc<Shared>,
}

/// Publishes, one after the other, on a thread of its own.
pub(super) struct Publishing {
    wishes: Receiver<(Content, Stored)>,
    shared: Arc<Shared>,
}

/// Both ends.
pub(super) fn publisher() -> (Publisher, Publishing) {
    let (say, wishes) = channel();
    let shared = Arc::<Shared>::default();
    (Publisher { wishes: say, shared: shared.clone() }, Publishing { wishes, shared })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Publisher {
    /// Has some content published that somebody lacks, unless it is on its way.
    pub(super) fn wish(&self, content: Content, stored: impl FnOnce() -> Option<Stored>) {
        self.wish_at(Instant::now(), content, stored);
    }

    fn wish_at(&self, now: Instant, content: Content, stored: impl FnOnce() -> Option<Stored>) {
        let mut published = lock(&self.shared.published);
        let waits = match published.get(&content) {
            Some(None) => true,
            Some(Some(at)) => now.saturating_duration_since(*at) < AGAIN,
            None => false,
        };
        if waits {
            return;
        }
        if let Some(stored) = stored() {
            if published.len() >= MOST_REMEMBERED {
                published.retain(|_, at| at.is_none());
            }
            published.insert(content, None);
            let _ = self.wishes.send((content, stored));
        }
    }

    /// Why something was not published, each reason once.
    pub(super) fn failures(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.shared.failures).new)
    }
}

/// What was wished for and not sent yet is not wished for any more: neither is the rest of what is being sent.
impl Drop for Publisher {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
    }
}

impl Publishing {
    /// Has `publish` send what is wished for, until nobody wishes any more.
    pub(super) fn run(self, mut publish: impl FnMut(Content, &mut dyn Read) -> Result<(), FleetError>) {
        let Self { wishes, shared } = self;
        for (content, stored) in wishes {
            let sent = match stored.open() {
                Ok(bytes) => publish(content, &mut Wished { bytes, shared: &shared }),
                Err(error) => Err(FleetError::Message(format!("{}: {error}", stored.place()))),
            };
            if shared.ended.load(Ordering::Relaxed) {
                return;
            }
            // Whoever still lacks it says so again.
            if let Err(error) = sent {
                let mut failures = lock(&shared.failures);
                let words = error.to_string();
                if failures.all.len() < MOST_TOLD && failures.all.insert(words.clone()) {
                    failures.new.push(words);
                }
            }
            lock(&shared.published).insert(content, Some(Instant::now()));
        }
    }
}

/// Bytes that end with an error when nobody wishes for them any more.
struct Wished<'a> {
    bytes: Box<dyn Read + 'a>,
    shared: &'a Shared,
}

impl Read for Wished<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.shared.ended.load(Ordering::Relaxed) {
            true => Err(io::Error::other("nobody waits for it any more")),
            false => self.bytes.read(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(publisher: &Publisher, text: &str) -> Content {
        let content = Content::of(text.as_bytes());
        publisher.wish(content, || Some(Stored::Bytes(text.as_bytes().to_vec())));
        content
    }

    #[test]
    fn what_is_on_its_way_is_not_sent_again_however_long_that_takes() {
        let (publisher, publishing) = publisher();
        let content = Content::of(b"weights");
        let now = Instant::now();
        let wish = |at: Instant| publisher.wish_at(at, content, || Some(Stored::Bytes(b"weights".to_vec())));
        let sent = |at: Option<Instant>| {
            lock(&publishing.shared.published).insert(content, at);
        };
        publisher.wish(content, || None);
        assert!(publishing.wishes.try_recv().is_err(), "nobody has it");
        wish(now);
        assert!(publishing.wishes.try_recv().is_ok());
        wish(now + AGAIN);
        assert!(publishing.wishes.try_recv().is_err(), "it is being sent");
        sent(Some(now));
        wish(now);
        assert!(publishing.wishes.try_recv().is_err(), "it has just been sent");
        wish(now + AGAIN);
        assert!(publishing.wishes.try_recv().is_ok(), "the server may have lost it");
    }

    #[test]
    fn what_cannot_be_sent_is_told_once_and_does_not_end_it() {
        let (publisher, publishing) = publisher();
        let gone = Content::of(b"gone");
        publisher.wish(gone, || Some(Stored::File("/nowhere/model".into())));
        let [first, second, third] = ["first", "second", "third"].map(|text| weights(&publisher, text));
        let mut publisher = Some(publisher);
        let (mut sent, mut told) = (Vec::new(), Vec::new());
        publishing.run(|content, _| {
            sent.push(content);
            match content == third {
                // All before it are done with; the last of them was sent.
                true => told = publisher.take().map(|publisher| publisher.failures()).unwrap_or_default(),
                false if content == second => {}
                false => return Err(FleetError::Absent(first.digest)),
            }
            Ok(())
        });
        assert_eq!(sent, [first, second, third]);
        assert!(told.len() == 2 && told[0].starts_with("/nowhere/model: "), "{told:?}");
        assert!(told[1].contains("holds no content"), "{told:?}");
    }

    #[test]
    fn who_ends_waits_neither_for_what_is_queued_nor_for_the_rest_of_what_is_sent() {
        let (publisher, publishing) = publisher();
        let under_way = weights(&publisher, "gigabytes");
        weights(&publisher, "more gigabytes");
        let mut publisher = Some(publisher);
        let mut sent = Vec::new();
        publishing.run(|content, reader| {
            sent.push(content);
            assert_eq!(reader.read(&mut [0; 4]).unwrap(), 4);
            publisher = None;
            assert!(reader.read(&mut [0; 4]).is_err());
            Ok(())
        });
        assert_eq!(sent, [under_way]);
    }
}
