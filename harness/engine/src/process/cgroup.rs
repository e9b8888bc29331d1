//! Control groups: where one can be made for each engine, and what it can do there.
//!
//! Version 2 has one tree of groups; version 1 has one for each controller, and both can be there at once. A group is
//! a folder made beside or below the harness's own and removed when the tree has ended; whether the harness may make
//! one depends on who it is and where it runs.

use std::fs;
use std::path::{Path, PathBuf};

/// Where version 2, or the controllers of version 1, are mounted.
pub(super) const ROOT: &str = "/sys/fs/cgroup";
/// Where version 2 is mounted beside the controllers of version 1.
const BESIDE_VERSION_1: &str = "unified";
/// Names of our groups; the number of the harness's process follows.
pub(super) const PREFIX: &str = "edgemaxx-";

/// What a tree of groups can do for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Control {
    /// Limit processes: `pids.max`.
    Processes,
    /// Limit memory: `memory.max`.
    MemoryV2,
    /// Limit memory: `memory.limit_in_bytes`.
    MemoryV1,
    /// Freeze: `cgroup.freeze`.
    FreezeV2,
    /// Freeze: `freezer.state`.
    FreezeV1,
    /// Count processor time: `cpu.stat`.
    TimeV2,
    /// Count processor time: `cpuacct.usage`.
    TimeV1,
}

/// One tree of groups: the folder that ours are made in, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tree {
    pub(super) parent: PathBuf,
    pub(super) controls: Vec<Control>,
}

/// Where groups can be made, and what they do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub(super) trees: Vec<Tree>,
}

impl Place {
    /// Where groups belong for a process whose `/proc/self/cgroup` is `own`; each thing is done by one tree, version 2
    /// before version 1.
    pub(super) fn among(root: &Path, own: &str) -> Self {
        let mut trees: Vec<Tree> = version_2(root, own).into_iter().collect();
        let controls = [
            ("pids", &[Control::Processes][..]),
            ("memory", &[Control::MemoryV1]),
            ("freezer", &[Control::FreezeV1]),
            ("cpuacct", &[Control::TimeV1]),
        ];
        for (controller, controls) in controls {
            let Some(group) = own_group(own, controller) else { continue };
            let parent = root.join(controller).join(group);
            let new: Vec<Control> =
                controls.iter().copied().filter(|new| !trees.iter().any(|tree| tree.does(*new))).collect();
            if parent.join("cgroup.procs").exists() && !new.is_empty() {
                trees.push(Tree { parent, controls: new });
            }
        }
        Self { trees }
    }

    /// Removes groups of harnesses that were killed; those in use cannot be removed.
    pub(super) fn sweep(&self) {
        for parent in self.trees.iter().map(|tree| &tree.parent) {
            for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let Some(owner) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
                let owner = owner.split('-').next().unwrap_or_default();
                if !Path::new("/proc").join(owner).exists() {
                    let _ = fs::remove_dir(entry.path());
                }
            }
        }
    }

    fn does(&self, controls: [Control; 2]) -> bool {
        self.trees.iter().any(|tree| controls.iter().any(|control| tree.does(*control)))
    }

    /// Whether it limits processes.
    pub(super) fn limits_processes(&self) -> bool {
        self.does([Control::Processes; 2])
    }

    /// Whether it limits memory.
    pub(super) fn limits_memory(&self) -> bool {
        self.does([Control::MemoryV2, Control::MemoryV1])
    }

    /// How it freezes, if it does.
    pub(super) fn freezes(&self) -> Option<Control> {
        [Control::FreezeV2, Control::FreezeV1].into_iter().find(|control| self.does([*control; 2]))
    }

    /// What it does, in words.
    pub(super) fn words(&self) -> String {
        let parts = [
            (self.limits_processes(), "processes"),
            (self.limits_memory(), "memory"),
            (self.freezes().is_some(), "rest"),
        ];
        let parts: Vec<&str> = parts.into_iter().filter_map(|(there, what)| there.then_some(what)).collect();
        match &parts[..] {
            [] => "processor time by cgroup".to_owned(),
            [one] => format!("{one} by cgroup"),
            [first @ .., last] => format!("{} and {last} by cgroup", first.join(", ")),
        }
    }
}

