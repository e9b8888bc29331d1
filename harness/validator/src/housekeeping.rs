//! Room on the disk: what of old days is not needed again is removed, by policy.
//!
//! Only of sealed days, and never what a later check of a published day reads: derived checkpoints can be derived and
//! fetched ones fetched again, and answers go only where every place that days are published to holds them.
//! Whatever is interrupted is finished the next time.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use edgemaxx_contract::day::{DAY_FILE, DayRecord};
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::Day;
use edgemaxx_contract::run_files::{ARTEFACTS_FOLDER, CHECKPOINTS_FOLDER};
use edgemaxx_seal::manifest::{self, Manifest, SealedFile, sealed_days};

use crate::calendar::days_between;

/// How many days before the current one are kept whole; `None`: all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// `keep_checkpoints_days`: derived checkpoints, and fetched ones that no later day used.
    pub checkpoints_days: Option<u32>,
    /// `keep_answers_days`: answers.
    pub answers_days: Option<u32>,
}

impl Default for Keep {
    fn default() -> Self {
        Self { checkpoints_days: Some(3), answers_days: Some(30) }
    }
}

/// What housekeeping needs to know of the world.
pub trait Places {
    /// Whether this file of a sealed day is at every place that days are published to, and there is such a place.
    fn hold(&mut self, day: &Day, file: &SealedFile) -> bool;

    /// Removes what was fetched of a source; the bytes made free.
    ///
    /// # Errors
    /// In words; it is tried again the next time.
    fn forget(&mut self, source: &str) -> Result<u64, String>;
}

/// A sealed day on this disk.
struct Sealed {
    day: Day,
    folder: PathBuf,
    /// Days before the current one.
    age: u32,
    sources: BTreeSet<String>,
}

/// Removes what is older than `keep` from the days in `days`, seen from `today`; what was done and what could not be
/// done, in words for the journal.
pub fn tidy(days: &Path, today: &Day, keep: Keep, places: &mut dyn Places) -> Vec<String> {
    let all = sealed(days, today);
    let mut said = Vec::new();
    if let Some(kept) = keep.checkpoints_days {
        let (old, recent): (Vec<&Sealed>, Vec<&Sealed>) = all.iter().partition(|day| day.age > kept);
        for day in &old {
            match remove_folder(&day.folder, CHECKPOINTS_FOLDER) {
                Ok(0) => {}
                Ok(bytes) => {
                    said.push(format!("removed {} of derived checkpoints of {}", size(bytes), day.day))
                }
                Err(error) => said.push(format!("checkpoints of {} stay: {error}", day.day)),
            }
        }
        let wanted: BTreeSet<&String> = recent.iter().flat_map(|day| &day.sources).collect();
        let gone: BTreeSet<&String> = old.iter().flat_map(|day| &day.sources).collect();
        for source in gone.difference(&wanted) {
            match places.forget(source) {
                Ok(0) => {}
                Ok(bytes) => said.push(format!("removed {} fetched of {source}", size(bytes))),
                Err(error) => said.push(format!("{source} stays: {error}")),
            }
        }
    }
    if let Some(kept) = keep.answers_days {
        for day in all.iter().filter(|day| day.age > kept) {
            match remove_answers(day, places) {
                Ok((0, _)) => {}
                Ok((n, bytes)) => {
                    said.push(format!("removed {n} published answers ({}) of {}", size(bytes), day.day));
                }
                Err(error) => said.push(format!("answers of {} stay: {error}", day.day)),
            }
        }
    }
    said
}

/// The sealed days before `today`, oldest first. What cannot be read is nothing to tidy.
fn sealed(days: &Path, today: &Day) -> Vec<Sealed> {
    sealed_days(days)
        .into_iter()
        .filter_map(|day| {
            let folder = days.join(day.to_string());
            manifest::read(&folder).ok()?;
            let age = days_between(&day, today).ok().filter(|age| *age >= 0)? as u32;
            let text = fs::read_to_string(folder.join(DAY_FILE)).ok()?;
            let record = DayRecord::from_json(&text).ok()?;
            let sources = record.submissions.into_iter().map(|submission| submission.source).collect();
            Some(Sealed { day, folder, age, sources })
        })
        .collect()
}

/// Removes a folder inside a day's; the bytes made free. It has another name first, so that nobody takes half of it
/// for whole.
fn remove_folder(day: &Path, name: &str) -> std::io::Result<u64> {
    let (folder, trash) = (day.join(name), day.join(format!(".{name}.removed")));
    let mut bytes = 0;
    // What an earlier try left.
    if trash.is_dir() {
        bytes += bytes_in(&trash)?;
        fs::remove_dir_all(&trash)?;
    }
    if folder.is_dir() {
        bytes += bytes_in(&folder)?;
        fs::rename(&folder, &trash)?;
        fs::remove_dir_all(&trash)?;
    }
    Ok(bytes)
}

