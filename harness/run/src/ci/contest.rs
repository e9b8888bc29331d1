//! A contest of two versions of one pipeline, made from the contest file that describes it.

use std::path::{Path, PathBuf};

use edgemaxx_contract::plan::Plan;
use toml::{Table, Value};

use crate::error::{Result, RunError};

/// What the two are called.
pub const REFERENCE: &str = "reference";
/// See [`REFERENCE`].
pub const CHANGE: &str = "change";

/// A version of the pipeline: the contest file whose `[baseline]` it is.
#[derive(Debug, Clone)]
pub struct Version {
    /// The contest's text.
    pub text: String,
    /// The folder that its paths are relative to.
    pub base: PathBuf,
    /// Another engine command than the contest's.
    pub command: Option<Vec<String>>,
}

/// The contest of two versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Both {
    /// Its file's text.
    pub contest: String,
    /// Files of the reference's engine that its own folder lacks and `change`'s has, which are taken from there.
    pub borrowed: Vec<String>,
}

/// Whether the plan of both would measure one pipeline against itself: the same engine, from the same place, on equal files with
/// equal settings.
pub fn is_one(plan: &Plan) -> bool {
    let before = plan.baseline();
    plan.pipeline(CHANGE).is_some_and(|after| {
        (after.digest, &after.engine, &after.settings) == (before.digest, &before.engine, &before.settings)
    })
}

/// A contest in which the `[baseline]` of `change` competes with that of `reference`, until it is surely slower than that by
/// more than `max_slowdown` (relative), or surely not; all else is as `change` says.
/// What `reference` names and its folder lacks, such as a checkpoint that no repository holds, is taken from `change`'s.
///
/// # Errors
/// A text is no TOML, or has no `[baseline]`.
pub fn of_two(reference: &Version, change: &Version, max_slowdown: f64) -> Result<Both> {
    let mut contest = read(change)?;
    let base = change.base.as_path();
    for (table, key) in [("request", "prompts"), ("quality", "clip"), ("quality", "lpips")] {
        if let Some(Value::String(path)) = contest.get_mut(table).and_then(|table| table.get_mut(key)) {
            *path = found(&[base], path);
        }
    }
    let mut borrowed = Vec::new();
    let mut before = pipeline(reference, &[&reference.base, base], &mut borrowed)?;
    let mut after = pipeline(change, &[base], &mut Vec::new())?;
    before.insert("name".to_owned(), REFERENCE.into());
    after.insert("name".to_owned(), CHANGE.into());
    contest.insert("baseline".to_owned(), before.into());
    contest.insert("candidate".to_owned(), Value::Array(vec![after.into()]));
    contest.remove("incumbent");
    let measurement = contest.entry("measurement").or_insert_with(|| Table::new().into());
    if let Value::Table(measurement) = measurement {
        measurement.remove("until_half_width");
        measurement.remove("budget_s");
        measurement.insert("max_slowdown".to_owned(), max_slowdown.into());
    }
    let contest = toml::to_string(&contest)
        .map_err(|error| RunError::input(format!("the contest of both versions: {error}")))?;
    Ok(Both { contest, borrowed })
}

fn read(version: &Version) -> Result<Table> {
    let table = version.text.parse::<Table>();
    table.map_err(|error| RunError::input(format!("the contest in {}: {error}", version.base.display())))
}

/// A version's `[baseline]` with its paths made absolute, each in the first of `places` that has it; `borrowed` are files of
/// its engine that the first lacks.
fn pipeline(version: &Version, places: &[&Path], borrowed: &mut Vec<String>) -> Result<Table> {
    let mut contest = read(version)?;
    let Some(Value::Table(mut pipeline)) = contest.remove("baseline") else {
        let place = version.base.display();
        return Err(RunError::input(format!("the contest in {place}: expected a table [baseline]")));
    };
    pipeline.remove("description");
    for key in ["checkpoint", "unet"] {
        if let Some(Value::String(path)) = pipeline.get_mut(key)
            && !is_elsewhere(path)
        {
            *path = found(places, path);
        }
    }
    if let Some(words) = &version.command {
        let engine = pipeline.entry("engine").or_insert_with(|| Table::new().into());
        if let Some(engine) = engine.as_table_mut() {
            engine.remove("native");
            engine.insert("command".to_owned(), words.iter().map(String::as_str).collect::<Vec<_>>().into());
        }
    }
    if let Some(engine) = pipeline.get_mut("engine").and_then(Value::as_table_mut) {
        let mut of_engine = |path: &str| {
            let found = found(places, path);
            // Of an absolute path there is one, in whichever place it is looked for.
            if !Path::new(&found).starts_with(places[0]) && Path::new(path).is_relative() {
                borrowed.push(path.to_owned());
            }
            found
        };
        for word in engine.get_mut("command").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Value::String(word) = word
                && places.iter().any(|place| place.join(&*word).is_file())
            {
                *word = of_engine(word);
            }
        }
        for file in engine.get_mut("files").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Value::String(file) = file {
                *file = of_engine(file);
            }
        }
    }
    Ok(pipeline)
}

