//! From a contest file to everything a plan is made from: prompts checked against their digests,
//! checkpoints found and digested, candidates' own settings read.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use edgemaxx_contract::contest::{
    CONTROL, CandidateFile, CandidateSpec, CheckpointSpec, Contest, EngineSpec,
};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::plan::{PipelinePlan, Role};
use edgemaxx_contract::task::Encoder;
use edgemaxx_files::{file_digest, folder_digest};

use crate::candidate_file::candidate_file;
use crate::error::{InFile as _, Result, RunError, Within as _};
use crate::open::open_all;
use crate::progress::Observer;
use crate::sources::{is_same_folder, own_file, pinned, source_folder, unet_folder};
use crate::task::{Rehearsal, kit};
use crate::text_file::read_text;

/// A contest with what it points at.
pub struct Resolved {
    /// The contest.
    pub contest: Contest,
    /// The contest file's text, kept with the run.
    pub text: String,
    /// Folder that the contest's paths are relative to.
    pub base: PathBuf,
    /// Name of the prompt file.
    pub prompts_file: String,
    /// Its text.
    pub prompts: String,
    /// Baseline first, the control next, then the candidates.
    pub pipelines: Vec<PipelinePlan>,
    /// What turns prompts into what engines are asked, where they are not asked in words.
    pub encoder: Option<Box<dyn Encoder>>,
}

/// Reads the contest at `path` and all it names, below `base` where that is given.
///
/// # Errors
/// Something of it is missing, cannot be read, or cannot be done.
pub fn resolve(path: &Path, base: Option<&Path>, observer: &dyn Observer) -> Result<Resolved> {
    resolve_text(path, base, read_text(path)?, observer)
}

/// The same of another text that could stand at `path`.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_text(
    path: &Path,
    base: Option<&Path>,
    text: String,
    observer: &dyn Observer,
) -> Result<Resolved> {
    let contest = Contest::parse(&text).in_file(path)?;
    contest.can_be_won().in_file(path)?;
    let base = match base {
        Some(base) => fs::canonicalize(base).in_file(base)?,
        None => fs::canonicalize(path).in_file(path)?.parent().map(Path::to_owned).unwrap_or_default(),
    };
    let (prompts_file, prompts) = prompts(&contest, &base, path)?;
    let pipelines = pipelines(&contest, &base, observer).within(|| path.display().to_string())?;
    rehearse(&contest, &base, &pipelines).within(|| path.display().to_string())?;
    let encoder = open_all(&contest, &base, &pipelines, (&prompts_file, &prompts), observer)
        .within(|| path.display().to_string())?;
    Ok(Resolved { contest, text, base, prompts_file, prompts, pipelines, encoder })
}

/// Refuses a contest whose own words cannot be done, as far as that can be found out before anything is measured.
/// `resolved` are its pipelines, where they are known.
///
/// # Errors
/// Names the field, what was expected, and what was found.
pub fn rehearse(contest: &Contest, base: &Path, resolved: &[PipelinePlan]) -> Result<()> {
    kit(contest.task)?.rehearse(&Rehearsal { contest, base, resolved })
}

/// Name and text of the prompt file of the contest at `path`.
///
/// # Errors
/// It is not there, cannot be read, or is not the one that its digest is listed of.
pub(crate) fn prompts(contest: &Contest, base: &Path, path: &Path) -> Result<(String, String)> {
    let file = base.join(contest.request.prompts());
    let text = read_text(&file)
        .map_err(|error| RunError::input(format!("{}: request.prompts: {error}", path.display())))?;
    check_prompt_digest(&file)?;
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok((name, text))
}