fn bytes_in(folder: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() { bytes_in(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}

/// Removes the answers of a day that are published, and those that no seal holds; how many, and their bytes.
fn remove_answers(day: &Sealed, places: &mut dyn Places) -> std::io::Result<(u32, u64)> {
    let artefacts = day.folder.join(ARTEFACTS_FOLDER);
    if !artefacts.is_dir() {
        return Ok((0, 0));
    }
    let manifest: Manifest = match manifest::read(&day.folder) {
        Ok((manifest, _)) => manifest,
        Err(error) => return Err(std::io::Error::other(error)),
    };
    let mut removed = (0, 0);
    for entry in fs::read_dir(&artefacts)? {
        let entry = entry?;
        let path = format!("{ARTEFACTS_FOLDER}/{}", entry.file_name().to_string_lossy());
        let published = match manifest.file(&path) {
            Some(sealed) => places.hold(&day.day, sealed),
            None => true,
        };
        if published && entry.file_type()?.is_file() {
            removed = (removed.0 + 1, removed.1 + entry.metadata()?.len());
            fs::remove_file(entry.path())?;
        }
    }
    Ok(removed)
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::digest::Digest;

    use super::*;

    /// A published copy in a folder, and a cache of sources.
    struct World {
        copy: PathBuf,
        cache: BTreeSet<String>,
        asked: usize,
    }

    impl Places for World {
        fn hold(&mut self, day: &Day, file: &SealedFile) -> bool {
            self.asked += 1;
            manifest::check_file(&self.copy.join(day.to_string()), file).is_ok()
        }

        fn forget(&mut self, source: &str) -> Result<u64, String> {
            if source.contains("stuck") {
                return Err("busy".to_owned());
            }
            Ok(if self.cache.remove(source) { 5_000_000_000 } else { 0 })
        }
    }

    fn day(days: &Path, name: &str, sources: &[&str], seal_it: bool) -> PathBuf {
        let folder = days.join(name);
        let write = |path: &str, text: &str| {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let submissions: Vec<_> = sources
            .iter()
            .map(|source| {
                serde_json::json!({"hotkey": source, "uid": null, "since": 1, "index": null, "source": source,
                    "fate": {"invalid": {"reason": ""}}})
            })
            .collect();
        let record = serde_json::json!({
            "format": "edgemaxx-day", "version": 2, "day": name, "netuid": 1, "validator": "v",
            "closed_unix_s": 0, "block": null, "registered": [], "submissions": submissions,
            "undecoded": [], "not_measured": null,
        });
        write(DAY_FILE, &record.to_string());
        write("checkpoints/a/unet/w.safetensors", "derived");
        write("artefacts/loose.png", "no seal holds it");
        write("artefacts/sealed.png", "an answer");
        if seal_it {
            let mut manifest = manifest::seal(&folder, &name.parse().unwrap(), None, None).unwrap();
            // As a judged answer would be: sealing takes them from quality.jsonl.
            manifest.files.push(SealedFile {
                path: "artefacts/sealed.png".to_owned(),
                bytes: 9,
                digest: Digest::of("an answer"),
            });
            write("manifest.json", &manifest.to_json());
        }
        folder
    }

    #[test]
    fn old_sealed_days_lose_what_can_be_had_again_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let (days, copy) = (dir.path().join("days"), dir.path().join("site"));
        let all = ["hf:a/a@1", "hf:b/b@1", "hf:stuck/x@1"];
        let old = day(&days, "2026-11-01", &all, true);
        let unsealed = day(&days, "2026-11-02", &["hf:c/c@1"], false);
        let recent = day(&days, "2026-11-19", &["hf:b/b@1"], true);
        let today = day(&days, "2026-11-22", &[], true);
        let cache = all.iter().chain(&["hf:c/c@1"]).map(|source| (*source).to_owned()).collect();
        let mut world = World { copy: copy.clone(), cache, asked: 0 };
        let keep = Keep { checkpoints_days: Some(3), answers_days: Some(7) };
        let tidy = |world: &mut World| super::tidy(&days, &"2026-11-22".parse().unwrap(), keep, world);

        // Not published: the sealed answer stays. Half removed by an earlier, killed try: finished.
        fs::create_dir_all(old.join(".checkpoints.removed/b")).unwrap();
        fs::write(old.join(".checkpoints.removed/b/w"), "x").unwrap();
        let said = tidy(&mut world);
        assert!(!old.join("checkpoints").exists() && !old.join(".checkpoints.removed").exists(), "{said:?}");
        assert!(old.join("artefacts/sealed.png").exists() && !old.join("artefacts/loose.png").exists());
        for folder in [&unsealed, &recent, &today] {
            assert!(folder.join("checkpoints").exists() && folder.join("artefacts/loose.png").exists());
        }
        let left: Vec<&str> = world.cache.iter().map(String::as_str).collect();
        assert_eq!(left, ["hf:b/b@1", "hf:c/c@1", "hf:stuck/x@1"], "in use, of an open day, busy");
        assert!(said.iter().any(|line| line == "removed 5.0 GB fetched of hf:a/a@1"), "{said:?}");
        assert!(said.iter().any(|line| line == "hf:stuck/x@1 stays: busy"), "{said:?}");

        // Published, but not the same bytes: stays. Then the same: goes. The seal stays as it was.
        let published = copy.join("2026-11-01/artefacts/sealed.png");
        fs::create_dir_all(published.parent().unwrap()).unwrap();
        fs::write(&published, "another answer").unwrap();
        tidy(&mut world);
        assert!(old.join("artefacts/sealed.png").exists());
        fs::write(&published, "an answer").unwrap();
        let said = tidy(&mut world);
        assert!(said.iter().any(|line| line.starts_with("removed 1 published answers")), "{said:?}");
        assert!(!old.join("artefacts/sealed.png").exists() && manifest::read(&old).is_ok());
        assert!(tidy(&mut world).iter().all(|line| line.contains("stuck")), "nothing is left to do");

        // Forever is for ever.
        let forever = Keep { checkpoints_days: None, answers_days: None };
        let far = "2030-01-01".parse().unwrap();
        assert_eq!(super::tidy(&days, &far, forever, &mut world), Vec::<String>::new());
    }
}
