//! What may be judged and what is refused, with which words.

use std::io::Write;

use crate::common::{noise, picture, png};
use edgemaxx_picture::{Picture, PictureError};
use edgemaxx_quality::Judge as _;
use edgemaxx_quality::picture::{PerceptualHash, PictureJudge, cosine, psnr};
use image::DynamicImage;

fn message(result: Result<Picture, PictureError>) -> String {
    result.expect_err("must be refused").to_string()
}

fn hash_distance(a: &Picture, b: &Picture) -> u32 {
    PerceptualHash::of(a).distance(PerceptualHash::of(b))
}

fn rgb_image(p: &Picture) -> DynamicImage {
    let image = image::RgbImage::from_raw(p.width(), p.height(), p.rgb().to_vec());
    DynamicImage::ImageRgb8(image.unwrap())
}

/// PNG chunk with its CRC (RFC 2083).
fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let crc = kind.iter().chain(data).fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| (c >> 1) ^ (0xEDB8_8320 & (c & 1).wrapping_neg()))
    });
    let length = (data.len() as u32).to_be_bytes();
    [length.as_slice(), kind, data, &(!crc).to_be_bytes()].concat()
}

#[test]
fn png_survives_a_trip_and_jpeg_is_near() {
    let p = picture(40, 30, 1);
    assert_eq!(Picture::decode(&png(&rgb_image(&p)), "p").unwrap(), p);
    let mut jpeg = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 95);
    rgb_image(&p).write_with_encoder(encoder).unwrap();
    assert!(psnr(&p, &Picture::decode(&jpeg, "p").unwrap()).unwrap().unwrap() > 25.0);
    for cut in [jpeg.len() - 2, jpeg.len() / 2] {
        assert!(message(Picture::decode(&jpeg[..cut], "p.jpg")).contains("truncated JPEG"));
    }
}

#[test]
fn truncated_png_is_refused() {
    let bytes = png(&rgb_image(&picture(64, 64, 2)));
    for cut in [bytes.len() - 30, bytes.len() / 2, 40, 20] {
        let text = message(Picture::decode(&bytes[..cut], "cut.png"));
        assert!(text.starts_with("cut.png: ") && text.contains("decoded"), "{text}");
    }
    assert!(message(Picture::decode(b"GIF89a..", "x.gif")).contains("not a PNG, JPEG or WebP"));
    assert!(message(Picture::decode(b"", "x.png")).contains("not a PNG"));
}

#[test]
fn sixteen_bits_are_refused() {
    let image = image::ImageBuffer::from_fn(9, 9, |x, y| image::Rgb([x as u16 * 7000, y as u16, 9]));
    let text = message(Picture::decode(&png(&DynamicImage::ImageRgb16(image)), "deep.png"));
    assert!(text.contains("deep.png: 16 bits a channel"), "{text}");
}

#[test]
fn cmyk_jpeg_is_refused() {
    // A frame header of four components, then a scan header: what the markers of any CMYK JPEG say.
    let frame = [8, 0, 8, 0, 8, 4, 1, 17, 0, 2, 17, 0, 3, 17, 0, 4, 17, 0];
    let bytes = [&[0xff, 0xd8, 0xff, 0xc0, 0, 20], &frame[..], &[0xff, 0xda, 0, 2, 0xff, 0xd9]].concat();
    assert!(message(Picture::decode(&bytes, "print.jpg")).contains("CMYK"));
}

#[test]
fn bomb_is_refused_from_its_header() {
    // 10,000 x 10,000 RGB in some sixty bytes: must fail on the size, not on the missing pixels.
    let side = 10_000u32.to_be_bytes();
    let header = [&side[..], &side, &[8, 2, 0, 0, 0]].concat();
    let bytes = [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(b"IHDR", &header), chunk(b"IDAT", &[])].concat();
    let text = message(Picture::decode(&bytes, "bomb.png"));
    assert!(text.contains("10000x10000 is above the limit"), "{text}");
    assert!(Picture::from_rgb(0, 4, vec![]).is_err());
    assert!(Picture::from_rgb(2, 2, vec![0; 11]).is_err());
}

#[test]
fn missing_files_and_folders_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let absent = dir.path().join("absent.png");
    assert!(message(Picture::open(&absent)).contains("absent.png: cannot be read"));
    assert!(message(Picture::open(dir.path())).contains("not a regular file"));
    let path = dir.path().join("a.png");
    let bytes = png(&rgb_image(&picture(8, 8, 1)));
    std::fs::File::create(&path).unwrap().write_all(&bytes).unwrap();
    assert_eq!(Picture::open(&path).unwrap(), picture(8, 8, 1));
}

#[test]
fn identical_pictures_have_no_psnr_and_no_hash_distance() {
    let p = picture(64, 48, 5);
    assert_eq!(psnr(&p, &p).unwrap(), None);
    assert_eq!(hash_distance(&p, &p), 0);
    assert!(hash_distance(&p, &picture(64, 48, 6)) > 8);
}

#[test]
fn phash_is_that_of_image_hasher() {
    let p = picture(200, 120, 5);
    let hasher = image_hasher::HasherConfig::new()
        .hash_alg(image_hasher::HashAlg::Median)
        .hash_size(8, 8)
        .preproc_dct()
        .to_hasher();
    let q = crate::common::changed(&p, "noise", 90, 5);
    let [a, b] = [&p, &q].map(|p| hasher.hash_image(&rgb_image(p).into_rgb8()));
    assert_eq!(hash_distance(&p, &q), a.dist(&b));
}

#[test]
fn cosine_needs_directions() {
    let v: Vec<f32> = (0..100).map(|i| noise(i, 1) as f32 - 9e18).collect();
    let negative: Vec<f32> = v.iter().map(|x| -2.0 * x).collect();
    assert_eq!(cosine(&v, &v).unwrap(), 1.0);
    assert!((cosine(&v, &negative).unwrap() + 1.0).abs() < 1e-12);
    assert!((cosine(&[1.0, 0.0], &[1.0, 1.0]).unwrap() - 0.5f64.sqrt()).abs() < 1e-12);
    assert!(cosine(&[1.0], &[1.0, 2.0]).is_err());
    assert!(cosine(&[0.0], &[1.0]).is_err());
    assert!(cosine(&[f32::NAN], &[1.0]).is_err());
}

#[test]
fn files_that_cannot_be_compared_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, width, height| {
        let path = folder.path().join(name);
        std::fs::write(&path, png(&rgb_image(&picture(width, height, 1)))).unwrap();
        path
    };
    let judge = PictureJudge::default();
    let (a, b, tiny) = (file("a.png", 8, 8), file("b.png", 8, 9), file("tiny.png", 6, 6));
    for (second, words) in [(&b, "pictures of unequal size: 8x8 against 8x9"), (&tiny, "unequal size")] {
        let message = judge.compare(&a, second, None).unwrap_err().to_string();
        assert!(message.starts_with(&format!("{} and {}: ", a.display(), second.display())), "{message}");
        assert!(message.contains(words), "{message}");
    }
    let message = judge.compare(&tiny, &tiny, None).unwrap_err().to_string();
    assert!(message.contains("tiny.png: SSIM needs at least 7 pixels"), "{message}");
}
