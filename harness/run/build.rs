//! Notes how this build is made: commit, profile, compiler; every run records it.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    say("COMMIT", &commit(&root).unwrap_or_else(|| "unknown".to_owned()));
    say("PROFILE", &profile().unwrap_or_else(|| "unknown".to_owned()));
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    say("RUSTC", &words(Command::new(rustc).arg("--version")).unwrap_or_else(|| "unknown".to_owned()));
    say("FEATURES", &features());
    println!("cargo::rerun-if-changed=build.rs");
    for path in watched(&root) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
}

fn say(name: &str, value: &str) {
    println!("cargo::rustc-env=EDGEMAXX_BUILD_{name}={value}");
}

/// What a program prints, without the final line feed.
fn words(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    words(Command::new("git").arg("-C").arg(root).args(arguments))
}

/// The commit of the source, and whether files differ from it.
fn commit(root: &Path) -> Option<String> {
    // A source without a repository may lie within somebody else's.
    let top = PathBuf::from(git(root, &["rev-parse", "--show-toplevel"])?);
    if top.canonicalize().ok()? != root.canonicalize().ok()? {
        return None;
    }
    let commit = git(root, &["rev-parse", "--short=12", "HEAD"])?;
    let paths = ["status", "--porcelain", "--", "harness", "reports", "Cargo.toml", "Cargo.lock"];
    let changes = if git(root, &paths)?.is_empty() { "" } else { "+changes" };
    Some(format!("{commit}{changes}"))
}

/// The name of cargo's profile, which it tells by the folder alone: `…/PROFILE/build/PACKAGE/out`.
fn profile() -> Option<String> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR")?);
    let folder = out.ancestors().find(|folder| folder.ends_with("build"))?.parent()?;
    let name = folder.file_name()?.to_str()?;
    Some(if name == "debug" { "dev" } else { name }.to_owned())
}

/// The parts that may be left out and are there, sorted.
fn features() -> String {
    let named = |(name, _): (String, String)| Some(name.strip_prefix("CARGO_FEATURE_")?.to_lowercase());
    let mut features: Vec<String> =
        std::env::vars().filter_map(named).filter(|name| name != "default").collect();
    features.sort();
    features.join(" ")
}

/// What the commit and its changes can be told by: the repository's head, and every source.
fn watched(root: &Path) -> Vec<PathBuf> {
    let mut paths = vec![root.join("Cargo.toml"), root.join("Cargo.lock"), root.join("reports/src")];
    let crates = std::fs::read_dir(root.join("harness")).into_iter().flatten().flatten();
    paths.extend(crates.map(|entry| entry.path().join("src")));
    for name in ["HEAD", "logs/HEAD"] {
        paths.extend(git(root, &["rev-parse", "--git-path", name]).map(|path| root.join(path)));
    }
    // A path that is not there would have this run every time.
    paths.retain(|path| path.exists());
    paths
}
