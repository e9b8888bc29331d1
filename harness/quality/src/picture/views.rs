//! Held-back views: each picture is judged again after a crop, a mirroring and a JPEG trip that
//! nobody knew when the pictures were made. They are drawn from the head of the samples' hash chain,
//! which holds every picture's digest and every latency: an audit replays them, an engine cannot
//! foresee them. Pixel patterns tuned to the plain metrics seldom survive.

use edgemaxx_contract::digest::Digest;
use edgemaxx_picture::Picture;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{QualityError, Result};

/// A held-back way to look at a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum View {
    /// A part of the picture; all in thousandths of the picture's width and height.
    Crop {
        /// Left edge.
        left: u16,
        /// Whether left and right are exchanged.
        mirrored: bool,
        /// Width and height.
        side: u16,
        /// Upper edge.
        top: u16,
    },
    /// A trip through a JPEG file.
    Jpeg {
        /// Quality, 1 to 100.
        quality: u8,
    },
}

impl View {
    /// As documents hold it.
    pub fn to_value(&self) -> Value {
        match *self {
            Self::Crop { left, mirrored, side, top } => {
                json!({ "crop": { "left": left, "mirrored": mirrored, "side": side, "top": top } })
            }
            Self::Jpeg { quality } => json!({ "jpeg": { "quality": quality } }),
        }
    }

    /// From a document.
    ///
    /// # Errors
    /// When it is no view of pictures.
    pub fn from_value(value: &Value) -> Result<Self> {
        Self::deserialize(value).map_err(|error| QualityError::Vector {
            what: "held-back view",
            problem: format!("{value} is none of pictures: {error}"),
        })
    }
}

/// The views of the run whose samples end in `head`: one crop that keeps 70 to 90% of each side, one
/// mirrored such crop, one JPEG of quality 60 to 90.
pub fn draw_views(head: Digest) -> [View; 3] {
    let digest = |purpose: &str| {
        Digest::of_fields([b"edgemaxx-views-1".as_slice(), purpose.as_bytes(), head.as_bytes()])
    };
    let crop = |purpose: &str, mirrored| {
        let bytes = *digest(purpose).as_bytes();
        let number = |i: usize, below: u16| u16::from_le_bytes([bytes[2 * i], bytes[2 * i + 1]]) % below;
        let side = 700 + number(0, 201);
        let room = 1001 - side;
        View::Crop { left: number(1, room), top: number(2, room), side, mirrored }
    };
    let quality = 60 + digest("jpeg").as_bytes()[0] % 31;
    [crop("crop", false), crop("mirror", true), View::Jpeg { quality }]
}

/// The picture as that view shows it.
///
/// # Errors
/// When a crop reaches beyond the picture or the JPEG encoder fails.
pub fn apply_view(picture: &Picture, view: View) -> Result<Picture> {
    match view {
        View::Crop { left, top, side, mirrored } => crop(picture, [left, top, side], mirrored),
        View::Jpeg { quality } => jpeg(picture, quality),
    }
}

fn crop(picture: &Picture, [left, top, side]: [u16; 3], mirrored: bool) -> Result<Picture> {
    let fail = || QualityError::Vector {
        what: "held-back view",
        problem: format!("a crop at ({left}, {top}) of side {side} thousandths reaches beyond the picture"),
    };
    if side == 0 || left.max(top).saturating_add(side) > 1000 {
        return Err(fail());
    }
    let scale = |thousandths: u16, of: u32| (u64::from(thousandths) * u64::from(of) / 1000) as usize;
    let (w, h) = (picture.width(), picture.height());
    let (x, y) = (scale(left, w), scale(top, h));
    let (to_w, to_h) = (scale(side, w).max(1), scale(side, h).max(1));
    let mut rgb = Vec::with_capacity(to_w * to_h * 3);
    for row in picture.rgb().chunks_exact(w as usize * 3).skip(y).take(to_h) {
        let row = &row[x * 3..(x + to_w) * 3];
        if mirrored {
            row.rchunks_exact(3).for_each(|p| rgb.extend_from_slice(p));
        } else {
            rgb.extend_from_slice(row);
        }
    }
    Ok(Picture::from_rgb(to_w as u32, to_h as u32, rgb)?)
}

/// A trip through a JPEG of that quality, 1 to 100.
///
/// # Errors
/// When the encoder fails, which no valid picture makes it do.
pub fn jpeg(picture: &Picture, quality: u8) -> Result<Picture> {
    Ok(Picture::decode(&picture.to_jpeg(quality)?, "JPEG view")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(width: u32, height: u32) -> Picture {
        let rgb = (0..width * height * 3).map(|i| (i * 7 % 251) as u8).collect();
        Picture::from_rgb(width, height, rgb).unwrap()
    }

    #[test]
    fn the_samples_alone_draw_the_views() {
        assert_eq!(draw_views(Digest::of("a")), draw_views(Digest::of("a")));
        assert_ne!(draw_views(Digest::of("a")), draw_views(Digest::of("b")));
        for i in 0..500 {
            for view in draw_views(Digest::of(i.to_string())) {
                let p = apply_view(&ramp(64, 48), view).unwrap();
                assert!(p.width() >= 44 && p.height() >= 33, "{view:?}");
            }
        }
    }

    #[test]
    fn crops_take_the_named_pixels() {
        let p = ramp(10, 10);
        let view = |mirrored| View::Crop { left: 200, top: 300, side: 500, mirrored };
        let crop = apply_view(&p, view(false)).unwrap();
        assert_eq!(crop.rgb()[..3], p.rgb()[(3 * 10 + 2) * 3..(3 * 10 + 3) * 3]);
        let mirrored = apply_view(&p, view(true)).unwrap();
        assert_eq!(mirrored.rgb()[12..15], crop.rgb()[..3]);
        assert!(apply_view(&p, View::Crop { left: 600, top: 0, side: 500, mirrored: false }).is_err());
    }
}
