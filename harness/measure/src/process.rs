//! The processes that are in memory at once: at most one of them is awake, and what they do while they rest is counted.

use edgemaxx_contract::sample::{Failure, Idle, Record};
use edgemaxx_devices::cpu;
use edgemaxx_engine::Engine;

use crate::error::MeasureError;
use crate::remaining::Member;
use crate::run::Run;

/// One side's process.
pub(crate) struct Process {
    pub(crate) member: Member,
    pub(crate) engine: Box<dyn Engine>,
    /// When its rest began.
    since: Option<Moment>,
    /// Its own processor time when its last rest ended, nanoseconds.
    woken_ns: Option<u64>,
    waited_ns: u64,
    busy_ns: u64,
    others_ns: Option<i64>,
}

/// The clock and the processor times of one moment, nanoseconds.
#[derive(Clone, Copy)]
struct Moment {
    now_ns: u64,
    own_ns: u64,
    /// Of the machine without the harness and all engines.
    others_ns: Option<i64>,
}

/// The processes that are in memory, in the order of launch.
pub(crate) struct Processes {
    list: Vec<Process>,
    /// Processor time of those that were here and are gone.
    gone_ns: u64,
}

impl Processes {
    /// Processes that are ready and rest since `now_ns`.
    pub(crate) fn at_rest(engines: impl Iterator<Item = (Member, Box<dyn Engine>)>, now_ns: u64) -> Self {
        let process = |(member, engine)| Process {
            member,
            engine,
            since: None,
            woken_ns: None,
            waited_ns: 0,
            busy_ns: 0,
            others_ns: Some(0),
        };
        let mut processes = Self { list: engines.map(process).collect(), gone_ns: 0 };
        for index in 0..processes.list.len() {
            processes.list[index].since = processes.moment(index, now_ns);
        }
        processes
    }

