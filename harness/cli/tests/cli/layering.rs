//! The arrows between crates, and which crate alone may use which heavy dependency.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// What each crate of ours may use of ours; nothing else, and no crate missing here.
const ARROWS: &[(&str, &[&str])] = &[
    ("contract", &[]),
    ("files", &["contract"]),
    ("protocol", &[]),
    ("picture", &["contract"]),
    ("devices", &["contract", "files"]),
    ("engine", &["contract", "devices", "protocol", "picture"]),
    ("candle", &["contract", "files"]),
    ("measure", &["contract", "devices", "engine", "files"]),
    ("quality", &["contract", "candle", "picture"]),
    ("analyze", &["contract"]),
    ("seal", &["contract", "files"]),
    ("chain", &["contract", "seal"]),
    ("hub", &["contract", "files"]),
    ("fleet", &["contract", "files"]),
    ("validator", &["contract", "files", "seal"]),
    ("report", &["contract", "picture"]),
    (
        "run",
        &[
            "contract",
            "files",
            "picture",
            "protocol",
            "devices",
            "engine",
            "candle",
            "measure",
            "seal",
            "quality",
            "analyze",
            "report",
            "validator",
            "chain",
            "hub",
            "fleet",
        ],
    ),
];

/// Heavy dependencies, and the only crates that may name them.
const SOLE_USERS: &[(&str, &[&str])] = &[
    ("candle-core", &["candle"]),
    ("candle-nn", &["candle"]),
    ("candle-transformers", &["candle", "quality"]),
    ("cudarc", &["candle"]),
    ("tokenizers", &["candle"]),
    ("statrs", &["analyze", "candle"]),
    ("polars", &["report"]),
    ("tera", &["report"]),
    ("quick-junit", &["report"]),
    ("subxt", &["chain"]),
    ("async-nats", &["fleet"]),
    ("nkeys", &["fleet"]),
    ("hf-hub", &["hub"]),
    ("ureq", &["hub"]),
    ("image", &["picture", "quality"]),
    ("image_hasher", &["quality"]),
    ("nvml-wrapper", &["devices"]),
    ("procfs-core", &["devices"]),
    ("rusqlite", &["validator"]),
    ("schnorrkel", &["seal"]),
    ("base58", &["seal"]),
    ("argon2", &["seal"]),
    ("crypto_secretbox", &["seal"]),
    ("bip39", &["seal"]),
    ("rpassword", &["seal"]),
    ("hyper", &["validator"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("anyhow", &["cli"]),
    ("indicatif", &["cli"]),
];

/// Package → its direct dependencies as shipped (no tests, no build scripts).
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new()
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec()
        .expect("cargo metadata");
    metadata
        .packages
        .into_iter()
        .map(|package| {
            let names =
                package.dependencies.into_iter().filter(|d| d.kind == DependencyKind::Normal).map(|d| d.name);
            (package.name.trim_start_matches("edgemaxx-").to_owned(), names.collect())
        })
        .collect()
}

#[test]
fn arrows_point_one_way() {
    let allowed: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    for (name, uses) in dependencies() {
        if name == "cli" {
            continue;
        }
        let allowed =
            allowed.get(name.as_str()).unwrap_or_else(|| panic!("crate {name} has no row in ARROWS"));
        for used in uses.iter().filter_map(|used| used.strip_prefix("edgemaxx-")) {
            assert!(allowed.contains(&used), "edgemaxx-{name} must not depend on edgemaxx-{used}");
        }
    }
}

#[test]
fn heavy_dependencies_have_one_user() {
    for (name, uses) in dependencies() {
        for (heavy, users) in SOLE_USERS {
            assert!(
                !uses.contains(*heavy) || users.contains(&name.as_str()),
                "edgemaxx-{name} must not depend on {heavy}"
            );
        }
    }
}

#[test]
fn folders_are_named_as_packages() {
    let metadata = MetadataCommand::new()
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec()
        .expect("cargo metadata");
    for package in metadata.packages {
        let folder = package.manifest_path.parent().and_then(|p| p.file_name()).unwrap_or_default();
        let expected = package.name.trim_start_matches("edgemaxx-");
        assert!(
            folder == expected || (expected == "report" && folder == "reports"),
            "{}",
            package.manifest_path
        );
    }
}

#[test]
fn the_readme_lists_the_crates_in_the_words_of_the_architecture() {
    let read = |name: &str| std::fs::read_to_string(crate::common::repository(name)).unwrap();
    let table = |text: &str| {
        let from = text.find("| crate | what it knows |").expect("a table of crates");
        text[from..].lines().take_while(|line| line.starts_with('|')).map(str::to_owned).collect::<Vec<_>>()
    };
    let listed = table(&read("README.md"));
    assert_eq!(listed, table(&read("ARCHITECTURE.md")));
    for package in dependencies().keys() {
        let folder =
            if package == "report" { "(reports)".to_owned() } else { format!("(harness/{package})") };
        assert!(listed.iter().any(|row| row.contains(&folder)), "{package} is in no row");
    }
}
