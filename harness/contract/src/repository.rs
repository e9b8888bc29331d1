//! Which names a repository of the Hugging Face hub can have, for a miner's commitment as for a contest's source.

/// What [`is_repository`] accepts, in words.
pub const EXPECTED: &str = "owner/name, each of 1 to 96 letters, digits, `-`, `_` and `.`, \
     with no `-` or `.` at either end, and no `..` or `--` in between";

/// Whether this is `owner/name` as the hub accepts it. Its cache joins the two with `--`, which neither may hold.
pub fn is_repository(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let part = |part: &str| {
        (1..=96).contains(&part.len())
            && part.bytes().all(letter)
            && !part.starts_with(['-', '.'])
            && !part.ends_with(['-', '.'])
            && !part.contains("..")
            && !part.contains("--")
    };
    text.split_once('/').is_some_and(|(owner, name)| part(owner) && part(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_an_owner_and_a_name() {
        let long = format!("{0}/{0}", "a".repeat(96));
        for good in ["a/b", "stablediffusionapi/newdream-sdxl-20", "A_1/b.c-d", &long] {
            assert!(is_repository(good), "{good}");
        }
        let longer = format!("a/{}", "b".repeat(97));
        let bad = [
            "", "a", "/b", "a/", "a/b/c", "a--b/c", "a/b--c", "a/b..c", "-a/b", "a/b.", "a/ä", "a/b c",
            &longer,
        ];
        for bad in bad {
            assert!(!is_repository(bad), "{bad}");
        }
    }
}
