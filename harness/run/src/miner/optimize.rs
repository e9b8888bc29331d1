//! A faster checkpoint from a given one, by recipes.

use std::path::Path;
use std::process::Command;

use edgemaxx_candle::CheckpointSource;
use edgemaxx_candle::derive::{Recipe, Storage, derive};
use edgemaxx_candle::prune::prune_layers;

use super::check::check;
use super::recipe::{Step, twice};
use crate::candidate_file::CANDIDATE_FILE;
use crate::error::{Class, InFile as _, Result, RunError, Within as _, words};
use crate::progress::Observer;
use crate::task::of_checkpoint;

/// Applies `steps` to `from`; `to` appears when all is done.
///
/// # Errors
/// Names the step or the file, and why it cannot be.
pub fn optimize(steps: &[Step], from: &Path, to: &Path, observer: &dyn Observer) -> Result<()> {
    if to.exists() {
        return Err(RunError::input(format!("{}: exists; name a new folder with --to", to.display())));
    }
    undone(steps).map_err(RunError::input)?;
    let parent = to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).in_file(parent)?;
    let work = tempfile::Builder::new().prefix(".optimize").tempdir_in(parent).in_file(parent)?;
    let mut current = from.canonicalize().in_file(from)?;
    for (index, step) in steps.iter().enumerate() {
        let next = work.path().join(index.to_string());
        apply(step, &current, &next, observer)?;
        current = next;
    }
    // What no engine could run never stands under its name.
    check(&current).within(|| format!("{}: not made", to.display()))?;
    std::fs::rename(&current, to).in_file(to)
}

/// Refuses a step that silently undoes an earlier one.
fn undone(steps: &[Step]) -> Result<(), String> {
    let settings = steps.iter().filter_map(|step| match step {
        Step::Setting(key, _) => Some(*key),
        _ => None,
    });
    if let Some(key) = twice(settings) {
        return Err(format!("the setting {key} of edgemaxx.toml is given twice; name one value"));
    }
    // What a script leaves is its own matter.
    let undoing = steps.split(|step| matches!(step, Step::Script(_))).find_map(|steps| {
        let stored: Vec<Storage> = steps.iter().filter_map(storage).collect();
        // Only to int8 does anything lead that is kept.
        stored
            .windows(2)
            .find(|both| both[1] != Storage::Int8 || both[0] == both[1])
            .map(|both| [both[0], both[1]])
    });
    undoing.map_or(Ok(()), |both| {
        let [earlier, later] = both.map(called);
        Err(format!(
            "{later} after {earlier} would store again what {earlier} has stored; name one of the two (compute=FORMAT is the \
             format to compute in)"
        ))
    })
}

fn storage(step: &Step) -> Option<Storage> {
    if let Step::Store(storage) = step { Some(*storage) } else { None }
}

/// The recipe that stores so.
fn called(storage: Storage) -> &'static str {
    match storage {
        Storage::F16 => "f16",
        Storage::Bf16 => "bf16",
        Storage::Int8 => "int8",
    }
}

/// What the built-in engine's crate says against a checkpoint.
fn refused(error: edgemaxx_candle::Error) -> RunError {
    RunError::input(words(&error))
}

fn apply(step: &Step, from: &Path, to: &Path, observer: &dyn Observer) -> Result<()> {
    let copy = |recipe: Recipe| -> Result<()> {
        if is_text(from) {
            if recipe != Recipe::default() {
                return Err(RunError::input(format!(
                    "{}: a language model's files stay as they are; weights=q8_0 has the engine keep them otherwise",
                    from.display()
                )));
            }
            std::fs::create_dir_all(to).in_file(to)?;
            return rest(from, to);
        }
        derive(&CheckpointSource { root: from.to_owned(), unet: None }, &recipe, to).map_err(refused)?;
        rest(from, to)?;
        Ok(())
    };
    match step {
        Step::Store(storage) => copy(Recipe { storage: Some(*storage), noise: None }),
        Step::Prune(_) if is_text(from) => {
            Err(RunError::input(format!("{}: a language model has no UNet to prune", from.display())))
        }
        Step::Prune(keep) => {
            copy(Recipe::default())?;
            let removed = prune_layers(to, *keep).map_err(refused)?;
            observer.note(&format!("prune={keep}: {removed} tensors left out"));
            Ok(())
        }
        Step::Setting(key, value) => {
            copy(Recipe::default())?;
            set(&to.join(CANDIDATE_FILE), key, value)
        }
        Step::Script(program) => {
            let failed = |why: String| RunError::of(Class::Engine, format!("{}: {why}", program.display()));
            // A name with a slash is a file here, whatever the working directory of anybody else is.
            let done = Command::new(program).arg(from).arg(to).status().map_err(|e| failed(e.to_string()))?;
            if !done.success() {
                return Err(failed(format!("ended with {done}")));
            }
            if !to.is_dir() {
                return Err(failed(format!("made no folder {}, its second argument", to.display())));
            }
            Ok(())
        }
    }
}

/// Whether a checkpoint writes texts.
fn is_text(folder: &Path) -> bool {
    of_checkpoint(folder).task().name() == "text"
}

/// Folders that deriving writes as a whole.
const DERIVED: [&str; 4] = ["text_encoder", "text_encoder_2", "unet", "vae"];

/// Copy what deriving leaves out: settings, an engine's files, whatever a script added.
fn rest(from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from).in_file(from)? {
        let path = entry.in_file(from)?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            if !DERIVED.iter().any(|name| path.ends_with(name)) {
                std::fs::create_dir_all(&target).in_file(&target)?;
                rest(&path, &target)?;
            }
        } else if !target.exists() {
            std::fs::copy(&path, &target).in_file(&target)?;
        }
    }
    Ok(())
}

/// Set one key of `[generation]`.
fn set(path: &Path, key: &str, value: &toml::Value) -> Result<()> {
    let mut file: toml::Table = match edgemaxx_files::read_text(path) {
        Ok(text) => text.parse().in_file(path)?,
        Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => toml::Table::new(),
        Err(error) => return Err(error.into()),
    };
    let generation = file.entry("generation").or_insert_with(|| toml::Table::new().into());
    let generation = generation
        .as_table_mut()
        .ok_or_else(|| RunError::input(format!("{}: generation: expected a table", path.display())))?;
    generation.insert(key.to_owned(), value.clone());
    std::fs::write(path, toml::to_string(&file).in_file(path)?).in_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_step_undoes_an_earlier_one() {
        let steps = |text: &str| text.split(' ').map(|step| step.parse().unwrap()).collect::<Vec<Step>>();
        for fine in
            ["int8", "f16 int8", "bf16", "int8 steps=8 compute=bf16", "prune=1 int8", "f16 script=x f16"]
        {
            assert_eq!(undone(&steps(fine)), Ok(()), "{fine}");
        }
        for (undoing, said) in [
            ("int8 steps=8 bf16", "bf16 after int8"),
            ("f16 int8 f16", "f16 after int8"),
            ("bf16 f16", "f16 after bf16"),
            ("f16 prune=1 bf16", "bf16 after f16"),
            ("int8 int8", "int8 after int8"),
            ("steps=8 int8 steps=10", "the setting steps "),
            ("compute=f16 compute=f16", "the setting dtype "),
        ] {
            let error = undone(&steps(undoing)).unwrap_err();
            assert!(error.starts_with(said), "{undoing}: {error}");
        }
    }
}
