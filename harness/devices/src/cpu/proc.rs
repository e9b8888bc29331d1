//! Files below `/proc`: those of one line by `procfs`, those of named fields by one reader, which misses no field
//! because a kernel or a container leaves out another.

use std::path::Path;

use procfs_core::process::Stat;
use procfs_core::{FromRead as _, LoadAverage};

/// `/proc/PID/stat`; `None`: there is no such process, or the system does not tell.
pub(crate) fn stat(pid: u32) -> Option<Stat> {
    Stat::from_file(format!("/proc/{pid}/stat")).ok()
}

/// `proc/loadavg` below `root`.
pub(crate) fn load(root: &Path) -> Option<LoadAverage> {
    LoadAverage::from_file(root.join("proc/loadavg")).ok()
}

/// The text of a file of `/proc` that a stranger's process may have written into: its name need be no UTF-8.
pub(crate) fn text(path: &str) -> Option<String> {
    std::fs::read(path).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The value of the first line `name: value`.
pub(crate) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim_end() == name).then(|| value.trim())
    })
}

/// The value of the first line `name: value kB`, bytes.
pub(crate) fn field_bytes(text: &str, name: &str) -> Option<u64> {
    field(text, name)?.strip_suffix("kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_names() {
        let text = "model name\t: A CPU: fast\nMemTotal:       16 kB\nPss:  3 kB\nMem:  x\n";
        assert_eq!(field(text, "model name"), Some("A CPU: fast"));
        assert_eq!((field_bytes(text, "MemTotal"), field_bytes(text, "Pss")), (Some(16 * 1024), Some(3072)));
        assert_eq!((field_bytes(text, "Mem"), field(text, "MemFree")), (None, None));
    }

    #[test]
    fn a_process_may_have_any_name() {
        let stat = |name: &[u8]| {
            let mut line = [b"7 (", name].concat();
            line.extend(b") S 1 7 7 0 -1 4194560 101 102 103 104 5 6 7 8 20 0 3 0 99 4096 12 1844 1 1 1 0 0 0 0 0 0 0 0 0 0");
            Stat::from_read(&line[..]).expect("read")
        };
        let found = stat(b"a) b (c");
        assert_eq!((found.comm.as_str(), found.minflt, found.cmajflt, found.rss), ("a) b (c", 101, 104, 12));
        assert_eq!((found.cutime, found.cstime, found.starttime), (7, 8, 99));
        assert_eq!(stat(b"\xff\n").rss, 12, "no UTF-8");
    }
}
