//! What no clock times, after the last pair: how likely both sides find the baseline's answers.

use edgemaxx_contract::plan::Side;
use edgemaxx_contract::sample::{Failure, FailureKind, Record, Scores, ScoresOutcome};
use edgemaxx_engine::{Ask, Scoring};

use super::course::{Course, Residents};
use crate::error::MeasureError;
use crate::remaining::{Member, Unscored, unscored};
use crate::run::Run;

/// Asks the processes that are left, and score, what they were not asked yet. One that fails is asked no more, and nothing
/// else comes of it: its session is complete.
pub(super) fn score(
    run: &mut Run<'_, '_>,
    course: &Course<'_>,
    residents: &mut Residents,
) -> Result<(), MeasureError> {
    let plan = run.plan;
    let Some(scoring) = run.io.codec.scoring().filter(|_| plan.task.scored(&plan.request) > 0) else {
        return Ok(());
    };
    // Nobody watches what is not timed.
    run.io.telemetry.watch(&[]);
    for member in residents.processes.members() {
        if !course.scorers.contains(&member) {
            continue;
        }
        for session in
            course.sessions.iter().filter(|session| member.1 == Side::Baseline || session.index == member.0)
        {
            for wanted in unscored(plan, &run.log, &session.candidate, member.1) {
                run.check_interrupt()?;
                let outcome = ask(run, scoring, residents, member, &wanted)?;
                let failed = matches!(outcome, ScoresOutcome::Failed(_));
                let Unscored { session, pair, .. } = wanted;
                run.append(Record::Scores(Scores { session, side: member.1, pair, outcome }))?;
                if failed {
                    break;
                }
            }
        }
    }
    Ok(())
}

/// What a process says of one answer.
fn ask(
    run: &mut Run<'_, '_>,
    scoring: &dyn Scoring,
    residents: &mut Residents,
    member: Member,
    wanted: &Unscored,
) -> Result<ScoresOutcome, MeasureError> {
    let Residents { processes, next_id, .. } = residents;
    let planned = &run.plan.requests[wanted.request as usize];
    let answer = run.io.disk.get(&run.plan.artefact(&wanted.answer))?;
    let (header, limits) = scoring.question(planned, &answer).map_err(MeasureError::Plan)?;
    let id = *next_id;
    *next_id += 1;
    let patience = run.patience.seconds(member.1);
    let said = match processes.wake(member, run.now_ns()) {
        Ok(None) => return Ok(gone()),
        Ok(Some(engine)) => {
            engine.set_patience(patience);
            let said = engine.ask(&Ask { id, header, payload: &[], limits });
            processes.rest(member, run.now_ns()).and(said)
        }
        Err(failure) => Err(failure),
    };
    let kept = said.and_then(|said| {
        scoring.scores(planned, &answer, &said).map_err(|problem| Failure {
            kind: FailureKind::Answer,
            detail: processes.with_last_words(member, problem),
        })
    });
    Ok(match kept {
        Ok(scores) => ScoresOutcome::Given { scores: run.store(&scores)? },
        Err(failure) => ScoresOutcome::Failed(failure),
    })
}

fn gone() -> ScoresOutcome {
    ScoresOutcome::Failed(Failure { kind: FailureKind::Died, detail: "it is not in memory".to_owned() })
}
