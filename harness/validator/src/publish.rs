//! The end of a day on disk: its record, its weights, its seal; and reading it back.

use std::fs;
use std::path::{Path, PathBuf};

use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::day::{DAY_FILE, DayRecord};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::format::Document;
use edgemaxx_contract::joint::{JOINT_FILE, Joint};
use edgemaxx_contract::ranking::Ranking;
use edgemaxx_contract::run_files::{CONTEST_FILE, RANKING_FILE};
use edgemaxx_contract::weights::{WEIGHTS_FILE, Weights};
use edgemaxx_files::{read_text, write_whole};
use edgemaxx_seal::manifest::{self, MANIFEST_FILE, PreviousDay, SealError};
use edgemaxx_seal::sign::Signer;

use crate::contest_file;
use crate::day_weights::{Basis, weights_of};
use crate::state::{Phase, Previous, State};
use crate::world::Pages;

/// A day that cannot be published, or read back.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Sealing, or the disk.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A file that is not what it should be.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

fn wrong<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> PublishError + use<'_, E> {
    move |problem| PublishError::File { path: path.to_owned(), problem: problem.to_string() }
}

pub(crate) fn document<T: Document>(path: &Path) -> Result<(T, Digest), PublishError> {
    let text = read_text(path).map_err(|error| wrong(path)(error.source))?;
    Ok((T::from_json(&text).map_err(wrong(path))?, Digest::of(&text)))
}

/// The ranking in a run folder, if it came so far, with its file's digest.
///
/// # Errors
/// [`PublishError`]: it cannot be read.
pub fn ranking(folder: &Path) -> Result<Option<(Ranking, Digest)>, PublishError> {
    let path = folder.join(RANKING_FILE);
    if path.exists() { document(&path).map(Some) } else { Ok(None) }
}

/// A day that is over but for its seal.
pub(crate) struct Day<'a> {
    pub(crate) folder: &'a Path,
    /// The contest without candidates.
    pub(crate) contest: &'a str,
    pub(crate) record: &'a DayRecord,
    pub(crate) previous: Option<&'a Previous>,
    /// The contest's share of the validator's weights, where it has several contests.
    pub(crate) share: Option<f64>,
}

/// What was published.
pub(crate) struct Published {
    pub(crate) weights: Weights,
    /// Digest of the manifest.
    pub(crate) manifest: Digest,
    /// What went wrong with the page.
    pub(crate) trouble: Option<String>,
}

impl Day<'_> {
    /// Decides the weights, writes and seals everything; the same again when asked again.
    pub(crate) fn publish(
        &self,
        signer: &dyn Signer,
        pages: &mut dyn Pages,
        target: Option<&Path>,
    ) -> Result<Published, PublishError> {
        fs::create_dir_all(self.folder).map_err(wrong(self.folder))?;
        // A contest that was given up leaves its raw log, not half of what follows from it.
        let ranking = match self.record.not_measured {
            Some(_) => None,
            None => ranking(self.folder)?,
        };
        let winner = self.previous.and_then(|previous| previous.weights.winner.as_deref());
        let path = self.folder.join(CONTEST_FILE);
        let contest = contest_file::compose(self.contest, self.record, winner).map_err(wrong(&path))?;
        let rewards = Contest::parse(&contest).map_err(wrong(&path))?.rewards;
        if !path.exists() {
            write_whole(&path, contest.as_bytes()).map_err(wrong(&path))?;
        }
        let weights = weights_of(&Basis {
            day: self.record,
            rewards: &rewards,
            ranking: ranking.as_ref().map(|(ranking, digest)| (ranking, *digest)),
            previous: self.previous.map(|previous| &previous.weights),
            share: self.share,
        });
        for (name, text) in [(DAY_FILE, self.record.to_json()), (WEIGHTS_FILE, weights.to_json())] {
            let path = self.folder.join(name);
            write_whole(&path, text.as_bytes()).map_err(wrong(&path))?;
        }
        seal(self.folder, weights, self.previous, signer, pages, target)
    }
}

/// A day of several contests together that is over but for its seal.
pub(crate) struct JointDay<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) joint: &'a Joint,
    /// What each of its contests decided.
    pub(crate) weights: Weights,
    pub(crate) previous: Option<&'a Previous>,
}

impl JointDay<'_> {
    /// Writes and seals everything; the same again when asked again.
    pub(crate) fn publish(
        self,
        signer: &dyn Signer,
        pages: &mut dyn Pages,
        target: Option<&Path>,
    ) -> Result<Published, PublishError> {
        fs::create_dir_all(self.folder).map_err(wrong(self.folder))?;
        for (name, text) in [(JOINT_FILE, self.joint.to_json()), (WEIGHTS_FILE, self.weights.to_json())] {
            let path = self.folder.join(name);
            write_whole(&path, text.as_bytes()).map_err(wrong(&path))?;
        }
        seal(self.folder, self.weights, self.previous, signer, pages, target)
    }
}

/// Writes the page of a day whose files are there, seals it, and copies it to where days are published.
fn seal(
    folder: &Path,
    weights: Weights,
    previous: Option<&Previous>,
    signer: &dyn Signer,
    pages: &mut dyn Pages,
    target: Option<&Path>,
) -> Result<Published, PublishError> {
    // A day without its page is better than none.
    let trouble = pages.write(folder).err();
    let previous =
        previous.map(|previous| PreviousDay { day: previous.day.clone(), manifest: previous.manifest });
    let manifest = manifest::seal(folder, &weights.day, previous, Some(signer))?;
    if let Some(target) = target {
        manifest::publish(folder, &manifest, &target.join(weights.day.to_string()))?;
    }
    let (_, digest) = manifest::read(folder)?;
    Ok(Published { weights, manifest: digest, trouble })
}

/// The last sealed day below `days`: what a validator without a memory goes on from.
///
/// # Errors
/// [`PublishError`]: it is there, but cannot be read.
pub fn last_sealed(days: &Path) -> Result<Option<Previous>, PublishError> {
    let Ok(entries) = fs::read_dir(days) else { return Ok(None) };
    let mut sealed: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join(MANIFEST_FILE).is_file())
        .collect();
    sealed.sort();
    let with_weights = sealed.into_iter().rfind(|path| path.join(WEIGHTS_FILE).is_file());
    let Some(folder) = with_weights else { return Ok(None) };
    let (manifest, digest) = manifest::read(&folder)?;
    manifest::check_signature(&manifest)?;
    let (weights, _) = document(&folder.join(WEIGHTS_FILE))?;
    Ok(Some(Previous { day: manifest.day, manifest: digest, weights, block: None }))
}

/// A day that was sealed below `days`, as it was when it was about to be published; what it was left is not known.
///
/// # Errors
/// [`PublishError`]: its record cannot be read.
pub(crate) fn sealed_day(days: &Path, sealed: &Previous, now: i64) -> Result<State, PublishError> {
    let path = days.join(sealed.day.to_string()).join(DAY_FILE);
    // A day of several contests together has none of its own.
    let record = path.exists().then(|| document::<DayRecord>(&path)).transpose()?.map(|(record, _)| record);
    let start = record.as_ref().map_or(now, |record| record.closed_unix_s);
    Ok(State { phase: Phase::Publishing, record, ..State::waiting(sealed.day.clone(), start, now, None) })
}
