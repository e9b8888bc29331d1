//! What a lane is measured with: found where the run was planned, and put in its place on a host that measures.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use edgemaxx_contract::contest::{Contest, EngineSpec};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::run_files::{CONTEST_FILE, ORIGIN_FILE, PLAN_FILE, PROMPTS_FILE};
use edgemaxx_files::{file_digest, write_whole};
use edgemaxx_fleet::{Content, Input, Inputs};
use edgemaxx_hub::Source;

use crate::error::{InFile as _, Result, RunError};
use crate::folder::RunFolder;
use crate::origin::Origin;
use crate::sources::{checkpoint_files, source_folder, unet_folder};

/// Content that this host can publish.
#[derive(Debug, Clone)]
pub(super) enum Stored {
    /// In a file.
    File(PathBuf),
    /// In memory.
    Bytes(Vec<u8>),
}

impl Stored {
    /// Where it is.
    pub(super) fn place(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Bytes(_) => "memory".to_owned(),
        }
    }

    /// Its bytes, to be read.
    pub(super) fn open(&self) -> std::io::Result<Box<dyn Read + '_>> {
        Ok(match self {
            Self::File(path) => Box::new(File::open(path)?),
            Self::Bytes(bytes) => Box::new(bytes.as_slice()),
        })
    }
}

/// Content by its name.
pub(super) type Store = BTreeMap<Content, Stored>;

/// What the lanes of a run are measured with, and where it is on this host.
///
/// # Errors
/// Something of it is missing, or is named in a way that only this machine understands.
pub(super) fn gather(folder: &RunFolder, plan: &Plan) -> Result<(Inputs, Store)> {
    let base = Origin::of(folder)?.base;
    let mut found = Found { files: BTreeMap::new(), store: Store::new() };
    let mut sources = Vec::new();
    for pipeline in &plan.pipelines {
        let source = &pipeline.checkpoint.source;
        match readable_elsewhere(source, &base)? {
            Source::Hub { .. } => sources.push(source.clone()),
            _ => found.folder(&source_folder(&base, source)?)?,
        }
        if let Some(unet) = &pipeline.checkpoint.unet {
            relative(Path::new(unet), &base)?;
            found.folder(&unet_folder(&base.join(unet))?)?;
        }
        if let EngineSpec::Command(engine) = &pipeline.engine
            && !engine.own
        {
            // A word that is the path of a file in the contest's folder is that file.
            let words = engine
                .command
                .iter()
                .filter(|word| Path::new(word).is_relative() && base.join(word).is_file());
            for path in words.chain(&engine.files) {
                relative(Path::new(path), &base)?;
                let path = base.join(path);
                if path.is_dir() { found.folder(&path)? } else { found.file(&path)? }
            }
        }
    }
    sources.sort();
    sources.dedup();
    let mut run = Vec::new();
    for name in [PLAN_FILE, CONTEST_FILE, PROMPTS_FILE] {
        let bytes = folder.read(name)?.into_owned().into_bytes();
        let content = Content::of(&bytes);
        found.store.insert(content, Stored::Bytes(bytes));
        run.push(Input { path: name.to_owned(), content, program: false });
    }
    let inputs = Inputs {
        format: Inputs::expected_format(),
        base: below_root(&base)?,
        run,
        files: found.files.into_values().collect(),
        sources,
    };
    Ok((inputs, found.store))
}

/// Refuses a contest whose checkpoints or engines other hosts could not measure, before a day depends on it.
///
/// # Errors
/// One is named in a way that only this machine understands.
pub fn travels(contest: &Contest, base: &Path) -> Result<()> {
    let baseline = (&contest.baseline.checkpoint, Some(&contest.baseline.engine));
    let candidates = contest.candidates.iter().map(|one| (&one.checkpoint, one.engine.as_ref()));
    std::iter::once(baseline).chain(candidates).try_for_each(|(checkpoint, engine)| {
        readable_elsewhere(&checkpoint.source, base)?;
        let files = match engine {
            Some(EngineSpec::Command(engine)) if !engine.own => engine.files.as_slice(),
            _ => &[],
        };
        checkpoint.unet.iter().chain(files).try_for_each(|path| relative(Path::new(path), base))
    })
}

/// Where a checkpoint is, if other hosts can read it.
fn readable_elsewhere(source: &str, base: &Path) -> Result<Source> {
    let found = source.parse::<Source>()?;
    match &found {
        Source::Path(path) => relative(path, base)?,
        Source::Hub { .. } => {}
        Source::Git { .. } => {
            return Err(RunError::input(format!(
                "checkpoint {source}: a repository on this machine, which other hosts cannot read; name a folder or a repository of the hub"
            )));
        }
    }
    Ok(found)
}

/// Refuses what lies elsewhere on every machine.
fn relative(path: &Path, base: &Path) -> Result<()> {
    if path.is_relative() {
        return Ok(());
    }
    Err(RunError::input(format!(
        "{}: other hosts have it elsewhere; name it relative to the contest's folder, {}",
        path.display(),
        base.display()
    )))
}

/// Files that were found, by their path below the root.
struct Found {
    files: BTreeMap<String, Input>,
    store: Store,
}

