//! Words for everybody: what is published names no folder of this machine.

use std::path::Path;

/// `words` without the paths of this machine: what lies in `folder` by its path there, all else by its name alone.
pub fn without_paths(words: &str, folder: Option<&Path>) -> String {
    let inside = folder.map(|folder| format!("{}/", folder.display()));
    let words = inside.map_or_else(|| words.to_owned(), |inside| words.replace(&inside, ""));
    let shown = |token: &str| {
        let start = token.find(|c: char| !"\"'`([".contains(c)).unwrap_or(0);
        let (quote, path) = token.split_at(start);
        match path.rfind('/') {
            Some(last) if path.starts_with('/') && last > 0 => format!("{quote}{}", &path[last + 1..]),
            _ => token.to_owned(),
        }
    };
    words.split_inclusive(char::is_whitespace).map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_this_machine_go_and_everything_else_stays() {
        let folder = Path::new("/home/v/.cache/models--a--b/edgemaxx/0001");
        let words = "/home/v/.cache/models--a--b/edgemaxx/0001/unet/config.json: line 3: expected a number\n\
                     see (/home/v/runs/2026-03-06.log) or \"/tmp/x/y\"; https://hub.example/a/b, hf:a/b@1, 1/2, /";
        let said = without_paths(words, Some(folder));
        assert_eq!(
            said,
            "unet/config.json: line 3: expected a number\n\
             see (2026-03-06.log) or \"y\"; https://hub.example/a/b, hf:a/b@1, 1/2, /"
        );
        assert!(!without_paths(words, None).contains("/home"));
    }
}
