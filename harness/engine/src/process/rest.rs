//! Rest: while the other side is asked, no process of an engine's tree runs.
//!
//! Its contexts on a card are locked. A control group is frozen, whatever its processes do. Where there is none, every process of the tree is stopped by
//! a signal, again until a look at the tree finds none that runs, and looked at once more before it goes on.

use std::time::{Duration, Instant};

use edgemaxx_devices::{Hold, cpu};

use super::group::Group;

/// Between two looks at a tree.
const LOOK: Duration = Duration::from_micros(200);
/// A tree that goes on is given this long before it is asked: its threads find their places outside of the clock.
const SETTLE: Duration = Duration::from_micros(300);
/// So many looks in a row must find nothing that runs.
const STILL: u32 = 2;

/// Brings the tree below `root` to rest, on the card first where it sees one: what keeps it from there wants its
/// answer.
///
/// # Errors
/// In words, why it is not at rest in time.
pub(super) fn rest(
    root: u32,
    group: Option<&Group>,
    card: Option<&mut Box<dyn Hold>>,
    patience: Duration,
) -> Result<(), String> {
    let deadline = Instant::now() + patience;
    let Some(card) = card else { return stop(root, group, deadline) };
    loop {
        card.lock(&living(root), deadline)?;
        stop(root, group, deadline)?;
        // Who was born between the two has not been looked at.
        if card.keeps(&living(root))? {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err("it starts process after process".to_owned());
        }
        go_on(root, group, deadline)?;
    }
}

/// Lets the tree go on.
///
/// # Errors
/// In words: it was not at rest, or cannot go on.
pub(super) fn wake(
    root: u32,
    group: Option<&Group>,
    card: Option<&mut Box<dyn Hold>>,
    patience: Duration,
) -> Result<(), String> {
    go_on(root, group, Instant::now() + patience)?;
    if let Some(card) = card {
        card.unlock(patience)?;
    }
    std::thread::sleep(SETTLE);
    Ok(())
}

/// Processes of the tree that have not ended.
fn living(root: u32) -> Vec<u32> {
    cpu::tree(root).unwrap_or_default().into_iter().filter(|process| cpu::runs(*process)).collect()
}

fn stop(root: u32, group: Option<&Group>, deadline: Instant) -> Result<(), String> {
    if let Some(group) = group.filter(|group| group.freezes()) {
        return match group.hold(true, deadline) {
            Ok(true) => Ok(()),
            Ok(false) => Err("its processes could not be frozen in time".to_owned()),
            Err(error) => Err(format!("its control group cannot be frozen: {error}")),
        };
    }
    let mut still = 0;
    loop {
        let running = signal_running(root, libc::SIGSTOP);
        still = if running == Some(0) { still + 1 } else { 0 };
        if still == STILL || running.is_none() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err("its processes could not be stopped in time".to_owned());
        }
        std::thread::sleep(LOOK);
    }
}

fn go_on(root: u32, group: Option<&Group>, deadline: Instant) -> Result<(), String> {
    if let Some(group) = group.filter(|group| group.freezes()) {
        match group.hold(false, deadline) {
            Ok(true) => {}
            Ok(false) => return Err("its control group stays frozen".to_owned()),
            Err(error) => return Err(format!("its control group cannot be thawed: {error}")),
        }
    } else {
        let running = running(root).unwrap_or_default();
        for process in cpu::tree(root).unwrap_or_default() {
            signal(process, libc::SIGCONT);
        }
        if !running.is_empty() {
            return Err(format!("{} of its processes ran although it had been stopped", running.len()));
        }
    }
    Ok(())
}

/// Signals every process of the tree that runs; how many did. `None` where the system does not tell.
fn signal_running(root: u32, number: libc::c_int) -> Option<usize> {
    let running = running(root)?;
    running.iter().for_each(|process| signal(*process, number));
    Some(running.len())
}

/// Processes of the tree of which a thread is neither stopped nor gone.
fn running(root: u32) -> Option<Vec<u32>> {
    Some(cpu::tree(root)?.into_iter().filter(|process| cpu::runs(*process)).collect())
}

fn signal(process: u32, number: libc::c_int) {
    if let Ok(process) = libc::pid_t::try_from(process) {
        // SAFETY: a signal to a process of the engine's tree; one that is gone is no matter.
        unsafe { libc::kill(process, number) };
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, Command};

    use super::*;
    use crate::process::cgroup::{Control, Place, Tree};
    use crate::process::group;
    use crate::process::limits::Limits;

    /// A shell with two children that never rest, in a group.
    fn burner(group: Option<&Group>) -> Child {
        let doors: Vec<i32> =
            group.iter().flat_map(|group| group.doors()).map(|door| door.as_raw_fd()).collect();
        let mut command = Command::new("sh");
        command.args(["-c", "sh -c 'while :; do :; done' & sh -c 'while :; do :; done' & wait"]);
        // SAFETY: only system calls are made.
        unsafe {
            command.pre_exec(move || {
                doors.iter().for_each(|door| {
                    libc::write(*door, c"0".as_ptr().cast(), 1);
                });
                Ok(())
            });
        }
        command.spawn().expect("a shell")
    }

    fn rests(group: Option<&Group>) {
        let patience = Duration::from_secs(20);
        let mut shell = burner(group);
        while running(shell.id()).unwrap_or_default().len() < 2 {
            std::thread::sleep(LOOK);
        }
        let time = || cpu::cpu_ns(shell.id()).expect("counted");
        for _ in 0..20 {
            rest(shell.id(), group, None, patience).expect("at rest");
            let before = time();
            std::thread::sleep(Duration::from_millis(20));
            assert!(time() - before < 1_000_000, "{group:?}");
            wake(shell.id(), group, None, patience).expect("awake");
        }
        let all = cpu::tree(shell.id()).unwrap_or_default();
        all.into_iter().for_each(|process| signal(process, libc::SIGKILL));
        shell.wait().expect("it ended");
    }

    #[test]
    fn every_way_to_rest_there_is_here_is_one() {
        rests(None);
        let Some(place) = group::usable() else {
            let _ = writeln!(std::io::stderr(), "SKIPPED: no control group can be made here");
            return;
        };
        let mut parents = place.trees.clone();
        // Version 1's too, where version 2 would be taken.
        parents.push(Tree { parent: "/sys/fs/cgroup/freezer".into(), controls: vec![Control::FreezeV1] });
        for tree in parents {
            let place = Place { trees: vec![tree] };
            match Group::new(&place, &Limits::default()) {
                Ok(group) if group.freezes() => rests(Some(&group)),
                Ok(_) => {}
                Err(error) => {
                    let _ = writeln!(std::io::stderr(), "SKIPPED: {place:?}: {error}");
                }
            }
        }
    }
}
