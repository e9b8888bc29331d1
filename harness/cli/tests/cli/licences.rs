//! What the command is built on has a licence that `deny.toml` allows, is not banned there, and comes from the registry.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use spdx::{Expression, ParseMode};

/// The part of `deny.toml` that is checked here.
#[derive(Deserialize)]
struct Deny {
    licenses: Licences,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    name: String,
}

/// A package that is compiled into the command or runs while it is compiled.
struct Package {
    name: String,
    licence: String,
    from_elsewhere: bool,
}

fn packages() -> Vec<Package> {
    let tree = ["tree", "--workspace", "--offline", "--edges", "normal,build", "--prefix", "none"];
    let output = Command::new(env!("CARGO"))
        .args(tree)
        .args(["--format", "{p}|{l}|"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo tree");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines: BTreeSet<String> =
        String::from_utf8_lossy(&output.stdout).lines().map(|line| line.trim().to_owned()).collect();
    lines
        .iter()
        .filter_map(|line| {
            let (package, rest) = line.split_once('|')?;
            let mut words = package.split(' ');
            let name = words.next()?.to_owned();
            // Behind name and version stand a path or a repository, and no registry.
            let place = words.find(|word| word.starts_with('(') && *word != "(proc-macro)");
            Some(Package {
                from_elsewhere: place.is_some() && !name.starts_with("edgemaxx-"),
                licence: rest.split('|').next()?.to_owned(),
                name,
            })
        })
        .collect()
}

#[test]
fn every_package_is_allowed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deny.toml");
    let deny: Deny = toml::from_str(&std::fs::read_to_string(path).expect("deny.toml")).expect("deny.toml");
    let packages = packages();
    assert!(packages.len() > 100, "only {} packages were seen", packages.len());
    let allowed = |licence: &str| {
        let expression = Expression::parse_mode(licence, ParseMode::LAX);
        expression
            .is_ok_and(|expression| expression.evaluate(|one| deny.licenses.allow.contains(&one.to_string())))
    };
    assert!(allowed("MIT/Apache-2.0") && allowed("(MIT OR GPL-3.0-only) AND Unicode-3.0"));
    assert!(
        !allowed("GPL-3.0-or-later WITH Classpath-exception-2.0")
            && !allowed("MIT AND GPL-3.0-only")
            && !allowed("")
    );
    let wrong: Vec<String> = packages
        .iter()
        .filter(|package| {
            package.from_elsewhere
                || !allowed(&package.licence)
                || deny.bans.deny.iter().any(|ban| ban.name == package.name)
        })
        .map(|package| format!("{} ({})", package.name, package.licence))
        .collect();
    assert!(wrong.is_empty(), "not allowed by deny.toml: {}", wrong.join(", "));
}
