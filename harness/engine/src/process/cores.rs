//! Which processors engines compute on, and which the harness keeps to meanwhile.

use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Processors by number, as the system counts them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cores {
    /// As many as the contest has threads, for either side the same.
    pub engine: Vec<u32>,
    /// Others, where there are any.
    pub harness: Vec<u32>,
}

impl Cores {
    /// Of the processors that this process was started on, for engines of so many threads.
    pub fn of(threads: u32) -> Self {
        static ALLOWED: OnceLock<Vec<u32>> = OnceLock::new();
        let allowed = ALLOWED.get_or_init(|| first_of_each_core(allowed(), siblings));
        Self::among(allowed, threads as usize)
    }

    /// The processors that this process was started on, dealt to so many lanes: neighbouring cores, and each core with
    /// all of its processors, so that no lane waits for another's. Empty lists where the system does not tell. `None`:
    /// some lane would have fewer than `threads`.
    pub fn dealt(lanes: u32, threads: u32) -> Option<Vec<Vec<u32>>> {
        deal(&allowed(), siblings, lanes as usize, threads as usize)
    }

    /// Keeps this process to these processors for good; to be called before it starts threads.
    pub fn confine(cores: &[u32]) {
        keep_to(cores);
    }

    /// The first is the harness's where one is left over: interrupts come there too.
    fn among(allowed: &[u32], threads: usize) -> Self {
        if allowed.len() <= threads {
            return Self { engine: allowed.to_vec(), harness: allowed.to_vec() };
        }
        let (harness, rest) = allowed.split_at(1);
        let mut engine = rest[..threads.max(1).min(rest.len())].to_vec();
        engine.sort_unstable();
        Self { engine, harness: harness.to_vec() }
    }

    /// Keeps the calling thread, and those it starts, to the harness's processors until the guard is dropped.
    pub fn keep_to_harness(&self) -> Kept {
        let before = allowed();
        keep_to(&self.harness);
        Kept(before)
    }
}

/// Lets a thread go where it could go before.
#[must_use]
#[derive(Debug)]
pub struct Kept(Vec<u32>);

impl Drop for Kept {
    fn drop(&mut self) {
        keep_to(&self.0);
    }
}

/// Processors in the order in which they are given away: one of each core first.
fn first_of_each_core(allowed: Vec<u32>, siblings: impl Fn(u32) -> Vec<u32>) -> Vec<u32> {
    let mut order: Vec<(usize, u32)> = allowed
        .iter()
        .map(|cpu| {
            let before = siblings(*cpu).into_iter().filter(|other| other < cpu && allowed.contains(other));
            (before.count(), *cpu)
        })
        .collect();
    order.sort_unstable();
    order.into_iter().map(|(_, cpu)| cpu).collect()
}

fn deal(
    allowed: &[u32],
    siblings: impl Fn(u32) -> Vec<u32>,
    lanes: usize,
    threads: usize,
) -> Option<Vec<Vec<u32>>> {
    if allowed.is_empty() {
        return Some(vec![Vec::new(); lanes]);
    }
    let mut cores: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for &cpu in allowed {
        let first = siblings(cpu).into_iter().filter(|other| allowed.contains(other)).min().unwrap_or(cpu);
        cores.entry(first).or_default().push(cpu);
    }
    let cores: Vec<Vec<u32>> = cores.into_values().collect();
    let dealt = (0..lanes).map(|lane| {
        let mut own = cores[lane * cores.len() / lanes..(lane + 1) * cores.len() / lanes].concat();
        own.sort_unstable();
        (!own.is_empty() && own.len() >= threads).then_some(own)
    });
    dealt.collect()
}

/// Processors of the core that `cpu` is of.
fn siblings(cpu: u32) -> Vec<u32> {
    let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse::<u32>().ok()?..=last.trim().parse::<u32>().ok()?)
    };
    text.trim().split(',').filter_map(range).flatten().take(64).collect()
}

