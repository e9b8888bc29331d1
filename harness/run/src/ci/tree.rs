//! Another version of a repository beside the one that is checked out, and building both.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Class, InFile as _, Result, RunError};

/// A git worktree of one commit; it is removed when this is dropped.
#[derive(Debug)]
pub struct Tree {
    repository: PathBuf,
    root: PathBuf,
    commit: String,
}

impl Tree {
    /// A worktree of `revision` at `root`, which must not exist yet, of the repository that `inside` lies in.
    ///
    /// # Errors
    /// There is no repository, it has no such revision, or git cannot write the files.
    pub fn add(inside: &Path, revision: &str, root: &Path) -> Result<Self> {
        let repository = PathBuf::from(git(inside, &["rev-parse", "--show-toplevel"])?);
        // `--end-of-options`: a revision that looks like one is none
        let named = format!("{revision}^{{commit}}");
        let commit = git(&repository, &["rev-parse", "--verify", "--quiet", "--end-of-options", &named])
            .map_err(|_| {
                let shallow = git(&repository, &["rev-parse", "--is-shallow-repository"]);
                let hint = match shallow.as_deref() {
                    Ok("true") => {
                        ", which is a shallow clone: `git fetch --unshallow` brings the rest, on GitHub `fetch-depth: 0` of \
                         actions/checkout"
                    }
                    _ => "",
                };
                RunError::input(format!("--against {revision}: not a revision of {}{hint}", repository.display()))
            })?;
        let path =
            root.to_str().ok_or_else(|| RunError::input("--out: expected a path in UTF-8".to_owned()))?;
        git(&repository, &["worktree", "add", "--quiet", "--detach", path, &commit])?;
        let root = root.canonicalize().in_file(root)?;
        Ok(Self { repository, root, commit })
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of the version that is checked out.
    pub fn repository(&self) -> &Path {
        &self.repository
    }

    /// Whether no file that git knows differs here from its version.
    pub fn is_what_is_here(&self) -> bool {
        git(&self.repository, &["diff", "--quiet", &self.commit, "--"]).is_ok()
    }

    /// Its commit, in full.
    pub fn commit(&self) -> &str {
        &self.commit
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let Some(path) = self.root.to_str() else { return };
        let _ = git(&self.repository, &["worktree", "remove", "--force", path]);
    }
}

/// Runs `command` by the shell in `folder`; what it prints goes to standard error, since it is no answer.
///
/// # Errors
/// It cannot be started, or fails.
pub fn build(command: &str, folder: &Path) -> Result<()> {
    let failed = |why: String| RunError::of(Class::Engine, format!("--build in {}: {why}", folder.display()));
    let shell = Command::new("sh")
        .args(["-c", command])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .map_err(|error| failed(error.to_string()))?;
    if shell.success() { Ok(()) } else { Err(failed(shell.to_string())) }
}

/// What git answers, without the final line feed.
fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    let failed =
        |why: &str| RunError::input(format!("git {} in {}: {}", arguments[0], folder.display(), why.trim()));
    let output = Command::new("git").arg("-C").arg(folder).args(arguments).output();
    let output = output.map_err(|error| failed(&error.to_string()))?;
    if !output.status.success() {
        return Err(failed(&String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}
