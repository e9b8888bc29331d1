//! Control groups: limits of a whole process tree, which bind root too.
//!
//! Version 2 limits processes and memory, version 1 (where its `pids` controller is mounted)
//! processes alone. A group is a folder made beside or below the harness's own and removed when
//! the tree has ended; whether the harness may make one depends on who it is and where it runs.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::limits::Limits;

/// Where version 2, or the controllers of version 1, are mounted.
const ROOT: &str = "/sys/fs/cgroup";
/// Names of our groups; the number of the harness's process follows.
const PREFIX: &str = "edgemaxx-";
/// The supervisor's child starts as bubblewrap, which stays, twice.
const BUBBLEWRAP: u64 = 2;

/// Where a group can be made, and what it limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    parent: PathBuf,
    /// The `memory` controller is there too.
    memory: bool,
}

impl Place {
    /// Where this process may make groups; `None`: nowhere. Tries it.
    pub(super) fn find() -> Option<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let place = Self::among(Path::new(ROOT), &own)?;
        place.sweep();
        Group::new(&place, &Limits::default()).ok()?;
        Some(place)
    }

    /// Where groups belong for a process whose `/proc/self/cgroup` is `own`.
    fn among(root: &Path, own: &str) -> Option<Self> {
        let path_in = |group: &str| group.trim_start_matches('/').to_owned();
        let lines = || own.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
        if root.join("cgroup.controllers").exists() {
            let (_, group) = lines().find(|(controllers, _)| controllers.is_empty())?;
            let own = root.join(path_in(group));
            // A group that holds processes has no controllers below it, but its parent has.
            let parent = if own == root { own } else { own.parent()?.to_owned() };
            let below = fs::read_to_string(parent.join("cgroup.subtree_control")).ok()?;
            let has = |name| below.split_ascii_whitespace().any(|word| word == name);
            return has("pids").then(|| Self { memory: has("memory"), parent });
        }
        let (_, group) =
            lines().find(|(controllers, _)| controllers.split(',').any(|name| name == "pids"))?;
        let parent = root.join("pids").join(path_in(group));
        parent.join("cgroup.procs").exists().then_some(Self { parent, memory: false })
    }

    /// Removes groups of harnesses that were killed; those in use cannot be removed.
    fn sweep(&self) {
        for entry in fs::read_dir(&self.parent).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(owner) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
            let owner = owner.split('-').next().unwrap_or_default();
            if !Path::new("/proc").join(owner).exists() {
                let _ = fs::remove_dir(entry.path());
            }
        }
    }

    /// What it limits, in words.
    pub(super) fn words(&self) -> &'static str {
        if self.memory { "processes and memory by cgroup" } else { "processes by cgroup" }
    }
}

/// A group for one engine. Dropping it removes it.
#[derive(Debug)]
pub(super) struct Group {
    folder: PathBuf,
    /// Writing `0` to it puts the writer into the group.
    door: File,
}

impl Group {
    pub(super) fn new(place: &Place, limits: &Limits) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = place.parent.join(format!("{PREFIX}{}-{number}", std::process::id()));
        fs::create_dir(&folder)?;
        let door = set(&folder, place, limits)
            .and_then(|()| OpenOptions::new().write(true).open(folder.join("cgroup.procs")))
            .inspect_err(|_| drop(fs::remove_dir(&folder)))?;
        Ok(Self { folder, door })
    }

    /// See [`Self::door`].
    pub(super) fn door(&self) -> &File {
        &self.door
    }
}

fn set(folder: &Path, place: &Place, limits: &Limits) -> io::Result<()> {
    fs::write(folder.join("pids.max"), (limits.processes + BUBBLEWRAP).to_string())?;
    if place.memory {
        fs::write(folder.join("memory.max"), limits.memory_bytes.to_string())?;
        // Absent where the kernel does not swap.
        let _ = fs::write(folder.join("memory.swap.max"), "0");
    }
    Ok(())
}

impl Drop for Group {
    fn drop(&mut self) {
        // The kernel lets go of the last process a moment after it was waited for.
        for _ in 0..50 {
            match fs::remove_dir(&self.folder) {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().expect("a folder")).expect("create");
        fs::write(path, text).expect("write");
    }

    #[test]
    fn groups_of_version_2_belong_beside_the_own_one() {
        let root = tempfile::tempdir().expect("a folder");
        let root = root.path();
        let own = "0::/user.slice/app.scope\n";
        write(&root.join("cgroup.controllers"), "cpu memory pids\n");
        write(&root.join("user.slice/cgroup.subtree_control"), "cpu\n");
        assert_eq!(Place::among(root, own), None, "the controller is not passed on");
        write(&root.join("user.slice/cgroup.subtree_control"), "memory pids\n");
        let place = Place::among(root, own).expect("delegated");
        assert_eq!(place, Place { parent: root.join("user.slice"), memory: true });
        // the files that the kernel would make
        let folder = root.join("user.slice/group");
        fs::create_dir(&folder).expect("create");
        set(&folder, &place, &Limits { processes: 30, memory_bytes: 1 << 20, ..Limits::default() })
            .expect("set");
        assert_eq!(fs::read_to_string(folder.join("pids.max")).expect("read"), "32");
        assert_eq!(fs::read_to_string(folder.join("memory.max")).expect("read"), "1048576");
        write(&root.join("cgroup.subtree_control"), "pids\n");
        let at_root = Place::among(root, "0::/\n").expect("the root's own children");
        assert_eq!(at_root, Place { parent: root.to_owned(), memory: false });
    }

    #[test]
    fn groups_of_version_1_belong_below_the_own_one() {
        let root = tempfile::tempdir().expect("a folder");
        let root = root.path();
        let own = "9:name=systemd:/\n8:pids:/box/one\n5:cpu,cpuacct:/\n0::/\n";
        assert_eq!(Place::among(root, own), None, "not mounted");
        write(&root.join("pids/box/one/cgroup.procs"), "");
        let place = Place::among(root, own).expect("mounted");
        assert_eq!(place, Place { parent: root.join("pids/box/one"), memory: false });
        assert_eq!(Place::among(root, "0::/\n"), None);
    }
}
