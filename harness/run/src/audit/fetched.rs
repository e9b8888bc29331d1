//! Whether what a day says of submissions' files is so: their repositories are pinned, so whoever fetches them later gets the
//! same files.

use std::path::Path;

use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::day::{DAY_FILE, DayRecord, Fate, Submission};
use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::run_files::CONTEST_FILE;

use super::check::Held;
use super::day::document;
use crate::error::{Class, InFile as _, Result, RunError};
use crate::progress::Observer;
use crate::submission_files;
use crate::text_file::read_text;

/// What became of looking at one submission's files.
enum Looked {
    /// They bear out what is said.
    Same,
    /// They do not.
    Differ(String),
    /// They tell nothing.
    Unknown(String),
}

/// Fetches every submission of which the day says something that rests on its files, and compares.
///
/// # Errors
/// Something that is not so, or a file of the day that cannot be read.
pub(super) fn fetched(run: &Path, base: &Path, observer: &dyn Observer) -> Result<Held> {
    let record: DayRecord = document(run, DAY_FILE)?;
    let path = run.join(CONTEST_FILE);
    let task = Contest::parse(&read_text(&path)?).in_file(&path)?.task;
    let digest = |source: &str| submission_files::digest(base, source, task, observer);
    compare(&record, &digest)
}

fn compare(record: &DayRecord, digest: &dyn Fn(&str) -> Result<Digest>) -> Result<Held> {
    let (mut same, mut unknown) = (0, Vec::new());
    let looked = record.submissions.iter().filter(|s| s.fate.digest().is_some() || is_invalid(&s.fate));
    for submission in looked {
        match look(submission, digest(&submission.source)) {
            Looked::Same => same += 1,
            Looked::Differ(problem) => return Err(RunError::input(format!("{DAY_FILE}: {problem}"))),
            Looked::Unknown(why) => unknown.push(why),
        }
    }
    Ok(match unknown.is_empty() {
        true => Held::Yes(format!("the files of {same} submissions are what is said of them")),
        false => Held::Unknown(unknown.join("; ")),
    })
}

fn is_invalid(fate: &Fate) -> bool {
    matches!(fate, Fate::Invalid { .. })
}

