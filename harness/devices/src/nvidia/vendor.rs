//! NVIDIA GPUs as devices.

use std::path::PathBuf;
use std::time::Duration;

use edgemaxx_contract::contest::{Device, DeviceKind};
use edgemaxx_contract::environment::Card;

use super::contexts::Contexts;
use super::{cards, checks, clocks, facts, telemetry};
use crate::check::Check;
use crate::source::Source;
use crate::vendor::{Clocks, Hold, Vendor};

/// NVIDIA GPUs.
#[derive(Debug, Clone, Copy)]
pub struct Nvidia;

impl Vendor for Nvidia {
    fn kind(&self) -> DeviceKind {
        DeviceKind::Cuda
    }

    fn cards(&self) -> Result<Vec<Card>, String> {
        cards::cards()
    }

    fn variables(&self, seen: Option<&Card>) -> Vec<(&'static str, String)> {
        // By its own name: numbers count only the cards whose nodes are shown.
        let visible = seen.map(|card| card.uuid.clone().unwrap_or_else(|| card.index.to_string()));
        vec![
            ("CUDA_DEVICE_ORDER", "PCI_BUS_ID".to_owned()),
            ("CUDA_VISIBLE_DEVICES", visible.unwrap_or_default()),
            ("NVIDIA_TF32_OVERRIDE", "0".to_owned()),
        ]
    }

    fn nodes(&self, card: &Card) -> Vec<PathBuf> {
        let own = card.node.clone().unwrap_or_else(|| format!("/dev/nvidia{}", card.index));
        let shared = ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"];
        shared.into_iter().map(PathBuf::from).chain([PathBuf::from(own)]).collect()
    }

    fn examine(&self, wanted: &Device, found: Result<Option<&Card>, &str>) -> Vec<Check> {
        let facts =
            found.map_err(str::to_owned).and_then(|card| facts::facts(card.ok_or("none was chosen")?));
        let mut checks = checks::checks(wanted, facts.as_ref().map_err(String::as_str));
        if let (Ok(_), Ok(Some(card))) = (facts, found) {
            checks.push(checks::rest(Contexts::new(card, false).map(drop)));
        }
        checks
    }

    fn memory_bytes(&self, card: &Card) -> Option<(u64, u64)> {
        facts::facts(card).ok()?.memory_bytes
    }

    fn source(&self, card: &Card) -> Result<Box<dyn Source>, String> {
        Ok(Box::new(telemetry::NvmlSource::open(card)?))
    }

    /// Several readings in a request that takes a second.
    fn period(&self) -> Duration {
        Duration::from_millis(250)
    }

    fn hold(&self, card: &Card, set_aside: bool) -> Result<Box<dyn Hold>, String> {
        Ok(Box::new(Contexts::new(card, set_aside)?))
    }

    fn clocks(&self) -> Option<Box<dyn Clocks>> {
        Some(Box::new(clocks::NvmlClocks))
    }

    fn steady_clock_mhz(&self, card: &Card) -> Result<u32, String> {
        clocks::steady_mhz(&facts::facts(card)?)
            .ok_or_else(|| "the driver does not tell its clocks".to_owned())
    }
}
