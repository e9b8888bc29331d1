//! The environments of a run's lanes as one: what they must share, and the worst of what they need not.

use std::collections::BTreeMap;

use super::{Bounds, Card, Confinement, Environment};
use crate::dtype::Dtype;
use crate::floor::Peaks;

impl Environment {
    /// Where a run of several lanes was measured. Whatever decides about belief is that of the worst lane: what keeps
    /// weights from one keeps them from all. What the device can do at most is what the fastest lane could.
    ///
    /// # Errors
    /// The lanes cannot be pooled, as no ratio of one means the same on the other: they are of another card, driver or
    /// engine. Says which, and by what.
    pub fn of_lanes(lanes: Vec<Self>) -> Result<Self, String> {
        let Some(first) = lanes.first() else { return Err("no lane".to_owned()) };
        for (number, lane) in lanes.iter().enumerate() {
            if let Some((what, own, theirs)) = first.difference(lane) {
                return Err(format!(
                    "lane {number} was measured with another {what} ({theirs}) than lane 0 ({own}): what they say cannot be pooled; measure it again as the others were, or begin a run of its own"
                ));
            }
        }
        let mut pooled = first.clone();
        let mut unfit = Vec::new();
        for (number, lane) in lanes.iter().enumerate() {
            unfit.extend(lane.unfit.iter().map(|reason| format!("lane {number}: {reason}")));
            if let (Confinement::Bubblewrap { .. }, Confinement::Unsandboxed { .. }) =
                (&pooled.sandbox, &lane.sandbox)
            {
                pooled.sandbox = lane.sandbox.clone();
            }
            pooled.bounds = pooled.bounds.zip(lane.bounds.clone()).map(|(one, other)| worse(one, other));
            pooled.peaks = pooled.peaks.zip(lane.peaks.clone()).map(|(one, other)| higher(one, &other));
        }
        pooled.unfit = unfit;
        pooled.cpus = lanes.iter().map(|lane| lane.cpus).sum();
        pooled.protocol_ns = lanes.iter().map(|lane| lane.protocol_ns).max().flatten();
        pooled.lanes = lanes;
        Ok(pooled)
    }

    /// What of the machine and its EdgeMaxx keeps the samples of another from being pooled with those of this one: what
    /// it is, here and there.
    pub fn other_machine(&self, other: &Self) -> Option<(&'static str, String, String)> {
        let card = |of: &Self| of.card.as_ref().map(|card: &Card| (card.kind, card.name.clone()));
        let driver = |of: &Self| of.card.as_ref().and_then(|card| card.driver.clone());
        let name = |of: &Self| card(of).map_or_else(|| of.cpu.clone(), |(_, name)| name);
        if card(self) != card(other) || name(self) != name(other) {
            return Some(("card", name(self), name(other)));
        }
        let words = |of: Option<String>| of.unwrap_or_else(|| "unknown".to_owned());
        if driver(self) != driver(other) {
            return Some(("driver", words(driver(self)), words(driver(other))));
        }
        let build = |of: &Self| {
            let commit = of.build.as_ref().map_or("unknown", |build| build.commit.as_str());
            format!("{} of commit {commit}", of.edgemaxx)
        };
        if self.edgemaxx != other.edgemaxx || self.build != other.build {
            return Some(("EdgeMaxx", build(self), build(other)));
        }
        None
    }

    /// What keeps the samples of another lane from being pooled with those of this one: what it is, here and there.
    pub fn difference(&self, other: &Self) -> Option<(&'static str, String, String)> {
        if let Some(difference) = self.other_machine(other) {
            return Some(difference);
        }
        if self.work != other.work {
            return Some(("engine", "its own needs".to_owned(), "other needs".to_owned()));
        }
        let pins = |of: &Self| of.pins_of_any_card().map(str::to_owned).collect::<Vec<_>>();
        let (own, theirs) = (pins(self), pins(other));
        let differs = |these: &[String], those: &[String]| {
            let lacks = |pin: &&String| !those.contains(pin);
            these.iter().find(lacks).cloned().unwrap_or_else(|| "no more".to_owned())
        };
        (own != theirs).then(|| ("engine or pin", differs(&own, &theirs), differs(&theirs, &own)))
    }
}

/// The worse of two lanes' bounds; the processors of both.
fn worse(one: Bounds, other: Bounds) -> Bounds {
    let both = |mut these: Vec<u32>, those: Vec<u32>| {
        these.extend(those);
        these.sort_unstable();
        these.dedup();
        these
    };
    Bounds {
        rest: one.rest.max(other.rest),
        card_rest: one.card_rest.max(other.card_rest),
        memory: one.memory && other.memory,
        calls: one.calls && other.calls,
        own_user: one.own_user && other.own_user,
        cores: both(one.cores, other.cores),
        harness_cores: both(one.harness_cores, other.harness_cores),
    }
}

