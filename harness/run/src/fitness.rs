//! Whether this machine is fit to measure, and its clocks.

use std::path::{Path, PathBuf};

use edgemaxx_contract::contest::Device;
use edgemaxx_contract::environment::Card;
use edgemaxx_devices::{Ask, Check, Chosen, ClockError, Fitness, Lock, Wanted, vendor, weights_fit};
use edgemaxx_engine::SandboxStatus;

use crate::error::{Class, Result, RunError};
use crate::progress::Observer;

/// The card that engines are to see: the one asked for, the only one that the contest can mean, or, where a run goes
/// on, that of `before`.
///
/// # Errors
/// It must be said which card is meant.
pub fn choose(wanted: &Device, asked: Ask, before: Option<&Card>) -> Result<Chosen> {
    edgemaxx_devices::choose_again(wanted, asked, before).map_err(|error| RunError::input(error.to_string()))
}

/// Says where what a plan has in memory at once does not fit into this machine, which may not be the one that measures.
pub fn advise_on_memory(weights: u64, device: &Device, observer: &dyn Observer) {
    let chosen = edgemaxx_devices::choose(device, Ask::First);
    let check = chosen.ok().and_then(|chosen| weights_fit(weights, &chosen));
    if let Some(check) = check.filter(|check| check.fitness > Fitness::Unknown) {
        observer.note(&format!("warning: on this machine {}: {}: {}", check.name, check.found, check.cure));
    }
}

/// All checks of this machine; `folder` is where the run is written.
pub fn examine(wanted: &Wanted, chosen: &Chosen, sandbox: &SandboxStatus, folder: &Path) -> Vec<Check> {
    let mut checks = edgemaxx_devices::examine(wanted, chosen, folder);
    checks.push(confinement(sandbox));
    checks
}

fn confinement(sandbox: &SandboxStatus) -> Check {
    const WHY: &str = "engines are programs of strangers, beside your wallet";
    let found = Check::fit("sandbox", WHY, sandbox.to_string());
    match (sandbox.is_sandboxed(), sandbox.gap()) {
        (false, _) => found.but(Fitness::NoWeights, "install bubblewrap, and allow user namespaces"),
        (true, Some(gap)) => found.but(Fitness::NoWeights, gap),
        (true, None) => found,
    }
}

/// What a run does with what was found: ends, or goes on and says so. Why the machine is unfit; that nothing confines
/// engines is recorded as such, keeps weights from a run, and makes no latency worse.
///
/// # Errors
/// The machine is unfit, and that is not allowed.
pub fn judge(found: &[Check], allow_unfit: bool, observer: &dyn Observer) -> Result<Vec<String>> {
    let words = |check: &Check| format!("{}: {}: {}", check.name, check.found, check.cure);
    let unfit: Vec<String> = found.iter().filter(|c| c.fitness == Fitness::Unfit).map(words).collect();
    if !unfit.is_empty() && !allow_unfit {
        return Err(RunError::of(
            Class::Environment,
            format!(
                "this machine is not fit for the contest, and nothing was measured:\n{}\nmend it (`edgemaxx doctor` tells more), or measure all the same by --allow-unfit: no weights can come of it",
                unfit.join("\n")
            ),
        ));
    }
    for check in found.iter().filter(|check| check.fitness == Fitness::Advice) {
        observer.note(&format!("advice: {}", words(check)));
    }
    for reason in found.iter().filter(|check| check.fitness >= Fitness::NoWeights).map(words) {
        observer.note(&format!("warning: no weights can come of this run: {reason}"));
    }
    Ok(unfit)
}

/// Locks the card's clocks for this run to what it holds by default, or at most.
///
/// # Errors
/// There is no card, or its clocks cannot be locked.
pub fn lock_clocks(chosen: &Chosen, observer: &dyn Observer) -> Result<Lock> {
    let unfit = |why: &str| RunError::of(Class::Environment, format!("--lock-clocks: {why}"));
    let card = match chosen {
        Chosen::Card(card) => card,
        Chosen::Missing(why) => return Err(unfit(why)),
        Chosen::Processor => return Err(RunError::input("--lock-clocks: no card is used")),
    };
    let mhz = vendor(card.kind).steady_clock_mhz(card).map_err(|why| unfit(&why))?;
    let held = edgemaxx_devices::lock(&state_folder(), card, mhz).map_err(clock_failure)?;
    observer.note(&format!("GPU {}: clocks locked to {mhz} MHz for this run", card.index));
    Ok(held)
}