fn look(submission: &Submission, found: Result<Digest>) -> Looked {
    let Submission { hotkey, source, claim, fate, .. } = submission;
    match (fate, found) {
        (Fate::Candidate { .. } | Fate::Copy { .. }, Ok(found)) => match fate.digest() {
            Some(said) if said != found => Looked::Differ(format!(
                "the files of {hotkey} ({source}) are {}, and it is said that they are {}",
                found.short(),
                said.short()
            )),
            _ => Looked::Same,
        },
        (Fate::Invalid { reason }, Ok(_)) if fate.was_away() => Looked::Unknown(format!(
            "{hotkey} is said to have been away ({reason}); {source} is there now, and nothing tells since when"
        )),
        (Fate::Invalid { .. }, Ok(found))
            if claim.as_ref().is_some_and(|claim| !claim.is_of(hotkey, &found)) =>
        {
            Looked::Same
        }
        (Fate::Invalid { reason }, Ok(_)) => {
            Looked::Differ(format!("{hotkey} is called invalid ({reason}), but {source} is there and whole"))
        }
        // What cannot be fetched now either, or is still wrong, bears out that it could not be measured.
        (Fate::Invalid { .. }, Err(_)) => Looked::Same,
        (_, Err(error)) if matches!(error.class(), Class::Chain | Class::Environment) => {
            Looked::Unknown(format!("{hotkey}: {source} cannot be fetched now: {}", error.words()))
        }
        (_, Err(error)) => Looked::Differ(format!("{hotkey}: {source} is no checkpoint: {}", error.words())),
        (_, Ok(_)) => Looked::Same,
    }
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::day::{NOT_THERE, OUT_OF_REACH};
    use edgemaxx_contract::sealed_claim::{Claim, Salt, sealed};

    use super::*;
    use crate::audit::check::said;

    const SALT: Salt = Salt([3; 16]);

    fn submission(fate: Fate, sealed_files: Option<&str>) -> Submission {
        let claim = |files: &str| Claim {
            block: 1,
            digest: sealed("a", &Digest::of(files), &SALT),
            salt: SALT,
            opened: 2,
        };
        Submission {
            hotkey: "a".to_owned(),
            uid: Some(1),
            since: 1,
            index: None,
            source: "hf:a/m@1".to_owned(),
            claim: sealed_files.map(claim),
            fate,
        }
    }

    /// Who is called a copy, invalid or away without being it is found by his files, or said not to be known.
    #[test]
    fn what_is_said_of_files_is_held_against_them() {
        let copy = |files: &str| Fate::Copy {
            of: "b".to_owned(),
            how: "the same files".to_owned(),
            digest: Some(Digest::of(files)),
        };
        let invalid = |reason: &str| Fate::Invalid { reason: reason.to_owned() };
        let there = || Ok(Digest::of("x"));
        let gone = || Err(RunError::of(Class::Chain, "the hub answered 404"));
        let broken = || Err(RunError::input("no model_index.json"));
        let said = |fate: Fate, sealed: Option<&str>, found: Result<Digest>| match look(
            &submission(fate, sealed),
            found,
        ) {
            Looked::Same => "same".to_owned(),
            Looked::Differ(problem) => format!("no: {problem}"),
            Looked::Unknown(why) => format!("?: {why}"),
        };
        assert_eq!(said(copy("x"), None, there()), "same");
        assert!(said(copy("y"), None, there()).starts_with("no: the files of a"));
        assert!(said(Fate::candidate(Digest::of("y")), None, there()).starts_with("no: the files of a"));
        assert!(said(copy("x"), None, gone()).starts_with("?: a: hf:a/m@1 cannot be fetched now"));
        assert!(said(copy("x"), None, broken()).starts_with("no: a: hf:a/m@1 is no checkpoint"));
        assert!(said(invalid("no files"), None, there()).starts_with("no: a is called invalid"));
        assert_eq!(said(invalid("no files"), None, broken()), "same");
        let swapped = invalid("its files are not those that were sealed in block 1");
        assert_eq!(said(swapped.clone(), Some("y"), there()), "same");
        assert!(said(swapped, Some("x"), there()).starts_with("no: a is called invalid"));
        for reason in [NOT_THERE, OUT_OF_REACH] {
            assert!(
                said(invalid(&format!("{reason}: 404")), None, there())
                    .starts_with("?: a is said to have been away")
            );
        }
    }

    #[test]
    fn all_submissions_are_looked_at_of_which_something_is_said_that_rests_on_their_files() {
        let invalid = Fate::Invalid { reason: "no files".to_owned() };
        let day = |fates: Vec<Fate>| DayRecord {
            submissions: fates.into_iter().map(|fate| submission(fate, None)).collect(),
            ..DayRecord::mock()
        };
        let whole = |fates: Vec<Fate>| said(compare(&day(fates), &|_| Ok(Digest::of("x"))));
        let candidate = || Fate::candidate(Digest::of("x"));
        let held = |n: u32| ("yes", format!("the files of {n} submissions are what is said of them"));
        assert_eq!(whole(vec![candidate(), candidate(), Fate::Unregistered]), held(2));
        assert_eq!(whole(vec![Fate::Pending]), held(0));
        let (verdict, words) = whole(vec![candidate(), invalid.clone()]);
        assert!(verdict == "no" && words.starts_with("day.json: a is called invalid"), "{words}");
        let gone = |fates: Vec<Fate>| said(compare(&day(fates), &|_| Err(RunError::of(Class::Chain, "404"))));
        assert_eq!(gone(vec![invalid, Fate::Unregistered]), held(1));
        let (verdict, words) = gone(vec![candidate(), candidate()]);
        assert!(verdict == "unknown" && words.matches("cannot be fetched now").count() == 2, "{words}");
    }
}
