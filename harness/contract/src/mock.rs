//! For tests of every crate: documents of which nothing is wrong, to be changed by those who try what is.

use std::collections::BTreeMap;

use crate::counted::Counted;
use crate::day::{BlockRef, DayRecord};
use crate::environment::{Bounds, Confinement, Environment, Rest};
use crate::estimate::{CandidateEstimates, Claim, Outliers};
use crate::format::Document as _;
use crate::plan::Role;

impl Environment {
    /// Of a machine on which engines are confined and held as weights ask for, and which measures fitly.
    #[doc(hidden)]
    pub fn mock() -> Self {
        Self {
            format: Self::expected_format(),
            edgemaxx: String::new(),
            build: None,
            os: String::new(),
            cpu: String::new(),
            cpus: 2,
            memory_bytes: 0,
            gpus: Vec::new(),
            card: None,
            sandbox: Confinement::Bubblewrap { note: None },
            bounds: Some(Bounds::mock()),
            protocol_ns: None,
            peaks: None,
            work: BTreeMap::new(),
            pins: Vec::new(),
            unfit: Vec::new(),
            lanes: Vec::new(),
        }
    }
}

impl Bounds {
    /// All that weights ask for.
    #[doc(hidden)]
    pub fn mock() -> Self {
        Self {
            rest: Rest::CgroupV2,
            card_rest: None,
            memory: true,
            calls: true,
            own_user: true,
            cores: vec![1],
            harness_cores: vec![0],
        }
    }
}

impl DayRecord {
    /// Of a day on which nobody committed anything.
    #[doc(hidden)]
    pub fn mock() -> Self {
        Self {
            format: Self::expected_format(),
            day: "2026-11-22".parse().expect("a day"),
            netuid: 39,
            validator: "v".to_owned(),
            closed_unix_s: 0,
            block: Some(BlockRef { number: 1, hash: "0x01".to_owned(), unix_s: 0 }),
            opened: None,
            registered: Vec::new(),
            submissions: Vec::new(),
            undecoded: Vec::new(),
            not_measured: None,
        }
    }
}

impl CandidateEstimates {
    /// Of a candidate of which nothing was measured and nothing is claimed.
    #[doc(hidden)]
    pub fn mock(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            role: Role::Candidate,
            sessions: 0,
            by_session: Vec::new(),
            pairs: 0,
            counted: Counted::all(0),
            pairs_throttled: 0,
            sessions_unsteady: 0,
            sessions_drifting: 0,
            stopped: None,
            failures: Vec::new(),
            speedup: None,
            speedup_simultaneous: None,
            speedup_unthrottled: None,
            claim: Claim::Tie,
            p_value: None,
            p_adjusted: None,
            lanes_p_value: None,
            rank: None,
            tier: None,
            p_best: None,
            latency_ms: None,
            baseline_latency_ms: None,
            throughput_per_s: None,
            outliers: Outliers::default(),
            load_ms: None,
            baseline_load_ms: None,
            peak_rss_bytes: None,
            baseline_peak_rss_bytes: None,
            energy_j: None,
            baseline_energy_j: None,
            peak_vram_bytes: None,
            baseline_peak_vram_bytes: None,
            gates: Vec::new(),
            similarity: None,
            quality: Vec::new(),
            worst_requests: Vec::new(),
            honesty: Vec::new(),
            floor: None,
            streaming: None,
            energy_unit_j: None,
            baseline_energy_unit_j: None,
            energy_unit_ratio: None,
            limits: Vec::new(),
            unscored: None,
            kinds: Vec::new(),
        }
    }
}
