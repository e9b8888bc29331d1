//! LPIPS 0.1 (Zhang et al. 2018, PyPI `lpips` 0.1.4) on the features of AlexNet or VGG-16, from a
//! folder that `scripts/convert-lpips.py` writes. None is shipped: the backbones' licences are unclear.

mod layers;
mod model;

pub use model::Lpips;
