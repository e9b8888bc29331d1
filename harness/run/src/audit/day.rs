//! A validator's day: its candidates are those of the chain, its weights follow from its ranking.

use std::path::Path;

use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::day::{DAY_FILE, DayRecord, Fate};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::format::Document;
use edgemaxx_contract::joint::{JOINT_FILE, Joint};
use edgemaxx_contract::plan::{Plan, Role};
use edgemaxx_contract::ranking::Ranking;
use edgemaxx_contract::run_files::{CONTEST_FILE, RANKING_FILE};
use edgemaxx_contract::weights::{Origin, WEIGHTS_FILE, Weights};
use edgemaxx_seal::manifest;
use edgemaxx_validator::day_weights::{Basis, weights_of};

use super::check::{Held, Means};
use super::seal::previous_folder;
use crate::error::{InFile as _, Result, RunError};
use crate::folder::RunFolder;
use crate::text_file::read_text;

/// One of the day's documents.
pub(super) fn document<T: Document>(run: &Path, name: &str) -> Result<T> {
    let path = run.join(name);
    T::from_json(&read_text(&path)?).in_file(&path)
}

/// It is a day of the subnet that it must be of.
pub(super) fn subnet(run: &Path, netuid: u16) -> Result<Held> {
    let (name, found) = if run.join(JOINT_FILE).exists() {
        (JOINT_FILE, document::<Joint>(run, JOINT_FILE)?.netuid)
    } else if run.join(DAY_FILE).exists() {
        (DAY_FILE, document::<DayRecord>(run, DAY_FILE)?.netuid)
    } else {
        return Err(RunError::input(format!("{DAY_FILE}: is not there; a run by hand is of no subnet")));
    };
    match found == netuid {
        true => Ok(Held::Yes(format!("netuid {netuid}"))),
        false => Err(RunError::input(format!("{name}: a day of subnet {found}, not of {netuid}"))),
    }
}

/// Who is measured is who was found on chain, on the day and with the entropy of its block.
pub(super) fn candidates(folder: &RunFolder) -> Result<Held> {
    if !folder.file(DAY_FILE).exists() {
        return Ok(Held::NotHere("a run by hand: its candidates are its contest's".to_owned()));
    }
    let plan = folder.plan()?;
    let record: DayRecord = document(folder.path(), DAY_FILE)?;
    let wrong = |problem: &str| Err(RunError::input(format!("{DAY_FILE}: {problem}")));
    if record.day != plan.day {
        return wrong("another day than plan.json's");
    }
    if record.entropy() != Some(plan.entropy.as_str()) {
        return wrong("the entropy of plan.json is not its block's hash");
    }
    let measured = candidates_of(&plan);
    let mut found: Vec<(&str, Digest)> = Vec::new();
    for submission in &record.submissions {
        if let Fate::Candidate { digest, .. } = submission.fate {
            found.push((&submission.hotkey, digest));
        }
    }
    found.sort_unstable();
    if found != measured {
        return wrong("its candidates are not those of plan.json");
    }
    if !record.submissions.is_sorted_by(|a, b| a.order() <= b.order()) {
        return wrong("its submissions are not in the order of their commitments");
    }
    Ok(Held::Yes(format!(
        "{} of {} submissions at block {}",
        measured.len(),
        record.submissions.len(),
        record.block.map_or(0, |block| block.number)
    )))
}

/// Where nothing was measured, nobody was to be, or it is said why not.
pub(super) fn nobody_measured(run: &Path) -> Result<Held> {
    if !run.join(DAY_FILE).exists() {
        return Ok(Held::NotHere("nothing was measured, and it is no validator's day".to_owned()));
    }
    let record: DayRecord = document(run, DAY_FILE)?;
    let candidates = record.submissions.iter().filter(|s| matches!(s.fate, Fate::Candidate { .. })).count();
    let pending = record.submissions.iter().filter(|s| s.fate == Fate::Pending).count();
    match &record.not_measured {
        None if candidates + pending > 0 => Err(RunError::input(format!(
            "{DAY_FILE}: {} were to be measured, nothing was, and it does not say why",
            candidates + pending
        ))),
        None => Ok(Held::Yes("nobody was to be measured".to_owned())),
        Some(why) => Ok(Held::Yes(format!("{candidates} were to be measured, and nothing was: {why}"))),
    }
}

