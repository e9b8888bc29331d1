//! Sealed folders on the disk: what of them is published, their manifests, their copies.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::Path;

use edgemaxx_contract::digest::{Digest, DigestBuilder};
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::Day;
use edgemaxx_contract::quality::QualityLog;
use edgemaxx_contract::run_files::{
    ARTEFACTS_FOLDER, LANES_FOLDER, MEASURED_FILES, ORIGIN_FILE, QUALITY_FILE, of_lane,
};
use edgemaxx_contract::utf8::text_of;
use edgemaxx_files::{open_plain, write_whole};

use super::document::{MANIFEST_FILE, MOST_MANIFEST, Manifest};
use super::error::SealError;

/// Names this machine's folders, so it is neither sealed nor published.
pub(super) const NOT_PUBLISHED: [&str; 2] = [ORIGIN_FILE, MANIFEST_FILE];

/// What of a run folder is published, by path: its files, and every answer that was judged.
pub(super) fn published(folder: &Path) -> Result<BTreeSet<String>, SealError> {
    let mut paths = BTreeSet::new();
    for entry in fs::read_dir(folder).map_err(SealError::io(folder))? {
        let entry = entry.map_err(SealError::io(folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_file() && !name.starts_with('.') && !NOT_PUBLISHED.contains(&name.as_str()) {
            paths.insert(name);
        }
    }
    // What was measured on each lane; no more of it than that, as it holds checkpoints, too.
    for lane in lanes(&folder.join(LANES_FOLDER))? {
        let files = MEASURED_FILES.map(|name| of_lane(lane, name));
        paths.extend(files.into_iter().filter(|path| folder.join(path).is_file()));
    }
    if paths.contains(QUALITY_FILE) {
        let path = folder.join(QUALITY_FILE);
        let text = fs::read_to_string(&path).map_err(SealError::io(&path))?;
        let quality =
            QualityLog::parse(&text).map_err(|error| SealError::differs(QUALITY_FILE, error.to_string()))?;
        let kept = artefacts(&folder.join(ARTEFACTS_FOLDER))?;
        for record in &quality.records {
            for answer in [record.baseline_answer, record.candidate_answer].map(|answer| answer.to_string()) {
                // One that is missing is looked for by its digest alone, and missed.
                paths.insert(format!("{ARTEFACTS_FOLDER}/{}", kept.get(&answer).unwrap_or(&answer)));
            }
        }
    }
    Ok(paths)
}

/// The lanes that have a folder.
fn lanes(folder: &Path) -> Result<Vec<u32>, SealError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(SealError::io(folder))? {
        let name = entry.map_err(SealError::io(folder))?.file_name().to_string_lossy().into_owned();
        found.extend(name.parse::<u32>().ok().filter(|lane| lane.to_string() == name));
    }
    Ok(found)
}

/// The names of the answers that are kept, by the digest they start with.
fn artefacts(folder: &Path) -> Result<BTreeMap<String, String>, SealError> {
    let mut names = BTreeMap::new();
    if folder.is_dir() {
        for entry in fs::read_dir(folder).map_err(SealError::io(folder))? {
            let name = entry.map_err(SealError::io(folder))?.file_name().to_string_lossy().into_owned();
            let digest = name.split('.').next().unwrap_or_default().to_owned();
            names.insert(digest, name);
        }
    }
    Ok(names)
}

/// The days with a manifest below `days`, each in the folder of its name, in order.
pub fn sealed_days(days: &Path) -> Vec<Day> {
    let Ok(entries) = fs::read_dir(days) else { return Vec::new() };
    let mut found: Vec<Day> = entries
        .flatten()
        .filter(|entry| entry.path().join(MANIFEST_FILE).is_file())
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    found.sort();
    found
}

/// Reads the manifest of `folder`: as its bytes say, and those are the only ones that say so.
///
/// # Errors
/// [`SealError`] names `manifest.json` and what is wrong with it.
pub fn read(folder: &Path) -> Result<(Manifest, Digest), SealError> {
    let path = folder.join(MANIFEST_FILE);
    let (file, _) = open_plain(&path).map_err(|error| SealError::io(&path)(error.source))?;
    let mut bytes = Vec::new();
    file.take(MOST_MANIFEST + 1).read_to_end(&mut bytes).map_err(SealError::io(&path))?;
    let differs = |problem: String| SealError::differs(MANIFEST_FILE, problem);
    if bytes.len() as u64 > MOST_MANIFEST {
        return Err(differs(format!("expected at most {} MiB", MOST_MANIFEST >> 20)));
    }
    let text = text_of(&bytes).map_err(|error| differs(error.to_string()))?;
    let manifest = Manifest::from_json(text).map_err(|error| differs(error.to_string()))?;
    if manifest.to_json().as_bytes() != bytes {
        return Err(differs("it is not spelled as it was written".to_owned()));
    }
    Ok((manifest, Digest::of(&bytes)))
}

/// Copies a sealed run, without what is not published, to `target`.
///
/// # Errors
/// [`SealError::Io`].
pub fn publish(folder: &Path, manifest: &Manifest, target: &Path) -> Result<(), SealError> {
    let paths = manifest.files.iter().map(|file| file.path.as_str()).chain([MANIFEST_FILE]);
    for path in paths {
        let to = target.join(path);
        let parent = to.parent().unwrap_or(target);
        fs::create_dir_all(parent).map_err(SealError::io(parent))?;
        let from = folder.join(path);
        // The manifest last: what has one is whole.
        let bytes = fs::read(&from).map_err(SealError::io(&from))?;
        write_whole(&to, &bytes).map_err(SealError::io(&to))?;
    }
    Ok(())
}

/// The length and digest of a file.
pub(super) fn digest_of(path: &Path) -> Result<(u64, Digest), SealError> {
    let (mut file, _) = open_plain(path).map_err(|error| SealError::io(path)(error.source))?;
    let mut builder = DigestBuilder::default();
    let (mut buffer, mut bytes) = (vec![0; 1 << 16], 0);
    loop {
        match file.read(&mut buffer).map_err(SealError::io(path))? {
            0 => return Ok((bytes, builder.finish())),
            n => {
                builder.update(&buffer[..n]);
                bytes += n as u64;
            }
        }
    }
}