impl Tree {
    /// Whether it does this, by either version where both can.
    fn does(&self, control: Control) -> bool {
        let same = |own: &Control| match control {
            Control::MemoryV1 | Control::MemoryV2 => matches!(own, Control::MemoryV1 | Control::MemoryV2),
            Control::TimeV1 | Control::TimeV2 => matches!(own, Control::TimeV1 | Control::TimeV2),
            control => *own == control,
        };
        self.controls.iter().any(same)
    }
}

/// The path of a process's own group in the tree of a controller of version 1, relative to its root; of version 2 where
/// the controller is empty.
fn own_group<'a>(own: &'a str, controller: &str) -> Option<&'a str> {
    let lines = own.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let (_, group) = lines.into_iter().find(|(controllers, _)| {
        if controller.is_empty() {
            controllers.is_empty()
        } else {
            controllers.split(',').any(|one| one == controller)
        }
    })?;
    Some(group.trim_start_matches('/'))
}

fn version_2(root: &Path, own: &str) -> Option<Tree> {
    let group = own_group(own, "")?;
    let alone = root.join("cgroup.controllers").exists();
    let root = if alone { root.to_owned() } else { root.join(BESIDE_VERSION_1) };
    let own = root.join(group);
    // A group that holds processes has no controllers below it, but its parent has.
    let parent = if own == root || !alone { own } else { own.parent()?.to_owned() };
    let below = fs::read_to_string(parent.join("cgroup.subtree_control")).ok()?;
    let has = |name| below.split_ascii_whitespace().any(|word| word == name);
    let mut controls = vec![Control::FreezeV2, Control::TimeV2];
    if has("pids") {
        controls.push(Control::Processes);
    }
    if has("memory") {
        controls.push(Control::MemoryV2);
    }
    Some(Tree { parent, controls })
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
        let bare = Place::among(root, own);
        assert_eq!(bare.freezes(), Some(Control::FreezeV2), "every group can be frozen");
        assert!(!bare.limits_processes() && !bare.limits_memory(), "the controllers are not passed on");
        write(&root.join("user.slice/cgroup.subtree_control"), "memory pids\n");
        let place = Place::among(root, own);
        assert_eq!(place.words(), "processes, memory and rest by cgroup");
        assert_eq!(place.trees[0].parent, root.join("user.slice"));
        write(&root.join("cgroup.subtree_control"), "pids\n");
        let at_root = Place::among(root, "0::/\n");
        assert_eq!(at_root.trees[0].parent, *root, "the root's own children");
        assert_eq!(at_root.words(), "processes and rest by cgroup");
    }

    #[test]
    fn groups_of_version_1_belong_below_the_own_one() {
        let root = tempfile::tempdir().expect("a folder");
        let root = root.path();
        let own = "9:name=systemd:/\n8:pids:/box/one\n7:freezer:/\n6:memory:/m\n5:cpu,cpuacct:/\n0::/\n";
        assert_eq!(Place::among(root, own).trees, [], "not mounted");
        write(&root.join("pids/box/one/cgroup.procs"), "");
        let place = Place::among(root, own);
        let processes = Tree { parent: root.join("pids/box/one"), controls: vec![Control::Processes] };
        assert_eq!(place.trees, [processes]);
        for folder in ["freezer", "memory/m", "cpuacct"] {
            write(&root.join(folder).join("cgroup.procs"), "");
        }
        let place = Place::among(root, own);
        assert_eq!((place.freezes(), place.trees.len()), (Some(Control::FreezeV1), 4));
        // version 2 beside it freezes better, and counts time
        write(&root.join("unified/cgroup.subtree_control"), "\n");
        let place = Place::among(root, own);
        assert_eq!(place.freezes(), Some(Control::FreezeV2));
        assert_eq!(place.words(), "processes, memory and rest by cgroup");
        let times = place.trees.iter().filter(|tree| tree.does(Control::TimeV1)).count();
        assert_eq!(times, 1, "by one tree");
        assert_eq!(Place::among(root, "0::/\n").trees.len(), 1);
    }
}
