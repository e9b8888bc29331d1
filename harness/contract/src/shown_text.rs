//! Text of others made fit to be shown, in a page, a terminal or a CI's log: nothing in it hides, reorders or forges
//! what stands around it.

use std::fmt::Write as _;

/// Whether a character is not seen, or changes how others are: control characters but line feed and tab, those that set
/// the direction of text, and letters without a shape.
pub fn is_hidden(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{17b4}'
                | '\u{17b5}'
                | '\u{180e}'
                | '\u{3164}'
                | '\u{ffa0}'
        )
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}')
}

/// Foreign text with every character visible: hidden ones become their code points.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            let _ = write!(shown, "⟨U+{:04X}⟩", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Foreign text as one line, every character visible: line ends show as `⏎`, and what a CI's log would take for a
/// command (`::error::` at the start, `##[error]` anywhere) is none.
pub fn line(text: &str) -> String {
    let shown = visible(&text.trim_end().replace('\n', "⏎").replace('\t', " ")).replace("##[", "##⟨U+005B⟩");
    let start = shown.len() - shown.trim_start().len();
    match shown[start..].strip_prefix("::") {
        Some(rest) => format!("{}⟨U+003A⟩:{rest}", &shown[..start]),
        None => shown,
    }
}

/// The first `limit` characters, with an ellipsis in place of the rest.
pub fn shorten(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    text.chars().take(limit.saturating_sub(1)).chain(['…']).collect()
}

/// A number with `digits` decimals; from a billion on two digits and a power of ten, since nobody reads 150.
pub fn decimals(value: f64, digits: usize) -> String {
    if value.abs() < 1e9 { format!("{value:.digits$}") } else { format!("{value:.1e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_shown() {
        assert_eq!(visible("a\u{202e}b\u{0}c\u{200b}"), "a⟨U+202E⟩b⟨U+0000⟩c⟨U+200B⟩");
        assert_eq!(visible("new\u{ad}\u{3164}"), "new⟨U+00AD⟩⟨U+3164⟩");
        assert_eq!(visible("日本 😀 é\n"), "日本 😀 é\n");
    }

    #[test]
    fn a_line_is_one_line_and_no_command() {
        assert_eq!(line("\u{1b}[31mRED\u{7}\nerror: x\r\n"), "⟨U+001B⟩[31mRED⟨U+0007⟩⏎error: x");
        assert_eq!(line("  ::error::x"), "  ⟨U+003A⟩:error::x");
        assert_eq!(line("a ##[error]x"), "a ##⟨U+005B⟩error]x");
        assert_eq!(line("  std::fmt\tx"), "  std::fmt x");
    }

    #[test]
    fn long_text_is_cut_and_long_numbers_are_short() {
        assert_eq!(shorten("abcdef", 4), "abc…");
        assert_eq!(shorten("äöü", 3), "äöü");
        assert_eq!(decimals(-1.256, 2), "-1.26");
        assert_eq!(decimals(1.26e150, 2), "1.3e150");
    }
}
