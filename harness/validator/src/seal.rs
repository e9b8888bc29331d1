//! Sealing a run folder: the digest of every file, the day before, a signature; and checking it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use edgemaxx_contract::digest::{Digest, DigestBuilder};
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::manifest::{MANIFEST_FILE, Manifest, PreviousDay, SealedFile, Signature};
use edgemaxx_contract::plan::Day;
use edgemaxx_contract::quality::QualityLog;
use edgemaxx_contract::run_files::ARTEFACTS_FOLDER;

use crate::sign::{self, SignError, Signer};

/// Names this machine's folders, so it is neither sealed nor published.
const NOT_PUBLISHED: [&str; 2] = ["origin.json", MANIFEST_FILE];

/// A folder that cannot be sealed, or is not what its seal says.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The disk says no.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file differs from what was sealed: the path inside the folder, and how.
    #[error("{path}: {problem}")]
    Differs {
        /// Path inside the run folder.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The signer refuses.
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl SealError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + use<'_> {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    fn differs(path: &str, problem: impl Into<String>) -> Self {
        Self::Differs { path: path.to_owned(), problem: problem.into() }
    }
}

/// Seals `folder` as the run of `day`; writes its `manifest.json`, whole or not at all. What this signer has sealed
/// already keeps its seal: a signature is another one each time, and so would the manifest's digest be.
///
/// # Errors
/// [`SealError`]: a file cannot be read or written, or the signer refuses.
pub fn seal(
    folder: &Path,
    day: &Day,
    previous: Option<PreviousDay>,
    signer: Option<&dyn Signer>,
) -> Result<Manifest, SealError> {
    let mut files = Vec::new();
    for path in published(folder)? {
        let (bytes, digest) = digest_of(&folder.join(&path))?;
        files.push(SealedFile { path, bytes, digest });
    }
    let plan = files.iter().find(|file| file.path == "plan.json").map(|file| file.digest);
    let mut manifest = Manifest {
        format: Manifest::expected_format(),
        edgemaxx: env!("CARGO_PKG_VERSION").to_owned(),
        day: day.clone(),
        plan,
        previous,
        files,
        signature: None,
    };
    if let Some(signer) = signer {
        if let Ok((sealed, _)) = read(folder)
            && (Manifest { signature: None, ..sealed.clone() }) == manifest
            && check_signature(&sealed).is_ok_and(|by| by == Some(&signer.hotkey()))
        {
            return Ok(sealed);
        }
        let signature = signer.sign(manifest.signed_bytes().as_bytes())?;
        manifest.signature = Some(Signature {
            scheme: sign::SCHEME.to_owned(),
            hotkey: signer.hotkey(),
            signature: sign::hexadecimal(&signature),
        });
    }
    write_whole(&folder.join(MANIFEST_FILE), manifest.to_json().as_bytes())?;
    Ok(manifest)
}

