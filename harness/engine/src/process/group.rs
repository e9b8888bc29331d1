//! The control group of one engine: its limits, its rest, its processor time and memory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::cgroup::{Control, PREFIX, Place, ROOT, Tree};
use super::limits::Limits;

/// The supervisor's child starts as bubblewrap, which stays, twice.
const BUBBLEWRAP: u64 = 2;
/// Between two looks at whether a group is frozen.
const LOOK: Duration = Duration::from_micros(20);

/// A group for one engine: a folder in each of a place's trees. Dropping it removes them.
#[derive(Debug)]
pub(super) struct Group {
    folders: Vec<(PathBuf, Vec<Control>)>,
    /// Writing `0` to each puts the writer into the group.
    doors: Vec<File>,
    freezer: Option<Freezer>,
}

/// What stops all processes of a group at once, whatever they do, and lets them go on.
#[derive(Debug)]
struct Freezer {
    /// `cgroup.freeze` or `freezer.state`.
    switch: File,
    /// The file that tells, and what it says when nothing runs any more.
    state: PathBuf,
    frozen: &'static str,
    words: [&'static str; 2],
}

/// Where this process may make groups, and what they do here; `None`: nowhere. Tries it.
pub(super) fn usable() -> Option<Place> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let place = Place::among(Path::new(ROOT), &own);
    place.sweep();
    let works = |tree: &Tree| Group::new(&Place { trees: vec![tree.clone()] }, &Limits::default()).is_ok();
    let trees: Vec<Tree> = place.trees.into_iter().filter(works).collect();
    (!trees.is_empty()).then_some(Place { trees })
}

impl Group {
    pub(super) fn new(place: &Place, limits: &Limits) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{PREFIX}{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut group = Self { folders: Vec::new(), doors: Vec::new(), freezer: None };
        for tree in &place.trees {
            let folder = tree.parent.join(&name);
            fs::create_dir(&folder)?;
            group.folders.push((folder.clone(), tree.controls.clone()));
            for control in &tree.controls {
                set(&folder, *control, limits)?;
                if let Some(freezer) = Freezer::of(&folder, *control)? {
                    group.freezer.get_or_insert(freezer);
                }
            }
            group.doors.push(OpenOptions::new().write(true).open(folder.join("cgroup.procs"))?);
        }
        Ok(group)
    }

    /// See [`Self::doors`].
    pub(super) fn doors(&self) -> &[File] {
        &self.doors
    }

    /// What lets the group go on, and what is to be written to it: processes that version 1 has frozen cannot even be
    /// killed.
    pub(super) fn thaw(&self) -> Option<(&File, &'static str)> {
        self.freezer.as_ref().map(|freezer| (&freezer.switch, freezer.words[1]))
    }

    /// Whether it can be frozen.
    pub(super) fn freezes(&self) -> bool {
        self.freezer.is_some()
    }