impl Found {
    fn folder(&mut self, folder: &Path) -> Result<()> {
        for file in checkpoint_files(folder)? {
            self.file(&folder.join(&file.name))?;
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) -> Result<()> {
        let place = below_root(path)?;
        if self.files.contains_key(&place) {
            return Ok(());
        }
        let (bytes, digest) = file_digest(path)?;
        let content = Content { digest, bytes };
        let program = fs::metadata(path).in_file(path)?.permissions().mode() & 0o100 != 0;
        self.store.insert(content, Stored::File(path.to_owned()));
        self.files.insert(place.clone(), Input { path: place, content, program });
        Ok(())
    }
}

/// An absolute path without its root, `.` and `..` resolved by their letters.
fn below_root(path: &Path) -> Result<String> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            Component::ParentDir => {
                parts.pop();
            }
            Component::Normal(name) => parts.push(name.to_str().unwrap_or_default()),
        }
    }
    match parts.iter().all(|part| !part.is_empty()) {
        true => Ok(parts.join("/")),
        false => Err(RunError::input(format!("{}: expected a path in UTF-8", path.display()))),
    }
}

/// Where content is kept on a host that measures, by its digest.
pub(super) fn cached(cache: &Path, digest: &Digest) -> PathBuf {
    cache.join(digest.to_string())
}

/// Puts what a lane is measured with in its place below `place`, from content that is all in `cache`.
///
/// # Errors
/// A path leads elsewhere, content is not what it is named by, or the disk is full.
pub(super) fn put(inputs: &Inputs, cache: &Path, place: &Path) -> Result<RunFolder> {
    let (run, root) = (place.join("run"), place.join("root"));
    for (folder, files) in [(&run, &inputs.run), (&root, &inputs.files)] {
        for file in files {
            let path = folder.join(inside(&file.path)?);
            let cached = cached(cache, &file.content.digest);
            let (_, found) = file_digest(&cached)?;
            if found != file.content.digest {
                // It is fetched again.
                fs::remove_file(&cached).in_file(&cached)?;
                return Err(RunError::of(
                    crate::error::Class::Environment,
                    format!("{}: changed on this disk", cached.display()),
                ));
            }
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).in_file(parent)?;
            }
            if path.exists() {
                fs::remove_file(&path).in_file(&path)?;
            }
            // A program is a copy: what is cached is nobody's program.
            if file.program || fs::hard_link(&cached, &path).is_err() {
                fs::copy(&cached, &path).in_file(&path)?;
                let mode = if file.program { 0o755 } else { 0o644 };
                fs::set_permissions(&path, Permissions::from_mode(mode)).in_file(&path)?;
            }
        }
    }
    let base = root.join(inside(&inputs.base)?);
    fs::create_dir_all(&base).in_file(&base)?;
    let origin = run.join(ORIGIN_FILE);
    write_whole(&origin, Origin { base }.text()?.as_bytes()).in_file(&origin)?;
    RunFolder::open(&run)
}

/// A path that stays where it is put.
fn inside(path: &str) -> Result<&Path> {
    let path = Path::new(path);
    match path.components().all(|part| matches!(part, Component::Normal(_))) {
        true => Ok(path),
        false => Err(RunError::input(format!("{}: expected a path that leads nowhere else", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_root() {
        assert_eq!(below_root(Path::new("/a/b/../c/./d")).unwrap(), "a/c/d");
        assert_eq!(below_root(Path::new("/../a")).unwrap(), "a");
        for bad in ["../a", "/a", "a/../b", "./a/.."] {
            assert!(inside(bad).is_err(), "{bad}");
        }
        assert!(inside("a/b").is_ok());
    }

    #[test]
    fn what_only_this_machine_has_does_not_travel() {
        let (kept, run) = crate::example::run();
        let contest = Contest::parse(&fs::read_to_string(run.file(CONTEST_FILE)).unwrap()).unwrap();
        travels(&contest, kept.path()).unwrap();
        let refused = |change: &dyn Fn(&mut Contest, String)| {
            let mut changed = contest.clone();
            change(&mut changed, "weights/x".to_owned());
            travels(&changed, kept.path()).unwrap();
            change(&mut changed, "/mnt/x".to_owned());
            let words = travels(&changed, kept.path()).unwrap_err().words();
            assert!(words.starts_with("/mnt/x: other hosts have it elsewhere"), "{words}");
        };
        let engine = |path| {
            EngineSpec::Command(edgemaxx_contract::contest::CommandSpec {
                files: vec![path],
                ..Default::default()
            })
        };
        refused(&|contest, path| contest.baseline.checkpoint.source = path);
        refused(&|contest, path| contest.baseline.checkpoint.unet = Some(path));
        refused(&|contest, path| contest.candidates[0].checkpoint.source = path);
        refused(&|contest, path| contest.baseline.engine = engine(path));
        refused(&|contest, path| contest.candidates[0].engine = Some(engine(path)));
    }

    #[test]
    fn what_changed_in_the_cache_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, place) = (folder.path().join("cache"), folder.path().join("place"));
        fs::create_dir_all(&cache).unwrap();
        let content = Content::of(b"{}");
        let file = Input { path: PLAN_FILE.to_owned(), content, program: false };
        let inputs = Inputs {
            format: Inputs::expected_format(),
            base: "contest".to_owned(),
            run: vec![file.clone()],
            files: vec![Input { path: "contest/model/a".to_owned(), program: true, ..file }],
            sources: Vec::new(),
        };
        let at = cached(&cache, &content.digest);
        fs::write(&at, "other").unwrap();
        assert!(put(&inputs, &cache, &place).unwrap_err().words().contains("changed"));
        assert!(!at.exists(), "it is fetched again");
        fs::write(&at, "{}").unwrap();
        put(&inputs, &cache, &place).unwrap();
        let program = place.join("root/contest/model/a");
        assert_eq!(fs::metadata(&program).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(fs::read(&program).unwrap(), b"{}");
    }
}
