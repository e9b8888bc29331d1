//! For tests of every crate: documents of which nothing is wrong, to be changed by those who try what is.

use std::collections::BTreeMap;

use crate::day::{BlockRef, DayRecord};
use crate::environment::{Bounds, Confinement, Environment, Rest};
use crate::format::Document as _;

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