/// Who is measured, by name, and which files.
pub(super) fn candidates_of(plan: &Plan) -> Vec<(&str, Digest)> {
    let candidates = plan.pipelines.iter().filter(|pipeline| pipeline.role == Role::Candidate);
    let mut names: Vec<_> = candidates.map(|pipeline| (pipeline.name.as_str(), pipeline.digest)).collect();
    names.sort_unstable();
    names
}

/// The weights are what ranking, registrations and the day before make of them.
pub(super) fn weights(run: &Path, means: &Means) -> Result<Held> {
    if !run.join(WEIGHTS_FILE).exists() {
        return Ok(Held::NotHere("a run by hand decides about no weights".to_owned()));
    }
    let published: Weights = document(run, WEIGHTS_FILE)?;
    let record: DayRecord = document(run, DAY_FILE)?;
    let contest_path = run.join(CONTEST_FILE);
    let contest = Contest::parse(&read_text(&contest_path)?).in_file(&contest_path)?;
    let ranking_path = run.join(RANKING_FILE);
    let ranking = if ranking_path.exists() {
        let text = read_text(&ranking_path)?;
        Some((Ranking::from_json(&text).in_file(&ranking_path)?, Digest::of(&text)))
    } else {
        None
    };
    let manifest = manifest::read(run)?.0;
    if let Some(signature) = &manifest.signature
        && signature.hotkey != record.validator
    {
        return Err(RunError::input(format!(
            "{DAY_FILE}: the day of {}, but signed by {}",
            record.validator, signature.hotkey
        )));
    }
    if let Some(other) = contest.netuid.filter(|other| *other != record.netuid) {
        return Err(RunError::input(format!(
            "{DAY_FILE}: a day of subnet {}, but its contest is for {other}",
            record.netuid
        )));
    }
    let named = manifest.previous;
    let folder = named.as_ref().and_then(|named| previous_folder(run, means, &named.day.to_string()));
    let previous: Option<Weights> =
        folder.as_ref().map(|folder| document(folder, WEIGHTS_FILE)).transpose()?;
    if let Some(previous) = &previous {
        let winner = previous.winner.as_ref();
        let takes_part = winner.filter(|winner| contest.candidates.iter().any(|c| c.name == **winner));
        if contest.incumbent.as_ref() != takes_part {
            return Err(RunError::input(
                "contest.toml: its incumbent is not the winner of the day before that takes part",
            ));
        }
    }
    let decided = weights_of(&Basis {
        day: &record,
        rewards: &contest.rewards,
        ranking: ranking.as_ref().map(|(ranking, digest)| (ranking, *digest)),
        previous: previous.as_ref(),
        share: published.share,
    });
    if decided == published {
        return Ok(Held::Yes(format!("{} hotkeys: {}", published.entries.len(), published.reason)));
    }
    if named.is_some() && previous.is_none() && published.origin == Origin::Kept {
        return Ok(Held::Unknown(
            "kept from the day before, which is not here; show it with --previous".to_owned(),
        ));
    }
    Err(RunError::input(format!(
        "{WEIGHTS_FILE}: not what {RANKING_FILE} and {DAY_FILE} make of them: {}",
        decided.reason
    )))
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::weights::entries;
    use edgemaxx_seal::manifest::PreviousDay;
    use tempfile::TempDir;

    use super::*;
    use crate::audit::check::said;
    use crate::audit::example::{NETUID, decide, record, seal, write};
    use crate::example::{PAID, run};

    const MEANS: Means =
        Means { previous: None, base: None, hotkey: None, netuid: None, allow_unsigned: true };

    /// A day that was measured, as its validator leaves it: signed, the first of its chain.
    fn day() -> (TempDir, RunFolder, DayRecord) {
        let (place, folder) = run();
        let record = record(&folder.plan().unwrap());
        write(place.path(), DAY_FILE, &record);
        decided(place.path(), None, None);
        (place, folder, record)
    }

    /// Decides and seals a day after another one.
    fn decided(run: &Path, before: Option<(&Weights, PreviousDay)>, share: Option<f64>) -> Weights {
        let weights = decide(run, before.as_ref().map(|(weights, _)| *weights), share);
        seal(run, before.map(|(_, named)| named));
        weights
    }

    #[test]
    fn a_day_is_of_the_subnet_that_it_says() {
        let (place, _, _) = day();
        assert_eq!(said(subnet(place.path(), NETUID)), ("yes", "netuid 39".to_owned()));
        assert_eq!(
            said(subnet(place.path(), 40)),
            ("no", "day.json: a day of subnet 39, not of 40".to_owned())
        );
        let joint = Joint {
            format: Joint::expected_format(),
            day: "2026-11-22".parse().unwrap(),
            netuid: 41,
            validator: String::new(),
            since: None,
            contests: Vec::new(),
        };
        write(place.path(), JOINT_FILE, &joint);
        assert_eq!(said(subnet(place.path(), 41)).0, "yes", "what several contests decide says it for them");
        let (place, _) = run();
        assert_eq!(said(subnet(place.path(), NETUID)).0, "no");
    }

    #[test]
    fn who_was_measured_is_who_was_found_in_the_order_of_the_chain() {
        let (place, folder, good) = day();
        let (verdict, words) = said(candidates(&folder));
        assert_eq!((verdict, words.as_str()), ("yes", "5 of 6 submissions at block 9"));
        type Change = fn(&mut DayRecord);
        let lies: [(&str, Change); 8] = [
            ("another day than plan.json's", |of| of.day = "2026-11-23".parse().unwrap()),
            ("is not its block's hash", |of| of.block.as_mut().unwrap().hash = "0x02".to_owned()),
            ("is not its block's hash", |of| of.block = None),
            ("not those of plan.json", |of| of.submissions[0].fate = Fate::candidate(Digest::of("other"))),
            ("not those of plan.json", |of| of.submissions[0].fate = Fate::Unregistered),
            ("not those of plan.json", |of| of.submissions[5].fate = Fate::candidate(Digest::of("late"))),
            ("not those of plan.json", |of| of.submissions[0].hotkey = "somebody".to_owned()),
            ("not in the order of their commitments", |of| of.submissions.swap(0, 1)),
        ];
        for (expected, change) in lies {
            let mut lie = good.clone();
            change(&mut lie);
            write(place.path(), DAY_FILE, &lie);
            let (verdict, words) = said(candidates(&folder));
            assert!(verdict == "no" && words.ends_with(expected), "{expected}: {words}");
        }
        let (_place, folder) = run();
        assert_eq!(said(candidates(&folder)).0, "not here");
    }

    #[test]
    fn a_day_on_which_nothing_was_measured_says_why_where_somebody_was_to_be() {
        let (place, _, mut day) = day();
        let mut tell = |fates: [Fate; 2], why: Option<&str>| {
            day.submissions.truncate(2);
            day.submissions.iter_mut().zip(fates).for_each(|(of, fate)| of.fate = fate);
            day.not_measured = why.map(str::to_owned);
            write(place.path(), DAY_FILE, &day);
            said(nobody_measured(place.path()))
        };
        let (candidate, invalid) =
            (Fate::candidate(Digest::of("x")), Fate::Invalid { reason: "x".to_owned() });
        let silent =
            |n: u32| format!("day.json: {n} were to be measured, nothing was, and it does not say why");
        assert_eq!(tell([candidate.clone(), Fate::Pending], None), ("no", silent(2)));
        assert_eq!(tell([candidate.clone(), candidate.clone()], None), ("no", silent(2)));
        assert_eq!(tell([invalid.clone(), Fate::Pending], None), ("no", silent(1)));
        assert_eq!(
            tell([invalid.clone(), invalid.clone()], None),
            ("yes", "nobody was to be measured".to_owned())
        );
        let said_so = "1 were to be measured, and nothing was: no disk".to_owned();
        assert_eq!(tell([candidate, invalid], Some("no disk")), ("yes", said_so));
        let (place, _) = run();
        assert_eq!(said(nobody_measured(place.path())).0, "not here");
    }

    #[test]
    fn weights_are_what_the_day_makes_of_them_and_nothing_else() {
        let (place, _, good) = day();
        let path = place.path();
        let verdict = said(weights(path, &MEANS));
        assert_eq!(
            verdict,
            ("yes", "2 hotkeys: student-5 wins: at least 3.06× as fast as teacher.".to_owned())
        );
        let right: Weights = document(path, WEIGHTS_FILE).unwrap();
        // By hotkey.
        let shares = [PAID[1].1, PAID[0].1].map(|share| (share * 1e9).round());
        assert_eq!(right.entries.iter().map(|entry| (entry.share * 1e9).round()).collect::<Vec<_>>(), shares);
        let lie = Weights { entries: entries([("steps-10".to_owned(), 1.0)]), ..right.clone() };
        write(path, WEIGHTS_FILE, &lie);
        let (verdict, words) = said(weights(path, &MEANS));
        assert!(
            verdict == "no" && words.starts_with("weights.json: not what ranking.json and day.json"),
            "{words}"
        );
        write(path, WEIGHTS_FILE, &right);
        // Nor is what was kept from a day that nobody names.
        write(path, WEIGHTS_FILE, &Weights { origin: Origin::Kept, ..right.clone() });
        assert_eq!(said(weights(path, &MEANS)).0, "no");
        write(path, WEIGHTS_FILE, &right);
        write(path, DAY_FILE, &DayRecord { validator: "v".to_owned(), ..good.clone() });
        let (verdict, words) = said(weights(path, &MEANS));
        assert!(verdict == "no" && words.starts_with("day.json: the day of v, but signed by 5"), "{words}");
        write(path, DAY_FILE, &good);
        // A contest for one subnet decides nothing on another.
        let contest = std::fs::read_to_string(path.join(CONTEST_FILE)).unwrap();
        for (netuid, expected) in [(NETUID, "yes"), (40, "no")] {
            std::fs::write(path.join(CONTEST_FILE), format!("netuid = {netuid}\n{contest}")).unwrap();
            let (verdict, words) = said(weights(path, &MEANS));
            assert_eq!(verdict, expected, "{words}");
        }
        // Where nothing was measured, the rest decides.
        std::fs::write(path.join(CONTEST_FILE), contest).unwrap();
        std::fs::remove_file(path.join(RANKING_FILE)).unwrap();
        assert_eq!(said(weights(path, &MEANS)).0, "no");
        assert_eq!(decided(path, None, Some(0.5)).origin, Origin::None);
        assert_eq!(said(weights(path, &MEANS)).0, "yes");
        let (place, _) = run();
        assert_eq!(said(weights(place.path(), &MEANS)).0, "not here");
    }

    #[test]
    fn what_is_kept_and_who_defends_follow_from_the_day_before() {
        let (before, _, mut today) = day();
        let won: Weights = document(before.path(), WEIGHTS_FILE).unwrap();
        let (sealed_before, digest) = manifest::read(before.path()).unwrap();
        let named = || PreviousDay { day: sealed_before.day.clone(), manifest: digest };
        // The next day nobody could be measured.
        let place = tempfile::tempdir().unwrap();
        let path = place.path();
        today.day = "2030-01-01".parse().unwrap();
        today.not_measured = Some("no disk".to_owned());
        let contest = std::fs::read_to_string(before.path().join(CONTEST_FILE)).unwrap();
        let write_contest = |incumbent: Option<&str>| {
            let first = incumbent.map_or(String::new(), |name| format!("incumbent = \"{name}\"\n"));
            std::fs::write(path.join(CONTEST_FILE), format!("{first}{contest}")).unwrap();
        };
        write(path, DAY_FILE, &today);
        write_contest(Some("student-5"));
        assert_eq!(decided(path, Some((&won, named())), None).origin, Origin::Kept);
        let shown = Means { previous: Some(before.path().to_owned()), ..MEANS };
        assert_eq!(said(weights(path, &shown)).0, "yes");
        let (verdict, words) = said(weights(path, &MEANS));
        assert_eq!((verdict, words.contains("show it with --previous")), ("unknown", true), "{words}");
        // The winner takes part, and has to be beaten.
        for incumbent in [None, Some("steps-10")] {
            write_contest(incumbent);
            let (verdict, words) = said(weights(path, &shown));
            assert!(
                verdict == "no" && words.starts_with("contest.toml: its incumbent is not the winner"),
                "{words}"
            );
        }
        write_contest(Some("student-5"));
        // What is not said to be kept needs no day before to be found out.
        let kept: Weights = document(path, WEIGHTS_FILE).unwrap();
        write(path, WEIGHTS_FILE, &Weights { origin: Origin::Earned, ..kept });
        for means in [&MEANS, &shown] {
            assert_eq!(said(weights(path, means)).0, "no");
        }
        // A winner who does not take part defends nothing.
        let gone = Weights { winner: Some("gone".to_owned()), ..won };
        write(before.path(), WEIGHTS_FILE, &gone);
        write_contest(None);
        decided(path, Some((&gone, named())), None);
        assert_eq!(said(weights(path, &shown)).0, "yes");
        write_contest(Some("student-5"));
        assert_eq!(said(weights(path, &shown)).0, "no");
    }
}
