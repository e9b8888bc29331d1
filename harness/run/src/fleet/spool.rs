//! The room that a worker takes on its disk: what nobody came back for goes, the longest unused first.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use edgemaxx_devices::cpu::free_bytes;
use edgemaxx_fleet::Content;

use super::inputs::cached;
use crate::error::{Class, InFile as _, Result, RunError};

/// How long a lane is kept that no coordinator came back for, and content that none needed.
const KEEP: Duration = Duration::from_secs(14 * 24 * 3600);

/// Most lanes that are kept though no coordinator came back for them.
const MOST_LANES: usize = 8;

/// Room on the disk that content leaves free: what is measured needs some.
const LEAVE_FREE: u64 = 1 << 30;

/// What is in a folder, the oldest first.
fn by_age(folder: &Path) -> Vec<(SystemTime, PathBuf, Metadata)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let found = entry.metadata().ok()?;
            Some((found.modified().ok()?, entry.path(), found))
        })
        .collect();
    found.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
    found
}

/// Removes what nobody came back for.
pub(super) fn forget_old(spool: &Path) {
    let old = |at: &SystemTime| SystemTime::now().duration_since(*at).is_ok_and(|age| age > KEEP);
    for (_, path, _) in by_age(&spool.join("lanes")) {
        let log = fs::metadata(path.join("measure.log")).and_then(|found| found.modified());
        if log.is_ok_and(|at| old(&at)) {
            let _ = fs::remove_dir_all(path);
        }
    }
    for (at, path, _) in by_age(&spool.join("content")) {
        if old(&at) {
            let _ = fs::remove_file(path);
        }
    }
}

/// Removes all but the latest lanes before another is begun at `place`.
pub(super) fn make_room_for_lane(spool: &Path, place: &Path) {
    let others = by_age(&spool.join("lanes"));
    let others: Vec<PathBuf> =
        others.into_iter().map(|(_, path, _)| path).filter(|path| path != place).collect();
    for path in &others[..others.len().saturating_sub(MOST_LANES - 1)] {
        let _ = fs::remove_dir_all(path);
    }
}

/// Makes room for content in `cache`, where all of it is to weigh `most` bytes at most: what of it is not needed goes, the
/// longest unused first. What is needed is used now.
///
/// # Errors
/// There is no room for what is needed.
pub(super) fn make_room(cache: &Path, needed: &[Content], most: u64) -> Result<()> {
    fs::create_dir_all(cache).in_file(cache)?;
    let names: BTreeSet<PathBuf> = needed.iter().map(|content| cached(cache, &content.digest)).collect();
    for path in &names {
        // What is not there yet, or cannot be marked, is as old as it is.
        let _ = File::options().append(true).open(path).and_then(|file| file.set_modified(SystemTime::now()));
    }
    let different: BTreeSet<&Content> = needed.iter().collect();
    let whole: u64 = different.iter().map(|content| content.bytes).sum();
    let missing = different.iter().filter(|content| !cached(cache, &content.digest).exists());
    let missing: u64 = missing.map(|content| content.bytes).sum();
    let others: Vec<_> = by_age(cache).into_iter().filter(|(_, path, _)| !names.contains(path)).collect();
    let mut held: u64 = others.iter().map(|(_, _, found)| found.len()).sum();
    let mut free = free_bytes(cache).unwrap_or(u64::MAX);
    for (_, path, found) in others {
        if held + whole <= most && (missing == 0 || free >= missing.saturating_add(LEAVE_FREE)) {
            break;
        }
        fs::remove_file(&path).in_file(&path)?;
        held -= found.len();
        free = free.saturating_add(found.len());
    }
    // A disk without this room is seen when it is full, too; one that is to be spared is not.
    if whole > most {
        return Err(RunError::of(
            Class::Environment,
            format!(
                "what the lane is measured with has {whole} bytes, more than --cache-gib allows ({most})"
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(cache: &Path, text: &str, age_s: u64) -> Content {
        let content = Content::of(text.as_bytes());
        let path = cached(cache, &content.digest);
        fs::write(&path, text).unwrap();
        let at = SystemTime::now() - Duration::from_secs(age_s);
        File::options().append(true).open(&path).unwrap().set_modified(at).unwrap();
        content
    }

    #[test]
    fn what_was_used_last_stays_though_it_was_fetched_first() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path();
        let (fetched_first, fetched_later) = (put(cache, "0123456789", 300), put(cache, "abcdefghij", 200));
        make_room(cache, &[fetched_first], 1 << 20).unwrap();
        make_room(cache, &[Content::of(b"another....")], 25).unwrap();
        assert!(cached(cache, &fetched_first.digest).exists());
        assert!(!cached(cache, &fetched_later.digest).exists());
    }

    #[test]
    fn the_oldest_content_goes_that_no_lane_needs() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path();
        let put = |text: &str, age_s: u64| put(cache, text, age_s);
        let (oldest, older, needed) =
            (put("0123456789", 300), put("abcdefghij", 200), put("needed....", 400));
        let is_there = |content: &Content| cached(cache, &content.digest).exists();
        let wanted = Content::of(b"not here yet");
        make_room(cache, &[needed, wanted, wanted], 32).unwrap();
        assert!(!is_there(&oldest) && is_there(&older) && is_there(&needed));
        make_room(cache, &[needed, wanted], 32).unwrap();
        assert!(is_there(&older), "there is room for all");
        let words = make_room(cache, &[needed, wanted], 21).unwrap_err().words();
        assert!(words.contains("--cache-gib") && !is_there(&older) && is_there(&needed), "{words}");
    }

    #[test]
    fn lanes_that_nobody_came_back_for_are_few() {
        let folder = tempfile::tempdir().unwrap();
        let lane = |number: u64| folder.path().join("lanes").join(format!("{number:02}"));
        for number in 0..20 {
            fs::create_dir_all(lane(number)).unwrap();
            let at = SystemTime::now() - Duration::from_secs(1000 - number);
            fs::File::open(lane(number)).unwrap().set_modified(at).unwrap();
        }
        // The one that is gone on with stays, however old.
        make_room_for_lane(folder.path(), &lane(0));
        let left: Vec<u64> = (0..20).filter(|number| lane(*number).exists()).collect();
        assert_eq!(left, [0, 13, 14, 15, 16, 17, 18, 19]);
    }
}
