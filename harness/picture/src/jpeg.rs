//! A look at a JPEG's markers: how many components it has and whether its end is there.
//! The decoder converts CMYK and fills truncated scans silently; a judge must not.

/// What the markers say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct JpegFacts {
    /// Components of the first frame; 4 means CMYK or YCCK.
    pub(crate) components: Option<u8>,
    /// Whether an end-of-image marker follows the first scan.
    pub(crate) complete: bool,
}

/// Walks the marker segments of ITU-T T.81 up to the first scan.
pub(crate) fn inspect_jpeg(bytes: &[u8]) -> JpegFacts {
    let mut facts = JpegFacts { components: None, complete: false };
    let mut at = 2;
    while let (Some(&0xff), Some(&marker)) = (bytes.get(at), bytes.get(at + 1)) {
        if marker == 0xff {
            at += 1;
            continue;
        }
        let (Some(&high), Some(&low)) = (bytes.get(at + 2), bytes.get(at + 3)) else { break };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let is_frame = matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc);
        if is_frame && facts.components.is_none() {
            facts.components = bytes.get(at + 9).copied();
        }
        if marker == 0xda {
            let scan = bytes.get(at + 2 + length..).unwrap_or_default();
            facts.complete = scan.windows(2).any(|w| w == [0xff, 0xd9]);
            break;
        }
        at += 2 + length;
    }
    facts
}
