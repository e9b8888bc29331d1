//! The command that goes on with a run.

use std::ffi::OsString;
use std::path::Path;

use edgemaxx_run::quoted::quoted;

/// The command that this process was started by, made to go on with its run: with `--resume`, and with the run's folder
/// where nobody named one.
pub(crate) fn resume_command(out: Option<&Path>) -> String {
    resumed(std::env::args_os().collect(), out)
}

fn resumed(mut words: Vec<OsString>, out: Option<&Path>) -> String {
    // Behind a bare `--` nothing is an option.
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let mut options: Vec<OsString> = Vec::new();
    if let Some(out) = out {
        options.extend(["--out".into(), out.into()]);
    }
    if !words[..end].iter().any(|word| word == "--resume") {
        options.push("--resume".into());
    }
    words.splice(end..end, options);
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_repeated_with_what_it_lacks() {
        let words = |text: &str| text.split('|').map(OsString::from).collect::<Vec<_>>();
        let typed = "edgemaxx|run|it's.toml|--allow-unfit|--out|si x";
        assert_eq!(
            resumed(words(typed), None),
            r"edgemaxx run 'it'\''s.toml' --allow-unfit --out 'si x' --resume"
        );
        assert_eq!(resumed(words("edgemaxx|measure|a|--resume"), None), "edgemaxx measure a --resume");
        assert_eq!(
            resumed(words("edgemaxx|run|--|c.toml"), Some(Path::new("runs/a b"))),
            "edgemaxx run --out 'runs/a b' --resume -- c.toml"
        );
        assert_eq!(quoted(""), "''");
    }
}