/// A prompt set beside a `DIGESTS` file must be the one listed there.
fn check_prompt_digest(path: &Path) -> Result<()> {
    let digests = path.with_file_name("DIGESTS");
    if !digests.exists() {
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let actual = file_digest(path)?.1.to_string();
    let listed = read_text(&digests)?;
    let listed = listed.lines().find_map(|line| {
        let (digest, file) = line.split_once("  ")?;
        (file == name).then(|| digest.to_owned())
    });
    match listed {
        Some(digest) if digest == actual => Ok(()),
        Some(digest) => Err(RunError::input(format!(
            "{}: changed: {} lists sha256 {digest}, the file has {actual}; prompt sets never change: restore it, or add a new file with its own line",
            path.display(),
            digests.display()
        ))),
        None => Err(RunError::input(format!(
            "{}: not listed in {}; add the line `{actual}  {name}`",
            path.display(),
            digests.display()
        ))),
    }
}

fn pipelines(contest: &Contest, base: &Path, observer: &dyn Observer) -> Result<Vec<PipelinePlan>> {
    let mut digests = FolderDigests::default();
    engine_files(Some(&contest.baseline.engine), base).within(|| "baseline".to_owned())?;
    let checkpoint = pinned(base, &contest.baseline.checkpoint, observer)?;
    let digest = digests.of(base, &checkpoint)?;
    let baseline = baseline(contest, checkpoint, digest);
    let control = control(contest, &baseline);
    let mut candidates = Vec::new();
    for spec in &contest.candidates {
        if spec.control {
            continue;
        }
        let context = || format!("candidate {:?}", spec.name);
        engine_files(spec.engine.as_ref(), base).within(context)?;
        let checkpoint = pinned(base, &spec.checkpoint, observer).within(context)?;
        let digest = match digests.of(base, &checkpoint) {
            Err(RunError::Folder(_)) => unreadable(),
            digest => digest.within(context)?,
        };
        candidates.push(candidate(contest, base, spec, checkpoint, digest)?);
    }
    Ok([baseline, control].into_iter().chain(candidates).collect())
}

/// The digest of a checkpoint that is none, since its folder leads elsewhere or has no end: its candidate fails with that.
pub(crate) fn unreadable() -> Digest {
    Digest::of("a checkpoint that cannot be read")
}

pub(crate) fn baseline(contest: &Contest, checkpoint: CheckpointSpec, digest: Digest) -> PipelinePlan {
    PipelinePlan {
        name: contest.baseline.name.clone(),
        role: Role::Baseline,
        description: contest.baseline.description.clone(),
        digest,
        checkpoint,
        settings: contest.baseline.settings.clone(),
        engine: contest.baseline.engine.clone(),
    }
}

/// The baseline once more, as a candidate of the contest where it names one.
pub(crate) fn control(contest: &Contest, baseline: &PipelinePlan) -> PipelinePlan {
    let (name, description) = match contest.candidates.iter().find(|spec| spec.control) {
        Some(spec) => (spec.name.clone(), spec.description.clone()),
        None => (CONTROL.to_owned(), "The baseline entered against itself".to_owned()),
    };
    PipelinePlan { name, role: Role::Control, description, ..baseline.clone() }
}

pub(crate) fn candidate(
    contest: &Contest,
    base: &Path,
    spec: &CandidateSpec,
    checkpoint: CheckpointSpec,
    digest: Digest,
) -> Result<PipelinePlan> {
    let context = || format!("candidate {:?}", spec.name);
    let alone = is_same_folder(base, &spec.checkpoint.source, &contest.baseline.checkpoint.source);
    // Nothing is read in a folder that is no checkpoint's.
    let own = if alone || digest == unreadable() {
        CandidateFile::default()
    } else {
        candidate_file(&source_folder(base, &checkpoint.source)?, contest.task)?
    };
    let settings = contest.task.patched(&contest.baseline.settings, &own.settings);
    let settings = settings.and_then(|settings| contest.task.patched(&settings, &spec.settings));
    Ok(PipelinePlan {
        name: spec.name.clone(),
        role: Role::Candidate,
        description: spec.description.clone(),
        digest,
        checkpoint,
        settings: settings.within(context)?,
        engine: spec.engine.clone().or(own.engine).unwrap_or(EngineSpec::Native),
    })
}

/// Looks for the files of an engine that the contest itself names: found missing at the launch, they would leave a run
/// folder behind.
pub(crate) fn engine_files(engine: Option<&EngineSpec>, base: &Path) -> Result<()> {
    let Some(EngineSpec::Command(command)) = engine else { return Ok(()) };
    command.files.iter().try_for_each(|file| own_file(base, file).map(drop))
}

/// Digests of folders, each read once.
#[derive(Default)]
pub struct FolderDigests(BTreeMap<PathBuf, Digest>);

impl FolderDigests {
    /// What a checkpoint is: source, replaced UNet and recipe together.
    ///
    /// # Errors
    /// A folder is missing, or cannot be read.
    pub fn of(&mut self, base: &Path, checkpoint: &CheckpointSpec) -> Result<Digest> {
        let source = self.folder(&source_folder(base, &checkpoint.source)?)?.to_string();
        let unet = match &checkpoint.unet {
            Some(unet) => self.folder(&unet_folder(&base.join(unet))?)?.to_string(),
            None => String::new(),
        };
        let recipe = checkpoint.derive.map(|recipe| recipe.to_string()).unwrap_or_default();
        Ok(Digest::of_fields([source.as_bytes(), unet.as_bytes(), recipe.as_bytes()]))
    }

    fn folder(&mut self, folder: &Path) -> Result<Digest> {
        if let Some(digest) = self.0.get(folder) {
            return Ok(*digest);
        }
        let digest = folder_digest(folder)?;
        self.0.insert(folder.to_owned(), digest);
        Ok(digest)
    }
}
