//! The plan: drawn again from the contest, the candidates' digests, the day and the entropy.

use edgemaxx_contract::contest::{CheckpointSpec, Contest};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::format::Document as _;
use edgemaxx_contract::plan::{PipelinePlan, Plan, PlanInputs, Role, draw_plan};
use edgemaxx_contract::run_files::{CONTEST_FILE, PLAN_FILE, PROMPTS_FILE};

use super::check::{Held, Means};
use crate::error::{InFile as _, Result, RunError};
use crate::folder::RunFolder;
use crate::resolve::FolderDigests;
use crate::sources::source_folder;
use crate::task::kit;

/// The plan is what contest, prompts, candidates, day and entropy make of it.
pub(super) fn drawn(folder: &RunFolder, means: &Means) -> Result<Held> {
    let plan = folder.plan()?;
    let mut contest = folder.contest(&plan)?;
    let prompts = folder.read(PROMPTS_FILE)?;
    if Digest::of(prompts.as_bytes()) != plan.prompts.digest {
        return Err(RunError::input("prompts.txt: not the prompts that plan.json names"));
    }
    pipelines(&plan, &contest)?;
    // Asked for on the command line, as are lanes, where it was: what it may change is how long is measured.
    contest.measurement.stopping = plan.measurement.stopping;
    // Without the baseline, what its tokenizer made of the prompts is the plan's word.
    let here =
        means.base.as_ref().and_then(|base| source_folder(base, &plan.baseline().checkpoint.source).ok());
    let encoder = match &here {
        Some(baseline) => kit(plan.task)?.encoder(baseline)?,
        None => kit(plan.task)?.recalled(&plan)?,
    };
    let drawn = draw_plan(PlanInputs {
        contest: &contest,
        prompts_file: &plan.prompts.file,
        prompts: &prompts,
        pipelines: &plan.pipelines,
        day: &plan.day,
        entropy: &plan.entropy,
        extent: plan.extent,
        encoder: encoder.as_deref(),
    })
    .in_file(&folder.file(PLAN_FILE))?
    .in_lanes(plan.lanes)
    .in_file(&folder.file(PLAN_FILE))?;
    if drawn.to_json() != *folder.read(PLAN_FILE)? {
        return Err(RunError::input(format!(
            "{PLAN_FILE}: not what its contest, its candidates, the day {} and the entropy {:?} make of it",
            plan.day,
            plan.entropy.as_str()
        )));
    }
    let here = checkpoints(&plan, means)?;
    Ok(Held::Yes(format!(
        "drawn again from {} and {:?}: {} sessions; {here} of {} checkpoints are here and the same",
        plan.day,
        plan.entropy.as_str(),
        plan.sessions.len(),
        plan.pipelines.len()
    )))
}

/// The pipelines are the contest's, as far as it says what they are.
fn pipelines(plan: &Plan, contest: &Contest) -> Result<()> {
    let foreign = |name: &str, field: &str| {
        Err(RunError::input(format!(
            "{PLAN_FILE}: pipeline {name:?}: {field} is not what {CONTEST_FILE} says"
        )))
    };
    let baseline = plan.baseline();
    let same = |pipeline: &PipelinePlan| {
        pins(&pipeline.checkpoint, &contest.baseline.checkpoint)
            && pipeline.settings == contest.baseline.settings
            && pipeline.engine == contest.baseline.engine
            && pipeline.digest == baseline.digest
    };
    if baseline.name != contest.baseline.name || !same(baseline) {
        return foreign(&baseline.name, "the baseline");
    }
    let mut wanted = contest.candidates.iter().filter(|candidate| !candidate.control);
    for pipeline in plan.candidates() {
        match pipeline.role {
            Role::Baseline => return foreign(&pipeline.name, "its role"),
            Role::Control if !same(pipeline) => return foreign(&pipeline.name, "the control"),
            Role::Control => {}
            Role::Candidate => {
                let Some(spec) = wanted.next().filter(|spec| spec.name == pipeline.name) else {
                    return foreign(&pipeline.name, "its place");
                };
                if !pins(&pipeline.checkpoint, &spec.checkpoint) {
                    return foreign(&pipeline.name, "its checkpoint");
                }
                let patched = plan.task.patched(&pipeline.settings, &spec.settings);
                if patched.ok().as_ref() != Some(&pipeline.settings) {
                    return foreign(&pipeline.name, "its generation");
                }
                if spec.engine.as_ref().is_some_and(|engine| *engine != pipeline.engine) {
                    return foreign(&pipeline.name, "its engine");
                }
            }
        }
    }
    match wanted.next() {
        Some(spec) => foreign(&spec.name, "its absence"),
        None => Ok(()),
    }
}