fn higher(one: Peaks, other: &Peaks) -> Peaks {
    let mut flops: BTreeMap<Dtype, u64> = one.flops;
    for (dtype, per_s) in &other.flops {
        let most = flops.entry(*dtype).or_default();
        *most = (*most).max(*per_s);
    }
    Peaks {
        flops,
        bytes: one.bytes.max(other.bytes),
        cache_bytes: one.cache_bytes.max(other.cache_bytes),
        narrower: one.narrower.max(other.narrower),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contest::DeviceKind;
    use crate::environment::{Build, CardRest, Rest};
    use crate::format::Document as _;

    const EXAMPLE: &str = include_str!("../../../../reports/examples/emoji-cpu/environment.json");

    fn lane(index: u32) -> Environment {
        let mut lane = Environment::from_json(EXAMPLE).unwrap();
        lane.card = Some(Card {
            kind: DeviceKind::Cuda,
            index,
            name: "Card".to_owned(),
            uuid: Some(format!("GPU-{index}")),
            driver: Some("570".to_owned()),
            node: None,
        });
        lane.pins.push(format!("CUDA_VISIBLE_DEVICES=GPU-{index}"));
        lane.unfit.clear();
        lane.bounds = Some(Bounds {
            card_rest: Some(CardRest::Locked),
            cores: vec![2 * index],
            harness_cores: vec![2 * index + 1],
            ..Bounds::mock()
        });
        lane
    }

    #[test]
    fn what_is_worst_on_any_lane_is_the_runs() {
        let mut other = lane(1);
        other.unfit.push("governor".to_owned());
        other.sandbox = Confinement::Unsandboxed { reason: "no bwrap".to_owned() };
        let bounds = other.bounds.as_mut().unwrap();
        (bounds.rest, bounds.card_rest, bounds.memory) = (Rest::Stop, Some(CardRest::Unproven), false);
        for lanes in [vec![lane(0), other.clone()], vec![other.clone(), lane(0)]] {
            let pooled = Environment::of_lanes(lanes).unwrap();
            assert!(matches!(&pooled.sandbox, Confinement::Unsandboxed { .. }));
            let bounds = pooled.bounds.unwrap();
            assert_eq!((bounds.rest, bounds.card_rest), (Rest::Stop, Some(CardRest::Unproven)));
            assert!(!bounds.memory && bounds.calls);
            assert_eq!((bounds.cores, bounds.harness_cores), (vec![0, 2], vec![1, 3]));
            assert_eq!((pooled.unfit.len(), pooled.lanes.len()), (1, 2));
            assert!(pooled.unfit[0].ends_with("governor"), "{:?}", pooled.unfit);
        }
        other.bounds = None;
        assert_eq!(Environment::of_lanes(vec![lane(0), other]).unwrap().bounds, None);
    }

    #[test]
    fn lanes_of_another_card_driver_or_engine_are_refused() {
        let refused = |change: &dyn Fn(&mut Environment), word: &str| {
            let mut other = lane(1);
            change(&mut other);
            let error = Environment::of_lanes(vec![lane(0), lane(2), other]).unwrap_err();
            assert!(error.contains("lane 2") && error.contains(word), "{error}");
        };
        assert!(Environment::of_lanes(vec![lane(0), lane(1)]).is_ok(), "two cards of one kind");
        refused(&|lane| lane.card.as_mut().unwrap().name = "Other Card".to_owned(), "Other Card");
        refused(&|lane| lane.card.as_mut().unwrap().driver = Some("560".to_owned()), "another driver (560)");
        refused(&|lane| lane.card = None, "another card");
        refused(&|lane| lane.edgemaxx = "0.0.1".to_owned(), "0.0.1");
        let build = || Build {
            commit: "0123abc".to_owned(),
            profile: "dev".to_owned(),
            rustc: "rustc".to_owned(),
            features: Vec::new(),
        };
        let built = |lane: &mut Environment| lane.build = Some(build());
        refused(&built, "commit 0123abc");
        refused(&|lane| lane.pins.push("engine.f16.cudnn=9".to_owned()), "engine.f16.cudnn=9");
        let processor = |cpu: &str| Environment { cpu: cpu.to_owned(), card: None, ..lane(0) };
        assert!(Environment::of_lanes(vec![processor("a"), processor("a")]).is_ok());
        assert!(Environment::of_lanes(vec![processor("a"), processor("b")]).is_err());
    }
}
