//! What follows from the raw log: recomputed and compared byte for byte.

use std::collections::BTreeMap;
use std::path::Path;

use edgemaxx_contract::run_files::{
    CONTEST_FILE, ESTIMATES_FILE, ORIGIN_FILE, PLAN_FILE, QUALITY_FILE, RANKING_FILE, SAMPLES_FILE,
};
use edgemaxx_contract::sample::Record;
use edgemaxx_quality::Artefact;

use super::check::{Held, Means};
use crate::error::{InFile as _, Result, RunError, scratch};
use crate::folder::RunFolder;
use crate::origin::Origin;
use crate::progress::Observer;
use crate::stage::{analyze, quality, rank, report};
use crate::stop_rule;

/// What the stages after `measure` read, but for what they write themselves.
fn sources(folder: &RunFolder) -> Result<Vec<String>> {
    let planned = [CONTEST_FILE, PLAN_FILE].map(str::to_owned).into_iter();
    Ok(planned.chain(folder.measured(&folder.plan()?)).collect())
}

/// The hash chain holds, and belongs to the plan.
pub(super) fn log(folder: &RunFolder) -> Result<Held> {
    let plan = folder.plan()?;
    let log = folder.samples(&plan)?;
    Ok(Held::Yes(format!("{} records, the chain holds to {}", log.records.len(), log.chain.head().short())))
}

/// Every judged answer is the one that the log names.
pub(super) fn pictures(folder: &RunFolder) -> Result<Held> {
    let plan = folder.plan()?;
    let log = folder.samples(&plan)?;
    let (judged, _) = folder.quality(&plan, &log)?;
    let scored = log.records.iter().filter(|record| matches!(record, Record::Scores(_)));
    let mut seen: std::collections::BTreeSet<_> = scored.filter_map(Record::artefact).collect();
    for record in &judged.records {
        seen.extend([record.baseline_answer, record.candidate_answer]);
    }
    let judge = quality::Models::default().judge(plan.task)?;
    for digest in &seen {
        let path = folder.artefact(plan.task, digest);
        judge
            .read(&Artefact { path, digest: *digest })
            .map_err(|error| RunError::input(error.to_string()))?;
    }
    Ok(Held::Yes(format!("{} answers are what they are named by", seen.len())))
}

/// The judgements of all pairs, where the models that made them are here.
pub(super) fn quality(folder: &RunFolder, means: &Means, observer: &dyn Observer) -> Result<Held> {
    let plan = folder.plan()?;
    let contest = folder.contest(&plan)?;
    let mut needed = contest.quality.models.iter();
    let missing = needed.find(|(model, relative)| {
        means.base.as_ref().is_none_or(|base| quality::place(**model, relative, base, &plan).is_err())
    });
    if let Some((_, model)) = missing {
        return Ok(Held::NotHere(format!(
            "{QUALITY_FILE}: needs the contest's {model}; name the folder of the contest with --base"
        )));
    }
    let mut files = read(folder, &sources(folder)?)?;
    if let Some(base) = &means.base {
        files.insert(ORIGIN_FILE.to_owned(), Origin { base: base.clone() }.text()?);
    }
    let scratch = scratch()?;
    let again = folder.elsewhere(scratch.path(), files);
    let judged = quality::judge_run(&again, quality::Models::default(), observer)?;
    same(folder, &again, QUALITY_FILE)?;
    Ok(Held::Yes(format!("{} pairs judged again, byte for byte", judged.records.len())))
}

/// Who left early left by the rules, and nobody else did.
pub(super) fn stops(folder: &RunFolder) -> Result<Held> {
    let plan = folder.plan()?;
    if plan.lanes > 1 {
        let why = format!("{} lanes decided together who leaves; that is not derived again", plan.lanes);
        return Ok(Held::NotHere(why));
    }
    let log = folder.samples(&plan)?;
    let (judged, _) = folder.quality(&plan, &log)?;
    let found = stop_rule::check(&plan, &folder.contest(&plan)?, &log, &judged.records);
    let count = found.map_err(|why| RunError::input(format!("{SAMPLES_FILE}: {why}")))?;
    Ok(Held::Yes(format!("{count} candidates left early, by the rules")))
}

/// Everything after `quality.jsonl`.
pub(super) fn recomputed(folder: &RunFolder) -> Result<Held> {
    let scratch = scratch()?;
    let mut sources = sources(folder)?;
    sources.push(QUALITY_FILE.to_owned());
    sources.extend(report::of_day(folder).into_iter().map(str::to_owned));
    let again = folder.elsewhere(scratch.path(), read(folder, &sources)?);
    analyze::analyze_run(&again)?;
    rank::rank_run(&again)?;
    report::report_run(&again)?;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(scratch.path()).in_file(scratch.path())? {
        names.push(entry.in_file(scratch.path())?.file_name().to_string_lossy().into_owned());
    }
    // In the order of the stages, so that what is named first is what the others follow from.
    names.sort_by_key(|name| (name != ESTIMATES_FILE, name != RANKING_FILE, name.clone()));
    for name in &names {
        same(folder, &again, name)?;
    }
    Ok(Held::Yes(format!("{} files recomputed, byte for byte", names.len())))
}

