//! What was measured and counts for nothing: kept beside the run, named, and bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use edgemaxx_contract::fleet::{Fleet, Kept};
use edgemaxx_contract::run_files::{ENVIRONMENT_FILE, KEPT_FOLDER, SAMPLES_FILE, TELEMETRY_FILE};
use edgemaxx_fleet::Bundle;

use super::coordinator::Coordinator;
use super::lane::Lane;
use crate::error::{InFile as _, Result};
use crate::folder::RunFolder;

/// What is kept at most: beyond it the oldest goes of whoever has the most, and is counted.
#[derive(Debug, Clone, Copy)]
struct Most {
    entries: usize,
    bytes: u64,
}

/// Nobody fills the disk with what does not count, nor pushes out what others have there.
const MOST_KEPT: Most = Most { entries: 500, bytes: 256 << 20 };

impl Coordinator<'_> {
    /// Keeps what was measured of a lane beside the run, where it counts for nothing. Its log does; the answers that no
    /// other lane names go.
    pub(super) fn put_away(&mut self, number: u32, why: &str) -> Result<()> {
        let own = &self.state.lanes[number as usize];
        let (attempt, worker) = (own.attempt, own.worker.clone().unwrap_or_default());
        let file = format!("{KEPT_FOLDER}/lane-{number}-attempt-{attempt}");
        let lane = &mut self.lanes[number as usize];
        let begun = lane.head().is_some();
        let mut bytes = 0;
        if begun {
            let target = self.folder.file(&file);
            fs::create_dir_all(&target).in_file(&target)?;
            // The log last: while it is there, the lane is that attempt's.
            for name in [TELEMETRY_FILE, ENVIRONMENT_FILE, SAMPLES_FILE] {
                let path = lane.folder.file(name);
                if let Ok(found) = fs::metadata(&path) {
                    bytes += found.len();
                    fs::rename(&path, target.join(name)).in_file(&path)?;
                }
            }
            let named = lane.answers();
            lane.forget();
            let others: BTreeSet<_> = self.lanes.iter().flat_map(Lane::answers).collect();
            for answer in named.difference(&others) {
                let _ = fs::remove_file(self.folder.artefact(self.plan.task, answer));
            }
        }
        let file = begun.then_some(file);
        self.keep(Kept { lane: number, attempt, worker, why: why.to_owned(), file, bytes })
    }

    fn keep(&mut self, kept: Kept) -> Result<()> {
        if !self.state.kept.contains(&kept) {
            // Who sends so much is not told of each time: the log has a disk, too.
            if !self.state.forgotten.contains_key(&kept.worker) {
                self.progress.line(&format!(
                    "lane {}, attempt {}: kept and not counted: {}",
                    kept.lane, kept.attempt, kept.why
                ));
            }
            self.state.kept.push(kept);
            let gone = forget(&mut self.state, MOST_KEPT);
            self.save()?;
            gone.iter().try_for_each(|file| remove(self.folder, file))?;
        }
        Ok(())
    }

    /// Of a worker that has lost the lane: kept, named, never pooled.
    pub(super) fn keep_late(&mut self, worker: &str, bundle: &Bundle) -> Result<()> {
        let own = &self.state.lanes[bundle.lane as usize];
        let why = format!("it came of attempt {}, when attempt {} counted", bundle.attempt, own.attempt);
        if self.bounds.exceeded(bundle).is_some() {
            return self.keep_lines(worker, bundle, why, None);
        }
        let lines = self.text(worker, bundle.lines).ok();
        self.keep_lines(worker, bundle, why, lines.as_deref())
    }

    /// Of a worker whose words are not so: it measures nothing more of this run, whoever hands it out.
    pub(super) fn refuse(
        &mut self,
        worker: &str,
        bundle: &Bundle,
        why: String,
        lines: Option<&str>,
    ) -> Result<()> {
        self.state.barred.insert(worker.to_owned(), why.clone());
        self.save()?;
        self.keep_lines(worker, bundle, format!("refused: {why}"), lines)
    }

    fn keep_lines(&mut self, worker: &str, bundle: &Bundle, why: String, lines: Option<&str>) -> Result<()> {
        let (mut file, mut bytes) = (None, 0);
        if let Some(lines) = lines.filter(|lines| !lines.is_empty()) {
            let (lane, attempt, digest) = (bundle.lane, bundle.attempt, bundle.lines.digest.short());
            let name = format!("{KEPT_FOLDER}/lane-{lane}-attempt-{attempt}-{digest}.jsonl");
            let folder = self.folder.file(KEPT_FOLDER);
            fs::create_dir_all(&folder).in_file(&folder)?;
            self.folder.write(&name, lines)?;
            (file, bytes) = (Some(name), lines.len() as u64);
        }
        let (lane, attempt, worker) = (bundle.lane, bundle.attempt, worker.to_owned());
        self.keep(Kept { lane, attempt, worker, why, file, bytes })
    }
}