/// Whether a checkpoint is named by something else than a path.
fn is_elsewhere(checkpoint: &str) -> bool {
    checkpoint.starts_with("hf:") || checkpoint.starts_with("file+git:")
}

/// The path in the first place that has it; in the first place of all where none has.
fn found(places: &[&Path], path: &str) -> String {
    let has = places.iter().map(|place| place.join(path)).find(|path| path.exists());
    has.unwrap_or_else(|| places[0].join(path)).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(folder: &Path, steps: u32, command: Option<&[&str]>) -> Version {
        std::fs::create_dir_all(folder.join("bin")).unwrap();
        std::fs::write(folder.join("bin/engine"), "").unwrap();
        let text = format!(
            "format = 1\nname = \"mine\"\nincumbent = \"old\"\n[request]\nprompts = \"prompts.txt\"\n\
             [baseline]\nname = \"mine\"\ncheckpoint = \"model\"\ngeneration = {{ steps = {steps} }}\n\
             engine = {{ command = [\"bin/engine\", \"--fast\"], files = [\"lib\"] }}\n\
             [[candidate]]\nname = \"old\"\n[measurement]\nsessions = 3\nbudget_s = 5.0\n"
        );
        let command = command.map(|words| words.iter().map(|word| (*word).to_owned()).collect());
        Version { text, base: folder.to_owned(), command }
    }

    #[test]
    fn each_version_keeps_its_own_and_lacks_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        let (before, after) = (version(&old, 20, None), version(&new, 10, None));
        // only the new tree holds the model, which is in no repository
        std::fs::create_dir(new.join("model")).unwrap();
        let both = of_two(&before, &after, 0.01).unwrap();
        assert!(both.borrowed.is_empty(), "{both:?}");
        let both: Table = both.contest.parse().unwrap();
        let path = |folder: &Path, name: &str| Value::from(folder.join(name).to_str().unwrap());
        assert_eq!(both["baseline"]["name"].as_str(), Some(REFERENCE));
        assert_eq!(both["baseline"]["generation"]["steps"].as_integer(), Some(20));
        assert_eq!(both["baseline"]["checkpoint"], path(&new, "model"));
        assert_eq!(both["baseline"]["engine"]["command"][0], path(&old, "bin/engine"));
        assert_eq!(both["baseline"]["engine"]["files"][0], path(&old, "lib"));
        let candidates = both["candidate"].as_array().unwrap();
        assert_eq!(candidates.len(), 1);
        assert_eq!(candidates[0]["name"].as_str(), Some(CHANGE));
        assert_eq!(candidates[0]["generation"]["steps"].as_integer(), Some(10));
        assert_eq!(candidates[0]["engine"]["command"][0], path(&new, "bin/engine"));
        assert_eq!(candidates[0]["engine"]["command"][1].as_str(), Some("--fast"));
        assert_eq!(both["request"]["prompts"], path(&new, "prompts.txt"));
        assert_eq!(both["measurement"]["sessions"].as_integer(), Some(3));
        assert!(
            both["measurement"]["max_slowdown"].as_float() == Some(0.01) && both.get("incumbent").is_none()
        );
    }

    #[test]
    fn commands_take_the_place_of_the_contests() {
        let folder = tempfile::tempdir().unwrap();
        let before = version(folder.path(), 20, Some(&["slow", "--x"]));
        let after = version(folder.path(), 20, Some(&["bin/engine"]));
        let both: Table = of_two(&before, &after, 0.01).unwrap().contest.parse().unwrap();
        assert_eq!(both["baseline"]["engine"]["command"][0].as_str(), Some("slow"));
        let own = folder.path().join("bin/engine");
        assert_eq!(both["candidate"][0]["engine"]["command"][0].as_str(), own.to_str());
    }

    /// What was not built for the reference is the change's own, and measured against itself nothing becomes slower.
    #[test]
    fn an_engine_that_the_reference_lacks_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        let (before, after) = (version(&old, 20, None), version(&new, 20, None));
        std::fs::create_dir(new.join("lib")).unwrap();
        std::fs::create_dir(new.join("model")).unwrap();
        let both = of_two(&before, &after, 0.01).unwrap();
        assert_eq!(both.borrowed, ["lib"]);
        std::fs::remove_file(old.join("bin/engine")).unwrap();
        let both = of_two(&before, &after, 0.01).unwrap();
        assert_eq!(both.borrowed, ["bin/engine", "lib"]);
    }

    #[test]
    fn a_contest_without_a_baseline_is_refused() {
        let version = Version { text: "name = \"x\"".to_owned(), base: "here".into(), command: None };
        let error = of_two(&version, &version, 0.01).unwrap_err().to_string();
        assert!(error.contains("here") && error.contains("[baseline]"), "{error}");
    }
}