/// Puts back the clocks that are locked, whoever locked them; the cards.
///
/// # Errors
/// They cannot be put back.
pub fn restore_clocks() -> Result<Vec<Card>> {
    edgemaxx_devices::restore(&state_folder()).map_err(clock_failure)
}

/// Puts back the clocks that a crashed run left locked.
pub fn put_back_leftovers(observer: &dyn Observer) {
    match edgemaxx_devices::leftover(&state_folder()) {
        Ok(cards) => {
            for card in cards {
                let index = card.index;
                observer
                    .note(&format!("GPU {index}: put back the clocks that a run which crashed had locked"));
            }
        }
        Err(error @ ClockError::State { .. }) => {
            observer.note(&format!(
                "warning: cannot tell whether a run that crashed left clocks locked: {error}"
            ));
        }
        Err(error) => observer.note(&format!("warning: a run that crashed left clocks locked: {error}")),
    }
}

fn clock_failure(error: ClockError) -> RunError {
    RunError::of(Class::Environment, error.to_string())
}

/// Where it is kept what must be put back.
fn state_folder() -> PathBuf {
    crate::state_folder::state_folder().unwrap_or_else(|| std::env::temp_dir().join("edgemaxx"))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::progress::{Progress, Silent};

    #[test]
    fn no_weights_come_of_engines_that_nothing_confines() {
        let open = SandboxStatus::Unsandboxed { reason: "bwrap not found".to_owned() };
        let check = confinement(&open);
        assert!(check.fitness == Fitness::NoWeights && check.cure.contains("bubblewrap"), "{check:?}");
        assert!(check.found.contains("bwrap not found"));
    }

    /// What a run says.
    #[derive(Default)]
    struct Told(Mutex<Vec<String>>);

    impl Observer for Told {
        fn note(&self, text: &str) {
            self.0.lock().unwrap().push(text.to_owned());
        }

        fn begin(&self, stage: &'static str, total: u64) -> Box<dyn Progress> {
            Silent.begin(stage, total)
        }

        fn interrupt(&self) -> Arc<AtomicBool> {
            Arc::default()
        }
    }

    #[test]
    fn who_measures_on_an_unfit_machine_says_so_and_sets_no_weights() {
        let check = |name, fitness| Check::fit(name, "why", "found").but(fitness, "cure");
        let all = [
            check("good", Fitness::Fit),
            check("silent", Fitness::Unknown),
            check("noisy", Fitness::Advice),
            check("open", Fitness::NoWeights),
            check("busy", Fitness::Unfit),
        ];
        let judged = |found: &[Check], allowed: bool| {
            let told = Told::default();
            let marked = judge(found, allowed, &told).map_err(|error| (error.class(), error.words()));
            (marked, told.0.into_inner().unwrap())
        };
        let (open, busy) = ("open: found: cure".to_owned(), "busy: found: cure".to_owned());
        let advice = "advice: noisy: found: cure".to_owned();
        let warning = |of: &str| format!("warning: no weights can come of this run: {of}");
        assert_eq!(judged(&all[..3], false), (Ok(Vec::new()), vec![advice.clone()]));
        assert_eq!(judged(&all[..4], false), (Ok(Vec::new()), vec![advice.clone(), warning(&open)]));
        let (refused, told) = judged(&all, false);
        let (class, words) = refused.unwrap_err();
        assert!(class == Class::Environment && told.is_empty(), "{told:?}");
        assert!(words.contains("nothing was measured:\nbusy: found: cure\nmend it"), "{words}");
        let warnings = vec![advice, warning(&open), warning(&busy)];
        assert_eq!(judged(&all, true), (Ok(vec![busy]), warnings));
    }
}
