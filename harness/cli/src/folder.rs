//! The run folder: which file holds what, and how it is read and written.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use edgemaxx_analyze::telemetry::Derived;
use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::environment::Environment;
use edgemaxx_contract::format::Document;
use edgemaxx_contract::plan::Plan;
use edgemaxx_contract::quality::QualityLog;
use edgemaxx_contract::sample::Log;
use edgemaxx_contract::telemetry::TelemetryLog;
use edgemaxx_measure::telemetry::TELEMETRY_FILE;

use crate::error::{Failure, InFile as _};

/// A folder that holds one run.
#[derive(Debug, Clone)]
pub(crate) struct RunFolder {
    path: PathBuf,
    /// Pictures by digest.
    images: PathBuf,
    /// Files that were read once and are not read again.
    loaded: BTreeMap<&'static str, String>,
}

impl RunFolder {
    fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), images: path.join("images"), loaded: BTreeMap::new() }
    }

    /// A new, empty folder.
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        if path.exists() {
            let mut entries = fs::read_dir(path).in_file(path)?;
            if entries.next().is_some() {
                return Err(Failure::input(format!(
                    "{}: the folder is not empty; name another with --out, or go on with its run by --resume",
                    path.display()
                )));
            }
        }
        fs::create_dir_all(path).in_file(path)?;
        Ok(Self::at(path))
    }

    /// The folder of a run that was planned before.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        if !path.join("plan.json").is_file() {
            return Err(Failure::input(format!(
                "{}: no run folder (it holds no plan.json); make one with `edgemaxx run` or `edgemaxx plan`",
                path.display()
            )));
        }
        Ok(Self::at(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Pictures by digest.
    pub(crate) fn images(&self) -> PathBuf {
        self.images.clone()
    }

    /// The same folder with these files (and who makes them) in memory: whatever is parsed of them,
    /// and their digests, are of the same bytes.
    pub(crate) fn loaded(&self, files: &[(&'static str, &str)]) -> anyhow::Result<Self> {
        let mut all = self.clone();
        for (name, made_by) in files {
            all.loaded.insert(name, self.read(name, made_by)?.into_owned());
        }
        Ok(all)
    }

    /// A folder at `path` with these files and the pictures of this one, where stages write without
    /// touching it.
    pub(crate) fn elsewhere(&self, path: &Path, files: BTreeMap<&'static str, String>) -> Self {
        Self { path: path.to_owned(), images: self.images.clone(), loaded: files }
    }

    /// Whether there is such a file, on disk or in memory.
    pub(crate) fn holds(&self, name: &str) -> bool {
        self.loaded.contains_key(name) || self.file(name).exists()
    }

    pub(crate) fn read(&self, name: &str, made_by: &str) -> anyhow::Result<Cow<'_, str>> {
        if let Some(text) = self.loaded.get(name) {
            return Ok(Cow::Borrowed(text));
        }
        let path = self.file(name);
        fs::read_to_string(&path).map(Cow::Owned).map_err(|error| {
            Failure::input(match error.kind() {
                std::io::ErrorKind::NotFound => {
                    format!(
                        "{}: missing; `edgemaxx {made_by} {}` writes it",
                        path.display(),
                        self.path.display()
                    )
                }
                _ => format!("{}: {error}", path.display()),
            })
        })
    }

    /// Writes a file as a whole or not at all.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> anyhow::Result<()> {
        let path = self.file(name);
        let part = self.file(&format!(".{name}.part"));
        let write = || -> std::io::Result<()> {
            let mut file = fs::File::create(&part)?;
            file.write_all(bytes.as_ref())?;
            file.sync_all()?;
            fs::rename(&part, &path)
        };
        write().with_context(|| format!("cannot write {}", path.display())).inspect_err(|_| {
            let _ = fs::remove_file(&part);
        })
    }

    pub(crate) fn document<T: Document>(&self, name: &str, made_by: &str) -> anyhow::Result<T> {
        T::from_json(&self.read(name, made_by)?).in_file(&self.file(name))
    }

    pub(crate) fn write_document(&self, name: &str, document: &impl Document) -> anyhow::Result<()> {
        self.write(name, document.to_json()?)
    }

    /// The contest the run is of, as it was when the run was planned.
    pub(crate) fn contest(&self, plan: &Plan) -> anyhow::Result<Contest> {
        let path = self.file("contest.toml");
        let contest = Contest::parse(&self.read("contest.toml", "plan")?).in_file(&path)?;
        if contest.digest != plan.contest.digest {
            return Err(Failure::input(format!(
                "{}: changed since the run was planned (plan.json names {}, the file is {}); restore it",
                path.display(),
                plan.contest.digest.short(),
                contest.digest.short()
            )));
        }
        Ok(contest)
    }

    pub(crate) fn plan(&self) -> anyhow::Result<Plan> {
        let plan: Plan = self.document("plan.json", "plan")?;
        plan.check().in_file(&self.file("plan.json"))?;
        Ok(plan)
    }

    pub(crate) fn samples(&self, plan: &Plan) -> anyhow::Result<Log> {
        Log::parse_for(&self.read("samples.jsonl", "measure")?, plan).in_file(&self.file("samples.jsonl"))
    }

    /// The samples with what telemetry, where there is any, says of them; its marks stand in the log.
    pub(crate) fn samples_with_telemetry(&self, plan: &Plan) -> anyhow::Result<(Log, Option<Derived>)> {
        let mut log = self.samples(plan)?;
        if !self.holds(TELEMETRY_FILE) {
            return Ok((log, None));
        }
        let text = self.read(TELEMETRY_FILE, "measure")?;
        let telemetry = TelemetryLog::parse(&text, plan.digest()?).in_file(&self.file(TELEMETRY_FILE))?;
        let derived = Derived::of(&log, &telemetry, Digest::of(text.as_bytes()));
        derived.mark(&mut log);
        Ok((log, Some(derived)))
    }

    pub(crate) fn environment(&self) -> anyhow::Result<Environment> {
        self.document("environment.json", "measure")
    }

    /// The judged pairs, and the digest of their file.
    pub(crate) fn quality(&self, log: &Log) -> anyhow::Result<(QualityLog, Digest)> {
        let path = self.file("quality.jsonl");
        let text = self.read("quality.jsonl", "quality")?;
        let quality = QualityLog::parse(&text).in_file(&path)?;
        if quality.header.samples != log.chain.head() {
            return Err(Failure::input(format!(
                "{}: judges other samples than samples.jsonl holds; run `edgemaxx quality {}` again",
                path.display(),
                self.path.display()
            )));
        }
        Ok((quality, Digest::of(text.as_bytes())))
    }
}
