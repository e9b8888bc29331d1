//! From nothing to processes that are ready and at rest.

use edgemaxx_contract::sample::{Failure, FailureKind, Launch, LaunchOutcome, Record};
use edgemaxx_devices::Watched;
use edgemaxx_engine::{Launched, Loaded, Object};

use super::course::{Broken, Course, Halt, Residents};
use crate::descriptors::lacking;
use crate::error::MeasureError;
use crate::observe::pipeline_of;
use crate::process::Processes;
use crate::remaining::Member;
use crate::run::Run;

/// Launches processes, then loads them, in that order, each while the others rest, and records how it went;
/// `None`: none of them is ready, and others are still to come.
pub(super) fn launch(
    run: &mut Run<'_, '_>,
    members: &[Member],
    course: &mut Course<'_>,
) -> Result<Option<Residents>, Halt> {
    let plan = run.plan;
    let mut launched: Vec<(Member, Launched)> = Vec::new();
    for &member in members {
        let (session, side) = member;
        let Some(pipeline) = plan.pipeline(pipeline_of(plan, &plan.sessions[session as usize], side)) else {
            return Err(MeasureError::Plan(format!("sessions[{session}]: no such pipeline")).into());
        };
        match run.launcher.launch(pipeline) {
            Ok(mut process) => {
                let rest = process.engine.rest();
                launched.push((member, process));
                watch(run, course, &launched);
                if let Err(failure) = rest {
                    broken_launch(run, course, Broken { member, failure }, &mut launched)?;
                }
            }
            Err(failure) => {
                if let Some(source) = lacking(&failure) {
                    return Err(MeasureError::Descriptors { source }.into());
                }
                broken_launch(run, course, Broken { member, failure }, &mut launched)?;
            }
        }
    }
    let mut loaded: Vec<(Member, Loaded)> = Vec::new();
    for member in launched.iter().map(|(member, _)| *member).collect::<Vec<_>>() {
        let Some((_, process)) = launched.iter_mut().find(|(of, _)| *of == member) else { continue };
        let Launched { engine, load, .. } = process;
        let one = engine.wake().and_then(|()| engine.load(load));
        match one.and_then(|one| engine.rest().map(|()| one)) {
            Ok(one) => loaded.push((member, one)),
            Err(failure) => broken_launch(run, course, Broken { member, failure }, &mut launched)?,
        }
    }
    for broken in unlike(run, &loaded, course) {
        broken_launch(run, course, broken, &mut launched)?;
    }
    for (member, process) in &launched {
        let Some((_, loaded)) = loaded.iter().find(|(of, _)| of == member) else { continue };
        run.append(Record::Launch(Launch {
            session: member.0,
            launch: course.launch,
            side: member.1,
            outcome: LaunchOutcome::Ready {
                launch_ns: process.launch_ns,
                load_ns: loaded.load_ns,
                engine: process.info.clone(),
            },
        }))?;
    }
    let Some((first, _)) = launched.first() else { return Ok(None) };
    let Some(ready) = course.known.get(&course.baseline()).or(course.known.get(first)).cloned() else {
        return Ok(None);
    };
    let now_ns = run.now_ns();
    let engines = launched.into_iter().map(|(member, launched)| (member, launched.engine));
    let processes = Processes::at_rest(engines, now_ns);
    Ok(Some(Residents { processes, ready, launch: course.launch, next_id: 1 }))
}

/// Tells telemetry which processes there are.
fn watch(run: &mut Run<'_, '_>, course: &Course<'_>, launched: &[(Member, Launched)]) {
    let engines: Vec<Watched> = launched
        .iter()
        .filter_map(|((session, side), process)| {
            let root = process.engine.root()?;
            Some(Watched { session: *session, launch: course.launch, side: *side, root })
        })
        .collect();
    run.io.telemetry.watch(&engines);
}

/// Records whose fault it is that a process is not ready, and ends it; all that were launched where
/// nothing can be measured without it.
fn broken_launch(
    run: &mut Run<'_, '_>,
    course: &mut Course<'_>,
    broken: Broken,
    launched: &mut Vec<(Member, Launched)>,
) -> Result<(), Halt> {
    let Broken { member: (session, side), failure } = &broken;
    let goes_on = course.goes_on_without(broken.member);
    launched.retain_mut(|(member, process)| {
        let stays = goes_on && *member != broken.member;
        if !stays {
            process.engine.close();
        }
        stays
    });
    watch(run, course, launched);
    let outcome = LaunchOutcome::Failed(failure.clone());
    run.append(Record::Launch(Launch { session: *session, launch: course.launch, side: *side, outcome }))?;
    if goes_on { Ok(()) } else { Err(Halt::Broken(broken)) }
}

/// Who said something else when it was ready than the baseline, as far as requests depend on it: since
/// all are asked the same, everybody's must be equal.
fn unlike(run: &Run<'_, '_>, loaded: &[(Member, Loaded)], course: &mut Course<'_>) -> Vec<Broken> {
    let broken =
        |member, detail: String| Broken { member, failure: Failure { kind: FailureKind::Protocol, detail } };
    let mut found = Vec::new();
    for (member, loaded) in loaded {
        match run.io.codec.ready(&run.plan.request, &loaded.ready) {
            Ok(ready) => {
                course.known.insert(*member, ready);
                let scoring = run.io.codec.scoring();
                if scoring.is_some_and(|scoring| scoring.is_offered(&loaded.ready)) {
                    course.scorers.insert(*member);
                }
            }
            Err(detail) => found.push(broken(*member, detail)),
        }
    }
    let words = |ready: &Object| serde_json::Value::Object(ready.clone()).to_string();
    let Some(baseline) = course.known.get(&course.baseline()) else { return found };
    let others = course.known.iter();
    for (member, ready) in others.filter(|(member, ready)| *ready != baseline && course.is_wanted(**member)) {
        let (own, theirs) = (words(ready), words(baseline));
        let detail = format!("ready: it says {own}, the baseline {theirs}; both sides are asked the same");
        found.push(broken(*member, detail));
    }
    found
}