    /// Whose they are.
    pub(crate) fn members(&self) -> Vec<Member> {
        self.list.iter().map(|process| process.member).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Process> {
        self.list.iter_mut()
    }

    fn index(&self, member: Member) -> Option<usize> {
        self.list.iter().position(|process| process.member == member)
    }

    /// Something is about to be asked of a process: its engine, awake; `None`: it is not in memory.
    ///
    /// # Errors
    /// It did not rest.
    pub(crate) fn wake(&mut self, member: Member, now_ns: u64) -> Result<Option<&mut dyn Engine>, Failure> {
        let Some(index) = self.index(member) else { return Ok(None) };
        self.count(index, now_ns);
        let process = &mut self.list[index];
        process.engine.wake()?;
        Ok(Some(process.engine.as_mut()))
    }

    /// Nothing is asked of a process from now on: what it does until it rests is counted.
    ///
    /// # Errors
    /// It does not come to rest.
    pub(crate) fn rest(&mut self, member: Member, now_ns: u64) -> Result<(), Failure> {
        let Some(index) = self.index(member) else { return Ok(()) };
        self.list[index].since = self.moment(index, now_ns);
        self.list[index].engine.rest()
    }

    /// The processor time that a process spent between its last two rests, nanoseconds, where it is known.
    pub(crate) fn spent_ns(&self, member: Member) -> Option<u64> {
        let process = &self.list[self.index(member)?];
        process.since?.own_ns.checked_sub(process.woken_ns?)
    }

    /// Takes a process out, and what is to be recorded of its rests.
    pub(crate) fn remove(
        &mut self,
        member: Member,
        launch: u32,
        now_ns: u64,
    ) -> Option<(Process, Option<Record>)> {
        let index = self.index(member)?;
        self.count(index, now_ns);
        let process = self.list.remove(index);
        self.gone_ns += process.engine.cpu_ns().unwrap_or(0);
        let record = process.idle(launch);
        Some((process, record))
    }

    /// What went wrong with a process, with the end of what it printed.
    pub(crate) fn with_last_words(&mut self, member: Member, problem: String) -> String {
        match self.index(member) {
            Some(index) => self.list[index].engine.with_last_words(problem),
            None => problem,
        }
    }

    fn moment(&self, index: usize, now_ns: u64) -> Option<Moment> {
        let engine = &self.list[index].engine;
        let own_ns = engine.cpu_ns()?.saturating_sub(engine.moved_ns());
        // What is no process has no part in the machine's time.
        let of = |process: &Process| process.engine.root().and_then(|_| process.engine.cpu_ns());
        let engines: Option<u64> = self.list.iter().map(of).sum();
        let known = cpu::machine_ns().zip(cpu::own_ns()).zip(engines);
        let others = |((machine, harness), engines): ((u64, u64), u64)| {
            machine as i64 - harness as i64 - engines as i64 - self.gone_ns as i64
        };
        Some(Moment { now_ns, own_ns, others_ns: known.map(others) })
    }

    /// A rest is over, by a request or by the session's end.
    fn count(&mut self, index: usize, now_ns: u64) {
        let now = self.moment(index, now_ns);
        let process = &mut self.list[index];
        let Some((since, now)) = process.since.take().zip(now) else { return };
        process.woken_ns = Some(now.own_ns);
        process.waited_ns += now.now_ns.saturating_sub(since.now_ns);
        process.busy_ns += now.own_ns.saturating_sub(since.own_ns);
        let more = now.others_ns.zip(since.others_ns).map(|(now, since)| now - since);
        process.others_ns = process.others_ns.zip(more).map(|(sum, more)| sum + more);
    }
}

impl Process {
    /// What it did while nothing was asked of it, where it is known.
    fn idle(&self, launch: u32) -> Option<Record> {
        let Self { member: (session, side), waited_ns, busy_ns, others_ns, .. } = *self;
        // Several clocks are read one after the other: a little less than nothing is nothing.
        let others_ns = others_ns.map(|ns| u64::try_from(ns).unwrap_or(0));
        let idle = Idle { session, launch, side, waited_ns, busy_ns, others_ns };
        (waited_ns > 0).then_some(Record::Idle(idle))
    }
}

/// Records what the processes did while nothing was asked of them.
pub(crate) fn idle(
    run: &mut Run<'_, '_>,
    launch: u32,
    processes: &mut Processes,
) -> Result<(), MeasureError> {
    let now_ns = run.now_ns();
    for index in 0..processes.list.len() {
        processes.count(index, now_ns);
        if let Some(record) = processes.list[index].idle(launch) {
            run.append(record)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::plan::Side;
    use edgemaxx_contract::sample::FailureKind;
    use edgemaxx_engine::{Answer, Ask, Closed, Load, Loaded};

    use super::*;

    /// Works 5 ns on its own and is moved for 700 each time it comes to rest, and for 300 when it wakes.
    #[derive(Default)]
    struct Swapped {
        own_ns: u64,
        moved_ns: u64,
    }

    impl Engine for Swapped {
        fn load(&mut self, _: &Load) -> Result<Loaded, Failure> {
            Err(Failure { kind: FailureKind::Refused, detail: String::new() })
        }

        fn ask(&mut self, _: &Ask<'_>) -> Result<Answer, Failure> {
            Err(Failure { kind: FailureKind::Refused, detail: String::new() })
        }

        fn rest(&mut self) -> Result<(), Failure> {
            (self.own_ns, self.moved_ns) = (self.own_ns + 5, self.moved_ns + 700);
            Ok(())
        }

        fn wake(&mut self) -> Result<(), Failure> {
            self.moved_ns += 300;
            Ok(())
        }

        fn cpu_ns(&self) -> Option<u64> {
            Some(self.own_ns + self.moved_ns)
        }

        fn moved_ns(&self) -> u64 {
            self.moved_ns
        }

        fn close(&mut self) -> Closed {
            Closed::default()
        }
    }

    #[test]
    fn what_moving_its_memory_takes_is_no_work_of_a_process() {
        let member = (0, Side::Candidate);
        let engine: Box<dyn Engine> = Box::new(Swapped::default());
        let mut processes = Processes::at_rest(std::iter::once((member, engine)), 0);
        for turn in 1..=3 {
            processes.wake(member, turn * 100).expect("awake");
            processes.rest(member, turn * 100 + 10).expect("at rest");
            assert_eq!(processes.spent_ns(member), Some(0), "nothing but moves between two rests");
        }
        let (_, record) = processes.remove(member, 0, 400).expect("it is there");
        let Some(Record::Idle(idle)) = record else { panic!("no record of its rests") };
        assert_eq!((idle.waited_ns, idle.busy_ns), (100 + 90 + 90 + 90, 3 * 5));
    }
}
