//! A contest with other candidates: the day's, from the chain; a miner's own.

use serde::Serialize;
use toml::{Table, Value};

use crate::input::InputError;

/// A candidate as a contest file names it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Entrant {
    /// Its name.
    pub name: String,
    /// What it is, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Earlier candidates whose work it repeats.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub repeats: Vec<String>,
    /// Whether its engine's files alone tell it from others.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub by_engine: bool,
    /// Where its checkpoint lies; `None`: the baseline's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
    /// What it changes of the baseline's generation.
    #[serde(skip_serializing_if = "Table::is_empty")]
    pub generation: Table,
}

#[derive(Serialize)]
struct Entrants<'a> {
    candidate: &'a [Entrant],
}

/// The text of a contest with these candidates and nobody else's, and the incumbent if one is named; a control stays.
/// What else it says, it says as before, comments too where no candidate is taken out. Its paths are still relative to
/// the same folder.
///
/// # Errors
/// The text is no TOML.
pub fn with_candidates(
    text: &str,
    candidates: &[Entrant],
    incumbent: Option<&str>,
) -> Result<String, InputError> {
    let mut contest: Table = text.parse()?;
    let is_control = |value: &Value| value.get("control").and_then(Value::as_bool) == Some(true);
    let own = contest.get("candidate").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let stays = own.iter().all(is_control);
    // An empty list would belong to whichever table comes last.
    let added = match candidates {
        [] => String::new(),
        candidates => toml(&Entrants { candidate: candidates }),
    };
    let first = incumbent.map_or(String::new(), |name| format!("incumbent = {}\n", Value::from(name)));
    let appended = format!("{first}{text}\n{added}");
    // A list that is written in one line takes no further tables.
    if stays && appended.parse::<Table>().is_ok() {
        return Ok(appended);
    }
    if let Some(Value::Array(own)) = contest.get_mut("candidate") {
        own.retain(is_control);
        // An empty list in one line, as it would be written, takes no tables either.
        if own.is_empty() {
            contest.remove("candidate");
        }
    }
    Ok(format!("{first}{}\n{added}", toml(&contest)))
}

/// Tables, lists, numbers and text always fit TOML.
fn toml(value: &impl Serialize) -> String {
    toml::to_string(value).expect("a value that TOML can hold")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entrant(name: &str) -> Entrant {
        Entrant { name: name.to_owned(), checkpoint: Some("hf:a/b@c".to_owned()), ..Entrant::default() }
    }

    fn names(text: &str) -> Vec<String> {
        let contest: Table = text.parse().unwrap();
        let all = contest["candidate"].as_array().unwrap();
        all.iter().map(|candidate| candidate["name"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn others_leave_and_the_control_stays() {
        let text = "name = \"day\" # a comment\n[request]\nwidth = 8\n";
        let found = with_candidates(text, &[entrant("a"), entrant("b")], Some("a")).unwrap();
        assert_eq!(names(&found), ["a", "b"]);
        assert!(found.starts_with("incumbent = \"a\"\nname = \"day\" # a comment\n"), "{found}");

        let control = "[[candidate]]\nname = \"aa\"\ncontrol = true\n";
        let found = with_candidates(&format!("{text}{control}"), &[entrant("a")], None).unwrap();
        assert_eq!(names(&found), ["aa", "a"]);
        assert!(found.contains("# a comment"), "{found}");

        let other = "[[candidate]]\nname = \"other\"\n";
        let found = with_candidates(&format!("{text}{other}{control}"), &[entrant("a")], None).unwrap();
        assert_eq!(names(&found), ["aa", "a"]);

        let found = with_candidates(&format!("{text}{other}"), &[entrant("a"), entrant("b")], None).unwrap();
        assert_eq!(names(&found), ["a", "b"]);
        let found = with_candidates(&format!("{text}{other}"), &[], None).unwrap();
        assert!(!found.contains("candidate"), "{found}");

        let inline = "candidate = [{ name = \"aa\", control = true }]\n";
        let found = with_candidates(&format!("{inline}{text}"), &[entrant("a")], None).unwrap();
        assert_eq!(names(&found), ["aa", "a"]);
        assert_eq!(found.parse::<Table>().unwrap()["request"]["width"].as_integer(), Some(8));
    }

    #[test]
    fn what_a_stranger_wrote_stays_one_value() {
        let rude = "x\"\n[[candidate]]\nname = \"forged\\\u{1b}''";
        let mut candidate = entrant(rude);
        candidate.generation.insert("steps".to_owned(), Value::from(4));
        let found = with_candidates("name = \"day\"", &[candidate], Some(rude)).unwrap();
        assert_eq!(names(&found), [rude]);
        let contest: Table = found.parse().unwrap();
        assert_eq!(contest["incumbent"].as_str(), Some(rude));
        assert_eq!(contest["candidate"][0]["generation"]["steps"].as_integer(), Some(4));
        assert!(with_candidates("name = ", &[], None).is_err());
    }
}
