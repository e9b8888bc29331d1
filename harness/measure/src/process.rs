//! A process, and what it does while nothing is asked of it.

use edgemaxx_contract::sample::{Idle, Record};
use edgemaxx_engine::Engine;

use crate::error::MeasureError;
use crate::remaining::Member;
use crate::run::Run;

/// One side's process.
pub(crate) struct Process {
    pub(crate) member: Member,
    pub(crate) engine: Box<dyn Engine>,
    /// When its rest began: harness's clock and its own processor time, nanoseconds.
    since: Option<(u64, u64)>,
    /// Its own processor time when its rest ended, nanoseconds.
    woken_ns: Option<u64>,
    waited_ns: u64,
    busy_ns: u64,
}

impl Process {
    /// A process that is ready and rests since `now_ns`.
    pub(crate) fn ready(member: Member, engine: Box<dyn Engine>, now_ns: u64) -> Self {
        let mut process = Self { member, engine, since: None, woken_ns: None, waited_ns: 0, busy_ns: 0 };
        process.rests(now_ns);
        process
    }

    /// Nothing is asked of it from now on; the processor time that it spent since it woke, where that is known.
    pub(crate) fn rests(&mut self, now_ns: u64) -> Option<u64> {
        let cpu_ns = self.engine.cpu_ns();
        self.since = cpu_ns.map(|cpu_ns| (now_ns, cpu_ns));
        Some(cpu_ns?.saturating_sub(self.woken_ns.take()?))
    }

    /// Something is about to be asked of it, or its session is over.
    pub(crate) fn wakes(&mut self, now_ns: u64) {
        let Some((since_ns, cpu_ns)) = self.since.take() else { return };
        let Some(cpu_now_ns) = self.engine.cpu_ns() else { return };
        self.woken_ns = Some(cpu_now_ns);
        self.waited_ns += now_ns.saturating_sub(since_ns);
        self.busy_ns += cpu_now_ns.saturating_sub(cpu_ns);
    }
}

/// Records what the processes did while nothing was asked of them, where it is known.
pub(crate) fn idle(
    run: &mut Run<'_, '_>,
    launch: u32,
    processes: &mut [Process],
) -> Result<(), MeasureError> {
    let now_ns = run.now_ns();
    for process in processes {
        process.wakes(now_ns);
        let Process { member: (session, side), waited_ns, busy_ns, .. } = *process;
        if waited_ns > 0 {
            run.append(Record::Idle(Idle { session, launch, side, waited_ns, busy_ns }))?;
        }
    }
    Ok(())
}