/// What of a run folder is published, by path: its files, and every answer that was judged.
fn published(folder: &Path) -> Result<BTreeSet<String>, SealError> {
    let mut paths = BTreeSet::new();
    for entry in fs::read_dir(folder).map_err(SealError::io(folder))? {
        let entry = entry.map_err(SealError::io(folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_file() && !name.starts_with('.') && !NOT_PUBLISHED.contains(&name.as_str()) {
            paths.insert(name);
        }
    }
    if paths.contains("quality.jsonl") {
        let path = folder.join("quality.jsonl");
        let text = fs::read_to_string(&path).map_err(SealError::io(&path))?;
        let quality = QualityLog::parse(&text)
            .map_err(|error| SealError::differs("quality.jsonl", error.to_string()))?;
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
    let bytes = fs::read(&path).map_err(SealError::io(&path))?;
    let differs = |problem: String| SealError::differs(MANIFEST_FILE, problem);
    let text = std::str::from_utf8(&bytes).map_err(|error| differs(error.to_string()))?;
    let manifest = Manifest::from_json(text).map_err(|error| differs(error.to_string()))?;
    if manifest.to_json() != text {
        return Err(differs("it is not spelled as it was written".to_owned()));
    }
    Ok((manifest, Digest::of(&bytes)))
}

/// Whether the manifest is signed by who it says; the signer's address, `None` when nobody signed.
///
/// # Errors
/// [`SealError`]: the signature is wrong.
pub fn check_signature(manifest: &Manifest) -> Result<Option<&str>, SealError> {
    let Some(signature) = &manifest.signature else { return Ok(None) };
    let wrong = |problem: String| SealError::differs(MANIFEST_FILE, problem);
    if signature.scheme != sign::SCHEME {
        return Err(wrong(format!("expected a signature by {}, found {:?}", sign::SCHEME, signature.scheme)));
    }
    sign::check(&signature.hotkey, manifest.signed_bytes().as_bytes(), &signature.signature)
        .map_err(|error| wrong(error.to_string()))?;
    Ok(Some(&signature.hotkey))
}

/// Whether every sealed file is there, byte for byte, and nothing was added beside them.
///
/// # Errors
/// [`SealError::Differs`] names the first file that is not, in the manifest's order.
pub fn check_files(folder: &Path, manifest: &Manifest) -> Result<(), SealError> {
    for file in &manifest.files {
        check_file(folder, file)?;
    }
    let sealed = manifest.file("plan.json").map(|file| file.digest);
    if sealed != manifest.plan {
        return Err(SealError::differs(MANIFEST_FILE, "plan is not the digest of plan.json"));
    }
    match published(folder)?.into_iter().find(|path| manifest.file(path).is_none()) {
        Some(added) => Err(SealError::differs(&added, "not sealed; it was added later")),
        None => Ok(()),
    }
}

/// Whether one sealed file is there, byte for byte.
///
/// # Errors
/// [`SealError::Differs`] names it.
pub fn check_file(folder: &Path, file: &SealedFile) -> Result<(), SealError> {
    if !is_of_a_run(&file.path) {
        return Err(SealError::differs(MANIFEST_FILE, format!("names {:?}, no path of a run", file.path)));
    }
    let (bytes, digest) = match digest_of(&folder.join(&file.path)) {
        Err(SealError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Err(SealError::differs(&file.path, "missing"));
        }
        found => found?,
    };
    if digest != file.digest {
        let problem = format!(
            "altered since it was sealed: sealed {} ({} bytes), found {} ({bytes} bytes)",
            file.digest.short(),
            file.bytes,
            digest.short()
        );
        return Err(SealError::differs(&file.path, problem));
    }
    if bytes != file.bytes {
        return Err(SealError::differs(MANIFEST_FILE, format!("the length of {} is wrong", file.path)));
    }
    Ok(())
}

/// Whether a manifest may name this path: it stays inside the folder and is not of what is never published.
pub fn is_of_a_run(path: &str) -> bool {
    let inside = !path.split('/').any(|part| part.is_empty() || part.starts_with('.'));
    inside && !path.contains(['\\', ':', '\0']) && !NOT_PUBLISHED.contains(&path)
}

/// Whether `previous` is the sealed day that `manifest` says it follows.
///
/// # Errors
/// [`SealError`] says what does not fit.
pub fn check_previous(manifest: &Manifest, previous: &Path) -> Result<(), SealError> {
    let (before, digest) = read(previous)?;
    let wrong = |problem: String| Err(SealError::differs(MANIFEST_FILE, problem));
    match &manifest.previous {
        None => wrong("names no day before".to_owned()),
        Some(named) if named.manifest != digest => wrong(format!(
            "follows {} of {}, but {} holds {}",
            named.manifest.short(),
            named.day,
            previous.display(),
            digest.short()
        )),
        Some(named) if named.day != before.day || before.day >= manifest.day => {
            wrong(format!("{} does not follow {}", manifest.day, before.day))
        }
        Some(_) => Ok(()),
    }
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
        write_whole(&to, &fs::read(&from).map_err(SealError::io(&from))?)?;
    }
    Ok(())
}

fn digest_of(path: &Path) -> Result<(u64, Digest), SealError> {
    let mut file = fs::File::open(path).map_err(SealError::io(path))?;
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

/// Writes a file as a whole or not at all.
///
/// # Errors
/// [`SealError::Io`]; no part of it is left.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), SealError> {
    edgemaxx_files::write_whole(path, bytes).map_err(SealError::io(path))
}