    /// Freezes it, or lets it go on; whether nothing, or everything, runs before the deadline.
    pub(super) fn hold(&self, rest: bool, deadline: Instant) -> io::Result<bool> {
        let Some(freezer) = &self.freezer else { return Ok(false) };
        let word = freezer.words[usize::from(!rest)];
        loop {
            // Version 1 gives up freezing where a process is just being made: it wants to be told again.
            (&freezer.switch).write_all(word.as_bytes())?;
            let frozen = fs::read_to_string(&freezer.state)?.lines().any(|line| line == freezer.frozen);
            if frozen == rest {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Processor time of all that ever ran in it, nanoseconds.
    pub(super) fn cpu_ns(&self) -> Option<u64> {
        self.file(Control::TimeV1, "cpuacct.usage")
            .and_then(|text| text.trim().parse().ok())
            .or_else(|| field(&self.file(Control::TimeV2, "cpu.stat")?, "usage_usec")?.checked_mul(1000))
    }

    /// Memory that it holds, whoever of it has it and how, without what the system could take back: bytes.
    pub(super) fn memory_bytes(&self) -> Option<u64> {
        let sum = |text: String, names: &[&str]| {
            let known: Vec<u64> = names.iter().filter_map(|name| field(&text, name)).collect();
            (!known.is_empty()).then(|| known.iter().sum())
        };
        let version_2 =
            || sum(self.file(Control::MemoryV2, "memory.stat")?, &["anon", "shmem", "kernel", "sock"]);
        let kernel =
            || self.file(Control::MemoryV1, "memory.kmem.usage_in_bytes")?.trim().parse::<u64>().ok();
        // `rss` leaves out what is shared.
        let version_1 = || sum(self.file(Control::MemoryV1, "memory.stat")?, &["total_rss", "total_shmem"]);
        version_2().or_else(|| Some(version_1()? + kernel().unwrap_or(0)))
    }

    /// Whether the kernel has ended a process of it for want of memory within its limit.
    pub(super) fn ran_out_of_memory(&self) -> bool {
        let kills = |control, file| field(&self.file(control, file)?, "oom_kill");
        let version_1 = || kills(Control::MemoryV1, "memory.oom_control");
        kills(Control::MemoryV2, "memory.events").or_else(version_1).is_some_and(|kills| kills > 0)
    }

    fn file(&self, control: Control, name: &str) -> Option<String> {
        let (folder, _) = self.folders.iter().find(|(_, controls)| controls.contains(&control))?;
        fs::read_to_string(folder.join(name)).ok()
    }
}

/// The value of the line `name value`.
fn field(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    value.trim().parse().ok()
}

impl Freezer {
    fn of(folder: &Path, control: Control) -> io::Result<Option<Self>> {
        let (switch, state, frozen, words) = match control {
            Control::FreezeV2 => ("cgroup.freeze", "cgroup.events", "frozen 1", ["1", "0"]),
            Control::FreezeV1 => ("freezer.state", "freezer.state", "FROZEN", ["FROZEN", "THAWED"]),
            _ => return Ok(None),
        };
        let switch = OpenOptions::new().write(true).open(folder.join(switch))?;
        Ok(Some(Self { switch, state: folder.join(state), frozen, words }))
    }
}

fn set(folder: &Path, control: Control, limits: &Limits) -> io::Result<()> {
    let memory = limits.memory_bytes.to_string();
    match control {
        Control::Processes => fs::write(folder.join("pids.max"), (limits.processes + BUBBLEWRAP).to_string()),
        Control::MemoryV2 => {
            fs::write(folder.join("memory.max"), memory)?;
            // Absent where the kernel does not swap.
            let _ = fs::write(folder.join("memory.swap.max"), "0");
            Ok(())
        }
        Control::MemoryV1 => {
            fs::write(folder.join("memory.limit_in_bytes"), &memory)?;
            // Memory and swap together; absent where swap is not counted.
            let _ = fs::write(folder.join("memory.memsw.limit_in_bytes"), memory);
            Ok(())
        }
        Control::FreezeV2 | Control::FreezeV1 | Control::TimeV2 | Control::TimeV1 => Ok(()),
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for (folder, _) in &self.folders {
            // The kernel lets go of the last process a moment after it was waited for.
            for _ in 0..50 {
                match fs::remove_dir(folder) {
                    Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                        std::thread::sleep(Duration::from_millis(2));
                    }
                    _ => break,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_written_where_each_version_looks_for_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let limits = Limits { processes: 30, memory_bytes: 1 << 20, ..Limits::default() };
        for control in [Control::Processes, Control::MemoryV2, Control::MemoryV1, Control::FreezeV2] {
            set(folder.path(), control, &limits).expect("set");
        }
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).expect(name);
        assert_eq!(read("pids.max"), "32");
        assert_eq!(
            (read("memory.max"), read("memory.limit_in_bytes")),
            ("1048576".to_owned(), "1048576".to_owned())
        );
        assert_eq!(read("memory.swap.max"), "0");
    }

    #[test]
    fn time_and_memory_are_read_of_either_version() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect(name);
        let group = |controls: &[Control]| Group {
            folders: vec![(folder.path().to_owned(), controls.to_vec())],
            doors: Vec::new(),
            freezer: None,
        };
        write("cpu.stat", "usage_usec 12\nuser_usec 7\n");
        write("cpuacct.usage", "12345\n");
        write("memory.stat", "anon 5\nfile 900\nshmem 7\nkernel 11\ntotal_rss 100\ntotal_shmem 20\n");
        write("memory.kmem.usage_in_bytes", "3\n");
        let found = |control| (group(&[control]).cpu_ns(), group(&[control]).memory_bytes());
        assert_eq!(found(Control::TimeV2), (Some(12_000), None));
        assert_eq!(found(Control::TimeV1), (Some(12_345), None));
        assert_eq!(found(Control::MemoryV2), (None, Some(23)), "shared memory too, and no files");
        assert_eq!(found(Control::MemoryV1), (None, Some(123)));
        // the folder is the test's own: it is not removed by groups, because it holds files
        assert!(folder.path().exists());
    }
}
