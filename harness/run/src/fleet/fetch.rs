//! What a lane needs, fetched onto a worker's disk, and what the other lanes of its run have measured.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::run_files::{SAMPLES_FILE, of_lane};
use edgemaxx_fleet::{Content, FleetError, Inputs, Queue};
use edgemaxx_hub::Source;

use super::inputs::{cached, put};
use super::spool::{make_room, make_room_for_lane};
use crate::error::{InFile as _, Result};
use crate::folder::RunFolder;
use crate::hub;
use crate::progress::Silent;

/// Fetches all that a lane needs, and puts it in its place; `None`: some of it is to be published first.
pub(super) fn ready(
    queue: &Queue,
    (spool, cache_bytes): (&Path, u64),
    place: &Path,
    inputs: Content,
    wants: &Mutex<BTreeSet<Content>>,
) -> Result<Option<RunFolder>> {
    let cache = &spool.join("content");
    let fetch = &|content: Content, path: &Path| queue.fetch_file(None, content, path);
    make_room_for_lane(spool, place);
    make_room(cache, &[inputs], cache_bytes)?;
    if !fetch_all(fetch, cache, &[inputs], wants)? {
        return Ok(None);
    }
    let path = cached(cache, &inputs.digest);
    let list = Inputs::from_json(&fs::read_to_string(&path).in_file(&path)?).in_file(&path)?;
    let files: Vec<Content> = list.run.iter().chain(&list.files).map(|file| file.content).collect();
    make_room(cache, &[files.as_slice(), &[inputs]].concat(), cache_bytes)?;
    if !fetch_all(fetch, cache, &files, wants)? {
        return Ok(None);
    }
    for source in &list.sources {
        let source: Source = source.parse()?;
        hub::fetch(&source, &Silent)?;
    }
    put(&list, cache, place).map(Some)
}

/// Fetches other lanes' logs into their places: those that came.
pub(super) fn mirrored(
    queue: &Queue,
    run: &RunFolder,
    missing: &[(u32, Content)],
    wants: &Mutex<BTreeSet<Content>>,
) -> Result<BTreeMap<u32, Content>> {
    let mut found = BTreeMap::new();
    let mut wanted = BTreeSet::new();
    for (lane, log) in missing {
        let path = run.file(&of_lane(*lane, SAMPLES_FILE));
        let folder = path.parent().unwrap_or(run.path());
        fs::create_dir_all(folder).in_file(folder)?;
        match queue.fetch_file(None, *log, &path) {
            Ok(()) => drop(found.insert(*lane, *log)),
            Err(error) if is_to_be_sent(&error) => drop(wanted.insert(*log)),
            Err(error) => return Err(error.into()),
        }
    }
    // An older one is nobody's any more.
    *wants.lock().unwrap_or_else(PoisonError::into_inner) = wanted;
    Ok(found)
}

/// Whether content has to be sent (again): the server lacks it, or holds something else where it should be.
fn is_to_be_sent(error: &FleetError) -> bool {
    matches!(error, FleetError::Absent(_)) || error.is_lie()
}

/// Fetches what of some content is not on this disk, and asks for what the server has not: whether all is there. Nothing is
/// asked for while something is fetched, however long that takes, since it would be published again meanwhile.
///
/// # Errors
/// The server does not answer, or holds something else under one of the names.
fn fetch_all(
    fetch: &dyn Fn(Content, &Path) -> edgemaxx_fleet::Result<()>,
    cache: &Path,
    all: &[Content],
    wants: &Mutex<BTreeSet<Content>>,
) -> Result<bool> {
    let want = |wanted| *wants.lock().unwrap_or_else(PoisonError::into_inner) = wanted;
    want(BTreeSet::new());
    let mut wanted = BTreeSet::new();
    let mut lie = None;
    for content in all {
        let path = cached(cache, &content.digest);
        if path.exists() {
            continue;
        }
        match fetch(*content, &path) {
            Ok(()) => {}
            // A later attempt finds it, when the coordinator has heard.
            Err(error) if is_to_be_sent(&error) => {
                wanted.insert(*content);
                lie = lie.or(Some(error).filter(FleetError::is_lie));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let all_there = wanted.is_empty();
    want(wanted);
    lie.map_or(Ok(all_there), |error| Err(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_asked_for_while_something_is_fetched() {
        let cache = tempfile::tempdir().unwrap();
        let all = [b"first", b"later", b"ready"].map(|bytes| Content::of(bytes));
        let [first, later, ready] = all;
        let wants = Mutex::new(BTreeSet::from([first, later]));
        let wanted = || wants.lock().unwrap().clone();
        let published = Mutex::new(vec![ready]);
        let fetch = |content: Content, path: &Path| {
            assert!(wanted().is_empty(), "it would be published again");
            if !published.lock().unwrap().contains(&content) {
                return Err(FleetError::Absent(content.digest));
            }
            fs::write(path, "content").unwrap();
            Ok(())
        };
        assert!(!fetch_all(&fetch, cache.path(), &all, &wants).unwrap());
        assert_eq!(wanted(), [first, later].into());
        published.lock().unwrap().push(first);
        assert!(!fetch_all(&fetch, cache.path(), &all, &wants).unwrap());
        assert_eq!(wanted(), [later].into());
        published.lock().unwrap().push(later);
        assert!(fetch_all(&fetch, cache.path(), &all, &wants).unwrap() && wanted().is_empty());
        // What is something else is asked for, too, and said.
        let other = Content::of(b"other");
        let lies = |content: Content, _: &Path| {
            Err(FleetError::Content { named: content.digest, found: Content::of(b"found").digest })
        };
        assert!(fetch_all(&lies, cache.path(), &[other], &wants).is_err());
        assert_eq!(wanted(), [other].into());
    }
}