/// Processors that the calling thread may use.
#[cfg(target_os = "linux")]
fn allowed() -> Vec<u32> {
    let own = nix::unistd::Pid::from_raw(0);
    let Ok(set) = nix::sched::sched_getaffinity(own) else { return Vec::new() };
    let numbers = 0..nix::sched::CpuSet::count();
    numbers
        .filter(|cpu| set.is_set(*cpu).unwrap_or(false))
        .filter_map(|cpu| u32::try_from(cpu).ok())
        .collect()
}

/// Keeps the calling thread to these processors; to all where none is named. Safe between fork and exec. A refusal
/// leaves it where it may go.
#[cfg(target_os = "linux")]
pub(super) fn keep_to(cores: &[u32]) {
    let mut set = nix::sched::CpuSet::new();
    for cpu in cores {
        let _ = set.set(*cpu as usize);
    }
    if !cores.is_empty() {
        let _ = nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set);
    }
}

#[cfg(not(target_os = "linux"))]
fn allowed() -> Vec<u32> {
    Vec::new()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn keep_to(_: &[u32]) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_harness_has_a_processor_of_its_own_where_one_is_left() {
        let of = |allowed: &[u32], threads| {
            let cores = Cores::among(allowed, threads);
            (cores.engine, cores.harness)
        };
        assert_eq!(of(&[0, 1], 2), (vec![0, 1], vec![0, 1]));
        assert_eq!(of(&[0, 1], 1), (vec![1], vec![0]));
        assert_eq!(of(&[4, 5, 6, 7], 8), (vec![4, 5, 6, 7], vec![4, 5, 6, 7]));
        assert_eq!(of(&[0, 1, 2, 3], 2), (vec![1, 2], vec![0]));
        assert_eq!(of(&[], 2), (vec![], vec![]), "where nobody tells");
    }

    #[test]
    fn one_thread_of_each_core_comes_first() {
        let pairs = |cpu: u32| vec![cpu % 4, cpu % 4 + 4];
        assert_eq!(first_of_each_core((0..8).collect(), pairs), [0, 1, 2, 3, 4, 5, 6, 7]);
        let neighbours = |cpu: u32| vec![cpu & !1, cpu | 1];
        assert_eq!(first_of_each_core((0..6).collect(), neighbours), [0, 2, 4, 1, 3, 5]);
        assert_eq!(first_of_each_core(vec![1, 2, 3], neighbours), [1, 2, 3], "its sibling is not ours");
    }

    #[test]
    fn lanes_get_whole_neighbouring_cores_and_no_less_than_they_need() {
        let apart = |cpu: u32| vec![cpu];
        let halves = deal(&[0, 1, 2, 3, 4], apart, 2, 2);
        assert_eq!(halves, Some(vec![vec![0, 1], vec![2, 3, 4]]));
        assert_eq!(deal(&[0, 1, 2, 3, 4], apart, 2, 3), None, "one of them has two");
        let pairs = |cpu: u32| vec![cpu % 4, cpu % 4 + 4];
        let own: Vec<u32> = (0..8).collect();
        assert_eq!(deal(&own, pairs, 2, 4), Some(vec![vec![0, 1, 4, 5], vec![2, 3, 6, 7]]));
        assert_eq!(deal(&own, pairs, 8, 1), None, "two lanes would wait for each other's core");
        assert_eq!(deal(&[], pairs, 2, 4), Some(vec![vec![], vec![]]), "where nobody tells");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_is_kept_and_let_go() {
        std::thread::spawn(|| {
            let before = allowed();
            let last = *before.last().expect("a processor");
            let kept = Cores { engine: Vec::new(), harness: vec![last] }.keep_to_harness();
            assert_eq!(allowed(), [last]);
            drop(kept);
            assert_eq!(allowed(), before);
        })
        .join()
        .expect("it ends");
    }
}
