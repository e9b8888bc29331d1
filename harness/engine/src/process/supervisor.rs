//! The process between harness and engine: adopts the engine's orphans and ends them all.
//!
//! It is forked from a program that may have several threads and never calls `exec`, so it may
//! only do what is safe in a signal handler: system calls on memory of its own stack.

use std::io;
use std::os::fd::RawFd;

/// Byte on the control pipe: ask the engine's process group to end (SIGTERM).
/// The pipe's end (the harness closed it, or is gone) ends every process at once.
pub(super) const TERMINATE: u8 = b'T';

/// What the supervisor writes to the report pipe when no process is left: the engine's wait
/// status (i32) and the peak resident memory of its largest process in KiB (u64), native-endian.
pub(super) const REPORT_BYTES: usize = 12;

/// To be called in a fresh child before `exec`: forks once more. Returns in the new child, which
/// becomes the engine, in a session of its own; the other one stays behind as its supervisor.
///
/// `thaw` is written to before the engine's processes are ended: those that are frozen may not hear of it.
///
/// # Safety
/// Only between `fork` and `exec`; `control`, `report` and that of `thaw` must be open descriptors above 3.
pub(super) unsafe fn supervise(
    control: RawFd,
    report: RawFd,
    thaw: Option<(RawFd, &'static str)>,
) -> io::Result<()> {
    // SAFETY: plain system calls; all pointers refer to locals.
    unsafe {
        if libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0 {
            return Err(io::Error::last_os_error());
        }
        libc::setsid();
        let supervisor = libc::getpid();
        let engine = libc::fork();
        if engine < 0 {
            return Err(io::Error::last_os_error());
        }
        if engine == 0 {
            libc::setsid();
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
            if libc::getppid() != supervisor {
                libc::_exit(1);
            }
            return Ok(());
        }
        stay(engine, control, report, thaw)
    }
}

unsafe fn stay(engine: libc::pid_t, control: RawFd, report: RawFd, thaw: Option<(RawFd, &'static str)>) -> ! {
    // SAFETY: as above; this process has one thread and is never left by a return.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
        libc::prctl(libc::PR_SET_NAME, c"edgemaxx-super".as_ptr(), 0, 0, 0);
        // Keep three descriptors; above all the engine's socket must not stay open here.
        libc::dup2(control, 0);
        libc::dup2(report, 1);
        match thaw {
            Some((switch, _)) => libc::dup2(switch, 2),
            None => libc::close(2),
        };
        if libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, 0u32) != 0 {
            for fd in 3..4096 {
                libc::close(fd);
            }
        }
        let (mut status, mut usage) = (0, std::mem::zeroed::<libc::rusage>());
        let ended = wait_for_end(engine, &mut status, &mut usage);
        if let Some((_, word)) = thaw {
            libc::write(2, word.as_ptr().cast(), word.len());
        }
        end_all(engine, ended, &mut status, &mut usage);
        let mut words = [0u8; REPORT_BYTES];
        words[..4].copy_from_slice(&status.to_ne_bytes());
        words[4..].copy_from_slice(&(usage.ru_maxrss as u64).to_ne_bytes());
        libc::write(1, words.as_ptr().cast(), words.len());
        libc::_exit(0)
    }
}

/// Sleeps until the engine ends (true) or the control pipe does (false).
unsafe fn wait_for_end(engine: libc::pid_t, status: &mut libc::c_int, usage: &mut libc::rusage) -> bool {
    // SAFETY: as above.
    unsafe {
        let pidfd = libc::syscall(libc::SYS_pidfd_open, engine, 0) as libc::c_int;
        // Kernels before 5.3 have no pidfd: look every 50 ms.
        let timeout = if pidfd < 0 { 50 } else { -1 };
        loop {
            let mut ready = [
                libc::pollfd { fd: 0, events: libc::POLLIN, revents: 0 },
                libc::pollfd { fd: pidfd, events: libc::POLLIN, revents: 0 },
            ];
            libc::poll(ready.as_mut_ptr(), 2, timeout);
            if libc::wait4(engine, status, libc::WNOHANG, usage) == engine {
                return true;
            }
            if ready[0].revents != 0 {
                let mut byte = 0u8;
                if libc::read(0, (&raw mut byte).cast(), 1) != 1 {
                    return false;
                }
                if byte == TERMINATE {
                    libc::kill(-engine, libc::SIGTERM);
                }
            }
        }
    }
}

/// Kills children until there are none: orphans of those killed become children in turn.
unsafe fn end_all(engine: libc::pid_t, mut ended: bool, status: &mut libc::c_int, usage: &mut libc::rusage) {
    // SAFETY: as above.
    unsafe {
        if !ended {
            libc::kill(-engine, libc::SIGKILL);
            libc::kill(engine, libc::SIGKILL);
        }
        loop {
            kill_children();
            loop {
                let (mut other, mut spent) = (0, std::mem::zeroed::<libc::rusage>());
                let pid = libc::wait4(-1, &mut other, libc::WNOHANG, &mut spent);
                if pid == engine && !ended {
                    (*status, *usage, ended) = (other, spent, true);
                }
                if pid < 0 && io_errno() == libc::ECHILD {
                    return;
                }
                if pid <= 0 {
                    break;
                }
            }
            let pause = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };
            libc::nanosleep(&pause, std::ptr::null_mut());
        }
    }
}

unsafe fn io_errno() -> libc::c_int {
    // SAFETY: the thread's own errno.
    unsafe { *libc::__errno_location() }
}

/// SIGKILL for every direct child, as `/proc` lists them.
unsafe fn kill_children() {
    // SAFETY: as above.
    unsafe {
        let file = libc::open(c"/proc/thread-self/children".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        if file < 0 {
            return;
        }
        let (mut buffer, mut pid) = ([0u8; 4096], 0i32);
        loop {
            let count = libc::read(file, buffer.as_mut_ptr().cast(), buffer.len());
            if count <= 0 {
                break;
            }
            let mut at = 0;
            while at < count as usize && at < buffer.len() {
                match buffer[at] {
                    digit @ b'0'..=b'9' => pid = pid.wrapping_mul(10).wrapping_add(i32::from(digit - b'0')),
                    _ => {
                        if pid > 1 {
                            libc::kill(pid, libc::SIGKILL);
                        }
                        pid = 0;
                    }
                }
                at += 1;
            }
        }
        if pid > 1 {
            libc::kill(pid, libc::SIGKILL);
        }
        libc::close(file);
    }
}