/// Takes out what is too much, and counts it: the files that nothing names any more.
fn forget(state: &mut Fleet, most: Most) -> Vec<String> {
    let mut gone = Vec::new();
    loop {
        let bytes: u64 = state.kept.iter().map(|kept| kept.bytes).sum();
        if state.kept.len() <= most.entries && bytes <= most.bytes {
            break;
        }
        let too_many = state.kept.len() > most.entries;
        let mut of: BTreeMap<&str, u64> = BTreeMap::new();
        for kept in &state.kept {
            *of.entry(&kept.worker).or_default() += if too_many { 1 } else { kept.bytes };
        }
        let Some(worker) = of.iter().max_by_key(|(_, much)| **much).map(|(worker, _)| *worker) else { break };
        let oldest = |kept: &Kept| kept.worker == worker && (too_many || kept.bytes > 0);
        let Some(at) = state.kept.iter().position(oldest) else { break };
        let kept = state.kept.remove(at);
        let forgotten = state.forgotten.entry(kept.worker).or_default();
        forgotten.entries += 1;
        forgotten.bytes += kept.bytes;
        gone.extend(kept.file);
    }
    gone.retain(|file| state.kept.iter().all(|kept| kept.file.as_ref() != Some(file)));
    gone
}

fn remove(folder: &RunFolder, file: &str) -> Result<()> {
    let path = folder.file(file);
    let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).in_file(&path),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::digest::Digest;
    use edgemaxx_contract::fleet::Forgotten;

    use super::*;

    #[test]
    fn who_sends_most_pushes_out_his_own_and_nobody_elses() {
        let mut state = Fleet::of(Digest::of("plan"), 1);
        let kept = |worker: &str, number: u64, bytes: u64| Kept {
            lane: 0,
            attempt: 1,
            worker: worker.to_owned(),
            why: "late".to_owned(),
            file: (bytes > 0).then(|| format!("kept/{worker}-{number}")),
            bytes,
        };
        let most = Most { entries: 10, bytes: 1000 };
        state.kept.push(kept("honest", 0, 300));
        let mut gone = Vec::new();
        for number in 0..50 {
            state.kept.push(kept("flood", number, 200));
            gone.extend(forget(&mut state, most));
        }
        // 300 of one, and the last three of the other.
        assert!(state.kept.contains(&kept("honest", 0, 300)));
        assert!(state.kept.contains(&kept("flood", 49, 200)) && state.kept.len() == 4, "{:?}", state.kept);
        assert_eq!(state.forgotten["flood"], Forgotten { entries: 47, bytes: 47 * 200 });
        assert_eq!((gone.len(), gone[0].as_str()), (47, "kept/flood-0"));
        // Without a byte, too.
        for number in 0..50 {
            state.kept.push(kept("words", number, 0));
            forget(&mut state, most);
        }
        assert_eq!(state.kept.len(), 10);
        assert!(state.kept.contains(&kept("honest", 0, 300)) && !state.forgotten.contains_key("honest"));
    }

    #[test]
    fn a_file_that_another_entry_names_stays() {
        let mut state = Fleet::of(Digest::of("plan"), 1);
        let kept = |why: &str| Kept {
            lane: 0,
            attempt: 1,
            worker: "worker".to_owned(),
            why: why.to_owned(),
            file: Some("kept/lines".to_owned()),
            bytes: 10,
        };
        state.kept.extend([kept("late"), kept("later")]);
        assert!(forget(&mut state, Most { entries: 1, bytes: 100 }).is_empty());
        assert_eq!(state.kept, [kept("later")]);
    }
}
