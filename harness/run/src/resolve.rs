//! From a contest file to everything a plan is made from: prompts checked against their digests,
//! checkpoints found and digested, candidates' own settings read.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use edgemaxx_contract::contest::{CONTROL, CandidateFile, CheckpointSpec, CommandSpec, Contest, EngineSpec};
use edgemaxx_contract::digest::{Digest, DigestBuilder};
use edgemaxx_contract::plan::{PipelinePlan, Role};
use edgemaxx_hub::Source;

use crate::error::{InFile as _, Result, RunError, Within as _};
use crate::hub;
use crate::progress::Observer;
use crate::rehearse::rehearse;

/// The largest contest or prompt file, bytes.
const MOST_TEXT: u64 = 64 << 20;

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
    let prompts_path = base.join(&contest.request.prompts);
    let prompts = read_text(&prompts_path)
        .map_err(|error| RunError::input(format!("{}: request.prompts: {error}", path.display())))?;
    check_prompt_digest(&prompts_path, &prompts)?;
    let prompts_file =
        prompts_path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let pipelines = pipelines(&contest, &base, observer).within(|| path.display().to_string())?;
    rehearse(&contest, &base, &pipelines).within(|| path.display().to_string())?;
    Ok(Resolved { contest, text, base, prompts_file, prompts, pipelines })
}

fn read_text(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(MOST_TEXT + 1).read_to_end(&mut bytes));
    read.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => RunError::input(format!("{}: no such file", path.display())),
        _ => RunError::input(format!("{}: {error}", path.display())),
    })?;
    if bytes.len() as u64 > MOST_TEXT {
        return Err(RunError::input(format!("{}: expected at most {} MiB", path.display(), MOST_TEXT >> 20)));
    }
    String::from_utf8(bytes).map_err(|error| {
        RunError::input(format!(
            "{}: expected UTF-8 text; byte {} is not",
            path.display(),
            error.utf8_error().valid_up_to()
        ))
    })
}