fn read(folder: &RunFolder, names: &[String]) -> Result<BTreeMap<String, String>> {
    names.iter().map(|name| Ok((name.clone(), folder.read(name)?.into_owned()))).collect()
}

/// What people read of a day that measured nothing itself, made of these files.
pub(super) fn page(run: &Path, sources: &[&str]) -> Result<Held> {
    let scratch = scratch()?;
    for name in sources {
        std::fs::copy(run.join(name), scratch.path().join(name)).in_file(&run.join(name))?;
    }
    report::report_day(scratch.path())?;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(scratch.path()).in_file(scratch.path())? {
        names.push(entry.in_file(scratch.path())?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    names.iter().try_for_each(|name| same_in(run, scratch.path(), name))?;
    Ok(Held::Yes(format!("{} files made again, byte for byte", names.len() - sources.len())))
}

/// Whether both runs hold the same bytes under `name`.
fn same(folder: &RunFolder, again: &RunFolder, name: &str) -> Result<()> {
    same_in(folder.path(), again.path(), name)
}

/// Whether both folders do.
fn same_in(folder: &Path, again: &Path, name: &str) -> Result<()> {
    let published = std::fs::read(folder.join(name)).in_file(&folder.join(name))?;
    let found = std::fs::read(again.join(name)).in_file(&again.join(name))?;
    if published == found {
        return Ok(());
    }
    let at = published.iter().zip(&found).position(|(a, b)| a != b);
    let at = at.unwrap_or(published.len().min(found.len()));
    let line = published[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
    Err(RunError::input(format!(
        "{name}: line {line} (byte {at}) is not what this program makes of the run's log"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::check::said;
    use crate::example;

    #[test]
    fn the_first_difference_is_told_by_its_line_and_byte() {
        let [published, again] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        for (text, found, expected) in [
            ("one\ntwo\n", "one\ntwo\n", None),
            ("one\ntwo\n", "one\ntwx\n", Some("a: line 2 (byte 6)")),
            ("one\ntwo\n", "xne\ntwo\n", Some("a: line 1 (byte 0)")),
            ("one\ntwo\n", "one\n", Some("a: line 2 (byte 4)")),
            ("", "one\n", Some("a: line 1 (byte 0)")),
        ] {
            std::fs::write(published.path().join("a"), text).unwrap();
            std::fs::write(again.path().join("a"), found).unwrap();
            let said = same_in(published.path(), again.path(), "a").map_err(|error| error.words()).err();
            let said = said.as_deref().map(|words| words.split(" is not").next().unwrap());
            assert_eq!(said, expected, "{text:?} {found:?}");
        }
    }

    #[test]
    fn a_published_run_follows_from_its_log() {
        let (place, folder) = example::published();
        let found = said(log(&folder));
        assert!(found.0 == "yes" && found.1.contains(" records, the chain holds to "), "{found:?}");
        assert_eq!(said(stops(&folder)), ("yes", "0 candidates left early, by the rules".to_owned()));
        assert_eq!(said(recomputed(&folder)).0, "yes");
        // What the others follow from is named first.
        for (first, changed) in [
            (ESTIMATES_FILE, ["estimates.csv", ESTIMATES_FILE, RANKING_FILE]),
            (RANKING_FILE, ["leaderboard.csv", RANKING_FILE, "report.md"]),
        ] {
            let (place, folder) = example::published();
            for name in changed {
                std::fs::write(place.path().join(name), "x").unwrap();
            }
            let found = said(recomputed(&folder));
            assert!(
                found.0 == "no" && found.1.starts_with(&format!("{first}: line 1 (byte 0)")),
                "{found:?}"
            );
        }
        // Answers are what they are named by.
        assert_eq!(said(pictures(&folder)).0, "yes");
        let answer = std::fs::read_dir(folder.artefacts()).unwrap().next().unwrap().unwrap().path();
        std::fs::write(answer, "no picture").unwrap();
        assert_eq!(said(pictures(&folder)).0, "no");
        let mut plan = folder.plan().unwrap();
        plan.lanes = 2;
        folder.write_document(PLAN_FILE, &plan).unwrap();
        assert!(said(stops(&folder)).1.starts_with("2 lanes decided together"));
        drop(place);
    }
}