/// Whether `planned` is what the contest asked for: a repository is planned at a full revision.
fn pins(planned: &CheckpointSpec, asked: &CheckpointSpec) -> bool {
    let repository = asked.source.split('@').next().unwrap_or_default();
    let same = planned.source == asked.source
        || planned.source.strip_prefix(repository).is_some_and(|rest| rest.starts_with('@'));
    same && planned.unet == asked.unet && planned.derive == asked.derive
}

/// How many checkpoints are on this machine; they must be the plan's.
fn checkpoints(plan: &Plan, means: &Means) -> Result<u32> {
    let Some(base) = &means.base else { return Ok(0) };
    let mut digests = FolderDigests::default();
    let mut here = 0;
    for pipeline in &plan.pipelines {
        match digests.of(base, &pipeline.checkpoint) {
            Ok(digest) if digest == pipeline.digest => here += 1,
            Ok(digest) => {
                return Err(RunError::input(format!(
                    "{PLAN_FILE}: pipeline {:?}: names {}, but the checkpoint in {} is {}",
                    pipeline.name,
                    pipeline.digest.short(),
                    base.display(),
                    digest.short()
                )));
            }
            Err(_) => {}
        }
    }
    Ok(here)
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::contest::{EngineSpec, Recipe};

    use super::*;
    use crate::example;

    const MEANS: Means =
        Means { previous: None, base: None, hotkey: None, netuid: None, allow_unsigned: true };

    #[test]
    fn a_plan_is_what_its_sources_make_of_it() {
        let (place, folder) = example::published();
        let said = || match drawn(&folder, &MEANS) {
            Ok(Held::Yes(words)) => words,
            Ok(Held::NotHere(words) | Held::Unknown(words)) => format!("not told: {words}"),
            Err(error) => error.words(),
        };
        assert!(said().ends_with(": 30 sessions; 0 of 7 checkpoints are here and the same"), "{}", said());
        let plan = folder.plan().unwrap();
        let changed = Plan { day: "2026-11-23".parse().unwrap(), ..plan.clone() };
        folder.write_document(PLAN_FILE, &changed).unwrap();
        assert!(
            said().contains("not what its contest, its candidates, the day 2026-11-23 and"),
            "{}",
            said()
        );
        folder.write_document(PLAN_FILE, &plan).unwrap();
        std::fs::write(place.path().join(PROMPTS_FILE), "another\n").unwrap();
        assert!(said().contains("not the prompts that plan.json names"), "{}", said());
    }

    #[test]
    fn pipelines_are_the_contests() {
        let (_place, folder) = example::run();
        let plan = folder.plan().unwrap();
        let contest = folder.contest(&plan).unwrap();
        let said = |change: fn(&mut Plan, &mut Contest)| {
            let (mut plan, mut contest) = (plan.clone(), contest.clone());
            change(&mut plan, &mut contest);
            pipelines(&plan, &contest).map_or_else(|error| error.words(), |()| "same".to_owned())
        };
        type Change = fn(&mut Plan, &mut Contest);
        let other = EngineSpec::CandleTransformers;
        assert_ne!(plan.baseline().engine, other);
        let same: [Change; 2] = [
            |_, _| {},
            |plan, contest| contest.candidates[1].engine = Some(plan.pipelines[2].engine.clone()),
        ];
        for change in same {
            assert_eq!(said(change), "same");
        }
        // The baseline, the control, then those whom the contest names.
        let cases: [(&str, Change); 17] = [
            ("\"other\": the baseline", |p, _| p.pipelines[0].name = "other".to_owned()),
            ("\"teacher\": the baseline", |p, _| p.pipelines[0].checkpoint.derive = Some(Recipe::F16)),
            ("\"teacher\": the baseline", |p, _| p.pipelines[0].settings = p.pipelines[2].settings.clone()),
            ("\"teacher\": the baseline", |p, _| p.pipelines[0].engine = EngineSpec::CandleTransformers),
            ("\"clone\": the control", |p, _| p.pipelines[1].checkpoint.derive = Some(Recipe::F16)),
            ("\"clone\": the control", |p, _| p.pipelines[1].settings = p.pipelines[2].settings.clone()),
            ("\"clone\": the control", |p, _| p.pipelines[1].engine = EngineSpec::CandleTransformers),
            ("\"clone\": the control", |p, _| p.pipelines[1].digest = p.pipelines[3].digest),
            ("\"clone\": its role", |p, _| p.pipelines[1].role = Role::Baseline),
            ("\"student-5\": its place", |p, _| p.pipelines.swap(2, 3)),
            ("\"steps-10\": its checkpoint", |p, _| p.pipelines[2].checkpoint.derive = Some(Recipe::F16)),
            ("\"steps-10\": its generation", |p, _| {
                p.pipelines[2].settings = p.pipelines[0].settings.clone()
            }),
            ("\"steps-10\": its engine", |_, c| {
                c.candidates[1].engine = Some(EngineSpec::CandleTransformers);
            }),
            ("\"noisy\": its absence", |p, _| drop(p.pipelines.pop())),
            ("\"steps-10\": its absence", |p, _| p.pipelines.truncate(2)),
            ("\"steps-10\": its role", |p, _| p.pipelines[2].role = Role::Baseline),
            ("\"noisy\": its place", |_, c| drop(c.candidates.pop())),
        ];
        for (expected, change) in cases {
            let problem = said(change);
            assert!(problem.contains(&format!("{expected} is not what contest.toml says")), "{problem}");
        }
    }

    #[test]
    fn a_repository_is_planned_at_a_full_revision_of_its_own() {
        let spec = |source: &str, unet: Option<&str>, derive| CheckpointSpec {
            source: source.to_owned(),
            unet: unet.map(str::to_owned),
            derive,
        };
        for (planned, asked, expected) in [
            ("m", "m", true),
            ("m", "n", false),
            ("hf:o/n@0123", "hf:o/n@0123", true),
            ("hf:o/n@0123", "hf:o/n@main", true),
            ("hf:o/n@0123", "hf:o/n", true),
            ("hf:o/nn@0123", "hf:o/n@main", false),
            ("hf:o/n", "hf:o/n@main", false),
        ] {
            let found = pins(&spec(planned, None, None), &spec(asked, None, None));
            assert_eq!(found, expected, "{planned} for {asked}");
        }
        let asked = spec("m", Some("u"), Some(Recipe::F16));
        assert!(pins(&asked, &asked));
        assert!(!pins(&spec("m", None, Some(Recipe::F16)), &asked));
        assert!(!pins(&spec("m", Some("u"), Some(Recipe::Int8)), &asked));
        assert!(!pins(&spec("n", Some("u"), Some(Recipe::F16)), &asked));
    }

    #[test]
    fn checkpoints_that_are_here_are_the_plans() {
        let (_place, folder) = example::run();
        let mut plan = folder.plan().unwrap();
        let base = tempfile::tempdir().unwrap();
        std::fs::create_dir(base.path().join("m")).unwrap();
        std::fs::write(base.path().join("m/weights"), "w").unwrap();
        let here = |plan: &Plan| {
            let means = Means { base: Some(base.path().to_owned()), ..MEANS };
            checkpoints(plan, &means).map_err(|error| error.words())
        };
        assert_eq!(here(&plan), Ok(0));
        let checkpoint = CheckpointSpec { source: "m".to_owned(), unet: None, derive: None };
        let digest = FolderDigests::default().of(base.path(), &checkpoint).unwrap();
        for pipeline in &mut plan.pipelines[..2] {
            (pipeline.checkpoint, pipeline.digest) = (checkpoint.clone(), digest);
        }
        assert_eq!(here(&plan), Ok(2));
        assert_eq!(checkpoints(&plan, &MEANS).ok(), Some(0));
        plan.pipelines[1].digest = Digest::of("another");
        let problem = here(&plan).unwrap_err();
        assert!(
            problem.contains("pipeline \"clone\": names ") && problem.contains(&*digest.short()),
            "{problem}"
        );
    }
}
