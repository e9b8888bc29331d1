//! Plots as inline SVG, drawn while the page is made.

mod floor;
mod forest;
mod latency;
mod length;
mod plane;
mod race;
mod scale;
mod sessions;
mod svg;
mod trend;

pub(crate) use floor::{Height, heights};
pub(crate) use forest::{Row, certificate, forest};
pub(crate) use latency::{Cloud, clouds};
pub(crate) use length::length;
pub(crate) use plane::{Spot, plane};
pub(crate) use race::{Bar, race};
pub(crate) use sessions::{SessionLatencies, TimedAnswer, ratios, series, strips};
pub(crate) use trend::{TrendPoint, trend};
