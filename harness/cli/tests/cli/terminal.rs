//! What strangers write reaches nobody's terminal, and no CI's log, as more than text.

use std::fs;

use crate::common::{Playground, candidate, edgemaxx, failure};

/// Nothing hidden, and no line that is an error of ours or a command to GitHub.
fn harmless(text: &str) {
    let hidden = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!text.contains(hidden), "{text:?}");
    for line in text.lines() {
        let line = line.trim_start();
        assert!(!line.starts_with("::") && !line.starts_with("error: forged"), "{text:?}");
        assert!(!line.contains("##[error]"), "{text:?}");
    }
}

#[test]
fn an_engines_last_words_are_shown_as_text() {
    let script =
        r"printf '\\033[31mRED\\007\\nerror: forged\\n::error::gh\\n##[error]gh \\342\\200\\256' >&2; exit 3";
    let rude =
        format!("[[candidate]]\nname = \"rude\"\nengine = {{ command = [\"sh\", \"-c\", \"{script}\"] }}\n");
    let ground = Playground::new(&(rude + &candidate("fast", &["--latency-us", "1000"])));
    let ran = ground.run("out").output().unwrap();
    assert_eq!(ran.status.code(), Some(4));
    // A refusal in the protocol may hold what the end of an error output is cleared of.
    let estimates = fs::read_to_string(ground.path("out/estimates.json")).unwrap();
    assert!(estimates.contains("[31mRED\\nerror: forged\\n::error::gh"), "the files keep what was said");
    let rude = estimates.replace("[31mRED", "\\u001b[31mRED\\u0000");
    fs::write(ground.path("out/estimates.json"), rude).unwrap();
    let ranked = edgemaxx().arg("rank").arg(ground.path("out")).output().unwrap();
    for (said, words) in [
        (&ran.stdout, "[31mRED⏎error: forged⏎::error::gh"),
        (&ran.stderr, "launch: the candidate died: "),
        (&ranked.stdout, "⟨U+001B⟩[31mRED⟨U+0000⟩⏎error: forged"),
    ] {
        let said = std::str::from_utf8(said).unwrap();
        harmless(said);
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn names_and_files_of_others_are_text_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("samples.csv");
    let mut csv = "session,prompt,pipeline,latency_ms\n".to_owned();
    for session in 0..3 {
        csv += &format!(
            "{session},0,baseline,2.0\n{session},0,\"::error::\u{1b}[31m\nerror: forged\u{202e}\",1.{session}\n"
        );
    }
    fs::write(&file, csv).unwrap();
    let mut analyze = edgemaxx();
    analyze.arg("analyze").arg("--samples").arg(&file);
    let table = analyze.output().unwrap();
    let table = std::str::from_utf8(&table.stdout).unwrap();
    harmless(table);
    assert!(table.contains("⟨U+003A⟩:error::⟨U+001B⟩[31m⏎error: forged"), "{table}");
    // JSON keeps every character, in escapes.
    let json = analyze.arg("--json").output().unwrap().stdout;
    harmless(std::str::from_utf8(&json).unwrap());
    let answer: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert!(answer["candidates"][0]["pipeline"].as_str().unwrap().ends_with("forged\u{202e}"), "{answer}");

    let ground = Playground::new("");
    fs::write(ground.contest(), "\"x\\n::error::gh\\nerror: forged\\u001b\" = 1\n").unwrap();
    let (code, message) = failure(&mut ground.run("out"));
    assert_eq!(code, 2);
    harmless(&message);
}
