//! Publishing what workers lack: each content once at a time, however long it takes and however often it is asked for.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use edgemaxx_fleet::{Content, Queue};

use super::inputs::Stored;

/// How long after it was published content is published again that is still lacked: the server may have lost it.
const AGAIN: Duration = Duration::from_secs(15);

/// Most contents whose state is remembered: those of a run, and logs that grow.
const MOST_REMEMBERED: usize = 100_000;

/// When each content was published; `None`: it waits, or is being sent.
type Published = Arc<Mutex<BTreeMap<Content, Option<Instant>>>>;

/// Takes wishes, and waits for nothing.
pub(super) struct Publisher {
    wishes: Sender<(Content, Stored)>,
    published: Published,
}

/// Publishes, one after the other, on a thread of its own.
pub(super) struct Publishing {
    wishes: Receiver<(Content, Stored)>,
    published: Published,
}

/// Both ends.
pub(super) fn publisher() -> (Publisher, Publishing) {
    let (say, wishes) = channel();
    let published = Published::default();
    (Publisher { wishes: say, published: published.clone() }, Publishing { wishes, published })
}

impl Publisher {
    /// Has some content published that somebody lacks, unless it is on its way.
    pub(super) fn wish(&self, content: Content, stored: impl FnOnce() -> Option<Stored>) {
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = match published.get(&content) {
            Some(None) => true,
            Some(Some(at)) => at.elapsed() < AGAIN,
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
}

impl Publishing {
    /// Publishes what is wished for, until nobody can wish any more.
    pub(super) fn run(self, queue: &Queue) {
        for (content, stored) in self.wishes {
            // Whoever still lacks it says so again.
            let _ = stored.open().map(|mut reader| queue.publish_from(&mut *reader, content));
            let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
            published.insert(content, Some(Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_its_way_is_not_sent_again_however_long_that_takes() {
        let (publisher, publishing) = publisher();
        let content = Content::of(b"weights");
        let wish = || publisher.wish(content, || Some(Stored::Bytes(b"weights".to_vec())));
        let sent = |at: Option<Instant>| {
            publishing.published.lock().unwrap().insert(content, at);
        };
        publisher.wish(content, || None);
        assert!(publishing.wishes.try_recv().is_err(), "nobody has it");
        wish();
        assert!(publishing.wishes.try_recv().is_ok());
        wish();
        assert!(publishing.wishes.try_recv().is_err(), "it is being sent");
        sent(Some(Instant::now()));
        wish();
        assert!(publishing.wishes.try_recv().is_err(), "it has just been sent");
        if let Some(long_ago) = Instant::now().checked_sub(AGAIN) {
            sent(Some(long_ago));
            wish();
            assert!(publishing.wishes.try_recv().is_ok(), "the server may have lost it");
        }
    }
}
