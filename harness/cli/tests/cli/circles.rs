//! No two files of a crate need one another: whoever reads one can begin somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::common::{before_tests, repository};

/// Crates that are held to it.
const CRATES: [&str; 15] = [
    "harness/analyze",
    "harness/candle",
    "harness/chain",
    "harness/cli",
    "harness/contract",
    "harness/devices",
    "harness/engine",
    "harness/hub",
    "harness/measure",
    "harness/protocol",
    "harness/quality",
    "harness/run",
    "harness/seal",
    "harness/validator",
    "reports",
];

/// Module path → file's text, without tests and comments.
type Files = BTreeMap<Vec<String>, String>;

fn read(folder: &Path, module: &[String], files: &mut Files) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let own = [module, std::slice::from_ref(&name)].concat();
        if path.is_dir() {
            read(&path, &own, files);
        } else if !["mod", "lib", "main", "tests"].contains(&name.as_str()) {
            let text = fs::read_to_string(&path).unwrap();
            // A link in a comment is for readers; the code needs nothing of it.
            let code = before_tests(&text).lines();
            let code =
                code.filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
            files.insert(own, code);
        }
    }
}

/// Splits `a, b::{c, d}` at its outer commas.
fn items(list: &str) -> Vec<&str> {
    let (mut depth, mut from, mut found) = (0, 0, Vec::new());
    for (at, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&list[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    found.push(&list[from..]);
    found
}

/// The paths that `text` begins with: `a::b`, or `a::{b, c::d}`.
fn paths(text: &str, before: &[String], found: &mut Vec<Vec<String>>) {
    let text = text.trim_start();
    if let Some(list) = text.strip_prefix('{') {
        let mut depth = 1;
        let end = list.find(|c| {
            depth += match c {
                '{' => 1,
                '}' => -1,
                _ => 0,
            };
            depth == 0
        });
        items(&list[..end.unwrap_or(list.len())]).iter().for_each(|item| paths(item, before, found));
        return;
    }
    let word: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let path = [before, std::slice::from_ref(&word)].concat();
    match text[word.len()..].strip_prefix("::") {
        Some(rest) => paths(rest, &path, found),
        None => found.push(path),
    }
}

/// The files that the file `own` needs.
fn needs(own: &[String], text: &str, files: &Files) -> BTreeSet<Vec<String>> {
    let parent = &own[..own.len() - 1];
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        if !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            paths(&text[at + 7..], &[], &mut found);
        }
    }
    for (at, _) in text.match_indices("super::") {
        paths(&text[at + 7..], parent, &mut found);
    }
    let file = |path: &Vec<String>| {
        (1..=path.len()).rev().map(|n| path[..n].to_vec()).find(|prefix| files.contains_key(prefix))
    };
    found.iter().filter_map(file).filter(|other| other != own).collect()
}

#[test]
fn no_two_files_need_one_another() {
    for name in CRATES {
        let mut files = Files::new();
        read(&repository(name).join("src"), &[], &mut files);
        assert!(files.len() > 5, "{name}: {} files", files.len());
        let mut left: BTreeMap<_, _> =
            files.iter().map(|(own, text)| (own.clone(), needs(own, text, &files))).collect();
        // Whoever needs nobody that is left goes; who stays is on a circle, or needs one that is.
        loop {
            let before = left.len();
            let known: BTreeSet<Vec<String>> = left.keys().cloned().collect();
            left.retain(|_, needed| needed.iter().any(|other| known.contains(other)));
            if left.len() == before {
                break;
            }
        }
        let shown: Vec<String> = left
            .iter()
            .map(|(own, needed)| {
                let needed: Vec<String> =
                    needed.iter().filter(|other| left.contains_key(*other)).map(|p| p.join("::")).collect();
                format!("{} needs {}", own.join("::"), needed.join(", "))
            })
            .collect();
        assert!(shown.is_empty(), "{name}:\n{}", shown.join("\n"));
    }
}

#[test]
fn paths_are_found_in_lists() {
    let mut found = Vec::new();
    paths("audit::{self, check::{Check, Held}, order}, later", &[], &mut found);
    let found: Vec<String> = found.iter().map(|path| path.join("::")).collect();
    assert_eq!(found, ["audit::self", "audit::check::Check", "audit::check::Held", "audit::order"]);
}
