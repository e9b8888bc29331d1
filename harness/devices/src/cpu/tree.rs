//! Memory and page faults of the engines' processes.

use std::collections::BTreeMap;

use edgemaxx_contract::telemetry::{Reading, TreeReading};

use super::usage::{pss_bytes, tree_usage};
use crate::source::{Moment, Source};

/// The shared part of memory is divided in the third reading of an engine, mostly while it loads
/// or warms up, and then once in so many: the kernel walks all of its pages for it.
const PSS_EVERY: u64 = 60;
const PSS_FIRST: u64 = 2;

/// Reads `/proc`.
#[derive(Debug, Default)]
pub struct TreeSource {
    /// Readings so far by root process.
    turns: BTreeMap<u32, u64>,
}

impl Source for TreeSource {
    fn read(&mut self, moment: &Moment<'_>, into: &mut Vec<Reading>) {
        self.turns.retain(|root, _| moment.watched.iter().any(|watched| watched.root == *root));
        for watched in moment.watched {
            let Some(usage) = tree_usage(watched.root).filter(|usage| !usage.processes.is_empty()) else {
                continue;
            };
            let turn = self.turns.entry(watched.root).or_default();
            let divided = *turn % PSS_EVERY == PSS_FIRST;
            *turn += 1;
            into.push(Reading::Tree(TreeReading {
                at_ns: (moment.now_ns)(),
                session: watched.session,
                launch: watched.launch,
                side: watched.side,
                processes: u32::try_from(usage.processes.len()).unwrap_or(u32::MAX),
                rss_bytes: usage.rss_bytes,
                pss_bytes: if divided { pss_bytes(&usage.processes) } else { None },
                minor_faults: usage.minor_faults,
                major_faults: usage.major_faults,
            }));
        }
    }
}