/// A prompt set beside a `DIGESTS` file must be the one listed there.
fn check_prompt_digest(path: &Path, text: &str) -> Result<()> {
    let digests = path.with_file_name("DIGESTS");
    if !digests.exists() {
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let actual = Digest::of(text).to_string();
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
    let checkpoint = pinned(base, &contest.baseline.checkpoint, observer)?;
    let baseline = PipelinePlan {
        name: contest.baseline.name.clone(),
        role: Role::Baseline,
        description: contest.baseline.description.clone(),
        digest: digests.of(base, &checkpoint)?,
        checkpoint,
        generation: contest.baseline.generation.clone(),
        engine: contest.baseline.engine.clone(),
    };
    let mut control = PipelinePlan {
        name: CONTROL.to_owned(),
        role: Role::Control,
        description: "The baseline entered against itself".to_owned(),
        ..baseline.clone()
    };
    let mut candidates = Vec::new();
    for candidate in &contest.candidates {
        if candidate.control {
            control.name = candidate.name.clone();
            control.description = candidate.description.clone();
            continue;
        }
        let context = || format!("candidate {:?}", candidate.name);
        let checkpoint = pinned(base, &candidate.checkpoint, observer).within(context)?;
        let own = if candidate.checkpoint.source == contest.baseline.checkpoint.source {
            CandidateFile::default()
        } else {
            candidate_file(&source_folder(base, &checkpoint.source)?)?
        };
        candidates.push(PipelinePlan {
            name: candidate.name.clone(),
            role: Role::Candidate,
            description: candidate.description.clone(),
            digest: digests.of(base, &checkpoint).within(context)?,
            checkpoint,
            generation: candidate.generation.apply(&own.generation.apply(&contest.baseline.generation)),
            engine: candidate.engine.clone().or(own.engine).unwrap_or(EngineSpec::Native),
        });
    }
    Ok([baseline, control].into_iter().chain(candidates).collect())
}

/// The candidate's own `edgemaxx.toml` in its folder, where it has one.
///
/// # Errors
/// It cannot be read, or leads out of the folder.
pub fn candidate_file(folder: &Path) -> Result<CandidateFile> {
    let path = folder.join("edgemaxx.toml");
    if !path.exists() {
        return Ok(CandidateFile::default());
    }
    let file = CandidateFile::parse(&read_text(&path)?).in_file(&path)?;
    if let Some(EngineSpec::Command(engine)) = &file.engine {
        stays_inside(folder, engine).in_file(&path)?;
    }
    Ok(file)
}

/// A candidate names nothing but programs of the system and what lies in its own folder.
fn stays_inside(folder: &Path, engine: &CommandSpec) -> Result<(), String> {
    let root = folder.canonicalize().map_err(|error| error.to_string())?;
    let inside = |word: &str| {
        let found = folder.join(word).canonicalize();
        found.map(|path| path.starts_with(&root)).map_err(|error| format!("{word:?}: {error}"))
    };
    let leads_out = |key: &str, word: &str| {
        Err(format!(
            "{key}: expected what lies in the candidate's folder, found {word:?}, which leads out of it"
        ))
    };
    for (index, file) in engine.files.iter().enumerate() {
        let key = format!("engine.files[{index}]");
        if !inside(file).map_err(|problem| format!("{key}: expected a file or folder, found {problem}"))? {
            return leads_out(&key, file);
        }
    }
    for (index, word) in engine.command.iter().enumerate() {
        let key = format!("engine.command[{index}]");
        match (inside(word), index) {
            (Ok(false), _) if index == 0 || !word.starts_with('/') => return leads_out(&key, word),
            (Err(problem), 0) if word.contains('/') => {
                return Err(format!(
                    "{key}: expected a program's name, or a file of the folder, found {problem}"
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Fetches a checkpoint that lies elsewhere, and names it so that it can never mean something else.
///
/// # Errors
/// The source is none, or cannot be fetched.
pub fn pinned(base: &Path, checkpoint: &CheckpointSpec, observer: &dyn Observer) -> Result<CheckpointSpec> {
    let mut source = source_of(base, &checkpoint.source)?;
    match &mut source {
        Source::Path(_) => Ok(checkpoint.clone()),
        Source::Git { .. } | Source::Hub { .. } => {
            let resolved = hub::fetch(&source, observer)?;
            if let Source::Git { revision, .. } | Source::Hub { revision, .. } = &mut source {
                *revision = resolved.revision;
            }
            Ok(CheckpointSpec { source: source.to_string(), ..checkpoint.clone() })
        }
    }
}

/// The source a text names; paths are relative to the contest's folder.
fn source_of(base: &Path, text: &str) -> Result<Source> {
    Ok(match text.parse::<Source>()? {
        Source::Path(path) => Source::Path(base.join(path)),
        Source::Git { mirror, revision } => Source::Git { mirror: base.join(mirror), revision },
        hub => hub,
    })
}

/// Where a checkpoint source lies on this machine. Nothing is fetched: that was done when the run was planned.
///
/// # Errors
/// It is not here.
pub fn source_folder(base: &Path, source: &str) -> Result<PathBuf> {
    match source_of(base, source)? {
        Source::Path(folder) if folder.is_dir() => Ok(folder),
        Source::Path(folder) => {
            Err(RunError::input(format!("checkpoint {}: no such folder", folder.display())))
        }
        elsewhere => hub::cached(&elsewhere),
    }
}

/// Where a replaced UNet lies: the folder itself, or its `unet/`.
///
/// # Errors
/// It is not here.
pub fn unet_folder(base: &Path, unet: &str) -> Result<PathBuf> {
    let folder = base.join(unet);
    let inner = folder.join("unet");
    match (inner.is_dir(), folder.is_dir()) {
        (true, _) => Ok(inner),
        (false, true) => Ok(folder),
        (false, false) => Err(RunError::input(format!("unet {}: no such folder", folder.display()))),
    }
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
            Some(unet) => self.folder(&unet_folder(base, unet)?)?.to_string(),
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

/// The digest of a folder: of its files' relative paths and contents, in order of path.
///
/// # Errors
/// A file cannot be read.
pub fn folder_digest(folder: &Path) -> Result<Digest> {
    let mut files = Vec::new();
    list(folder, &mut files)?;
    let mut named = BTreeMap::new();
    for path in files {
        let relative = path.strip_prefix(folder).unwrap_or(&path);
        let name: Vec<_> = relative
            .components()
            .filter_map(
                |part| if let Component::Normal(part) = part { Some(part.to_string_lossy()) } else { None },
            )
            .collect();
        named.insert(name.join("/"), file_digest(&path)?.to_string());
    }
    Ok(Digest::of_fields(named.iter().flat_map(|(name, digest)| [name.as_bytes(), digest.as_bytes()])))
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).in_file(folder)? {
        let path = entry.in_file(folder)?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn file_digest(path: &Path) -> Result<Digest> {
    let mut file = fs::File::open(path).in_file(path)?;
    let mut digest = DigestBuilder::default();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).in_file(path)? {
            0 => return Ok(digest.finish()),
            n => digest.update(&buffer[..n]),
        }
    }
}
