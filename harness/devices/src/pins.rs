//! What an engine is told and shown, whoever made it.

use std::path::PathBuf;

use edgemaxx_contract::environment::Card;

use crate::vendors::{VENDORS, vendor};

/// The whole environment of an engine; nothing is inherited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pins {
    /// Threads for OpenMP, MKL, OpenBLAS and rayon.
    pub threads: u32,
    /// The only card it sees; `None`: none.
    pub card: Option<Card>,
}

impl Pins {
    /// Where programs are looked for.
    pub const PATH: &'static str = "/usr/local/bin:/usr/bin:/bin";

    /// For the processor alone.
    pub fn processor(threads: u32) -> Self {
        Self { threads, card: None }
    }

    /// Names and values, sorted by name. The socket's `EDGEMAXX_SOCKET` is added at launch.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let mut variables: Vec<(&'static str, String)> = [
            ("DIFFUSERS_OFFLINE", "1"),
            ("HF_HUB_DISABLE_TELEMETRY", "1"),
            ("HF_HUB_OFFLINE", "1"),
            ("HOME", "/tmp"),
            ("LC_ALL", "C"),
            // Threads that wait sleep: one that spins takes a core from its own engine where others want one, too, and
            // works while the other side is asked (harness/docs/PERFORMANCE.md has what it costs and saves).
            ("OMP_WAIT_POLICY", "passive"),
            ("KMP_BLOCKTIME", "0"),
            // The user that engines run as has no entry in the system's list, which some libraries look for.
            ("LOGNAME", "engine"),
            ("USER", "engine"),
            ("PATH", Self::PATH),
            ("PYTHONDONTWRITEBYTECODE", "1"),
            ("PYTHONHASHSEED", "0"),
            ("PYTHONUNBUFFERED", "1"),
            ("TMPDIR", "/tmp"),
            ("TOKENIZERS_PARALLELISM", "false"),
            ("TRANSFORMERS_OFFLINE", "1"),
            ("TZ", "UTC"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .into();
        for name in ["MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"] {
            variables.push((name, self.threads.to_string()));
        }
        // Every vendor has its say: an engine for the processor is to see no card of any.
        for vendor in VENDORS {
            let seen = self.card.as_ref().filter(|card| card.kind == vendor.kind());
            variables.extend(vendor.variables(seen));
        }
        variables.sort();
        variables
    }

    /// `NAME=value`, sorted: for `environment.json`.
    pub fn lines(&self) -> Vec<String> {
        self.variables().into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    /// Device nodes that a confined engine is shown.
    pub fn nodes(&self) -> Vec<PathBuf> {
        self.card.as_ref().map_or_else(Vec::new, |card| vendor(card.kind).nodes(card))
    }
}

#[cfg(test)]
mod tests {
    use edgemaxx_contract::contest::DeviceKind;

    use super::*;

    #[test]
    fn an_engine_sees_one_card_or_none() {
        let visible = |pins: &Pins| {
            let variables = pins.variables();
            variables.into_iter().find(|(name, _)| *name == "CUDA_VISIBLE_DEVICES").map(|(_, value)| value)
        };
        let none = Pins::processor(2);
        assert_eq!((visible(&none).as_deref(), none.nodes()), (Some(""), Vec::new()));
        assert!(none.lines().contains(&"OMP_NUM_THREADS=2".to_owned()) && none.lines().is_sorted());
        assert!(
            none.lines().contains(&"OMP_WAIT_POLICY=passive".to_owned()),
            "no thread spins while it waits"
        );
        assert!(none.lines().contains(&"USER=engine".to_owned()), "PyTorch's compiler asks for a name");
        let card = Card {
            kind: DeviceKind::Cuda,
            index: 1,
            name: "NVIDIA H200".to_owned(),
            uuid: Some("GPU-7".to_owned()),
            driver: None,
            node: Some("/dev/nvidia3".to_owned()),
        };
        let one = Pins { threads: 1, card: Some(card.clone()) };
        assert_eq!(visible(&one).as_deref(), Some("GPU-7"));
        let nodes = one.nodes();
        assert!(
            nodes.contains(&PathBuf::from("/dev/nvidia3"))
                && nodes.contains(&PathBuf::from("/dev/nvidiactl"))
        );
        assert!(!nodes.contains(&PathBuf::from("/dev/nvidia1")), "its number is not its node's");
        let unnamed = Pins { threads: 1, card: Some(Card { uuid: None, node: None, ..card }) };
        assert_eq!(visible(&unnamed).as_deref(), Some("1"));
        assert!(unnamed.nodes().contains(&PathBuf::from("/dev/nvidia1")));
    }
}
