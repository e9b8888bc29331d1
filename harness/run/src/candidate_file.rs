//! The file in which a candidate says of itself how it is run, its `edgemaxx.toml`: found in its folder, read, and held to
//! that folder. What may stand in it: `contract/src/contest/candidate_file.rs`.

use std::path::Path;

use edgemaxx_contract::contest::{CandidateFile, CommandSpec, EngineSpec};
use edgemaxx_contract::input::Input;
use edgemaxx_contract::task::{Object, Settings, TaskRef};

use crate::error::{InFile as _, Result};
use crate::text_file::read_text;

/// What a candidate says of itself, in its folder.
pub const CANDIDATE_FILE: &str = "edgemaxx.toml";

/// The candidate's own `edgemaxx.toml` in its folder, where it has one.
///
/// # Errors
/// It cannot be read, or leads out of the folder.
pub fn candidate_file(folder: &Path, task: TaskRef) -> Result<CandidateFile> {
    let path = folder.join(CANDIDATE_FILE);
    if !path.exists() {
        return Ok(CandidateFile::default());
    }
    let file = CandidateFile::parse(&read_text(&path)?, task).in_file(&path)?;
    if let Some(EngineSpec::Command(engine)) = &file.engine {
        stays_inside(folder, engine).in_file(&path)?;
    }
    Ok(file)
}

/// The engine that a candidate's own `edgemaxx.toml` names, whatever it is for.
///
/// # Errors
/// As [`candidate_file`].
pub fn own_engine(folder: &Path) -> Result<Option<EngineSpec>> {
    let path = folder.join(CANDIDATE_FILE);
    if !path.exists() {
        return Ok(None);
    }
    let engine = CandidateFile::engine_of(&read_text(&path)?).in_file(&path)?;
    if let Some(EngineSpec::Command(engine)) = &engine {
        stays_inside(folder, engine).in_file(&path)?;
    }
    Ok(engine)
}

/// How a checkpoint is run where no contest says it: as `asked` for, else as its own `edgemaxx.toml` says, else as is
/// `usual` for it.
///
/// # Errors
/// Its file cannot be read, or leads out of the folder; or its task knows no such settings.
pub fn own_settings(folder: &Path, task: TaskRef, usual: &Object, asked: &Object) -> Result<Settings> {
    let own = candidate_file(folder, task)?.settings;
    let asked = task.patch(&Input::json("generation", &asked.to_value()))?;
    let settings = usual.replaced_by(own.object()).replaced_by(asked.object());
    Ok(task.settings(&Input::json("generation", &settings.to_value()))?)
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
