//! A look at a PNG's chunks, for what the decoder passes over: whether it moves, and an orientation told after the picture.

/// What the chunks say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PngFacts<'a> {
    /// Whether it is an animation (APNG), of which only one picture would be judged.
    pub(crate) moves: bool,
    /// The EXIF that stands behind the picture, where the decoder has not come to.
    pub(crate) late_exif: Option<&'a [u8]>,
}

/// Walks the chunks of PNG's specification (third edition, 5.3) to the end.
pub(crate) fn inspect_png(bytes: &[u8]) -> PngFacts<'_> {
    let (mut facts, mut pictured, mut at) = (PngFacts::default(), false, 8);
    while let Some(&[a, b, c, d, ref kind @ ..]) = bytes.get(at..at + 8) {
        let start = at + 8;
        let Some(end) = start.checked_add(u32::from_be_bytes([a, b, c, d]) as usize) else { break };
        match kind {
            b"acTL" => facts.moves = true,
            b"IDAT" => pictured = true,
            b"eXIf" if pictured => facts.late_exif = bytes.get(start..end),
            _ => {}
        }
        at = end.saturating_add(4);
    }
    facts
}

/// Whether a WebP is an animation (its container's specification, `VP8X`).
pub(crate) fn webp_moves(bytes: &[u8]) -> bool {
    bytes.get(12..16) == Some(b"VP8X") && bytes.get(20).is_some_and(|flags| flags & 2 != 0)
}
