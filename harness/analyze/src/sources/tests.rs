//! Files good and bad.

use std::path::{Path, PathBuf};

use super::{SourceError, read};
use crate::foreign::AnalyzeReport;
use crate::inference::Settings;
use crate::samples::SampleTable;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn csv(&self, text: &str) -> Result<SampleTable, SourceError> {
        read(&self.file("x.csv", text), None)
    }
}

fn message(result: Result<SampleTable, SourceError>) -> String {
    let text = result.unwrap_err().to_string();
    text[text.find("x.csv").unwrap()..].to_owned()
}

const HEADER: &str = "session,request,pipeline,latency_ms\n";

#[test]
fn rows_are_paired_by_session_and_request_in_the_order_of_the_file() {
    let text = "pipeline,latency_ms,throttled,session,request\r\n\
        old,100.0,false,s1,\"cat, sitting\"\r\nnew,50,true,s1,dog\r\nnew,80,false,s1,\"cat, sitting\"\r\n\
        old,200,0,s1,dog\r\nold,300,1,s2,dog\r\nnew,1e2,0,s2,dog";
    let folder = Folder::new();
    let table = folder.csv(text).unwrap();
    assert_eq!((table.baseline.as_str(), table.candidates.len()), ("old", 1));
    let sessions = &table.candidates[0].sessions;
    assert_eq!(sessions.iter().map(|s| s.pairs.len()).collect::<Vec<_>>(), [2, 1]);
    let first = sessions[0].pairs[0];
    assert_eq!((first.baseline_ms, first.candidate_ms, first.throttled), (200.0, 50.0, true));
    assert!(sessions[1].pairs[0].throttled && !sessions[0].pairs[1].throttled);
    let turned = read(&folder.file("x.csv", text), Some("new")).unwrap();
    assert_eq!(turned.baseline, "new");
}

#[test]
fn requests_may_be_called_prompts() {
    let folder = Folder::new();
    let rows = "1,a,old,10\n1,a,new,5\n";
    let read = |header: &str| folder.csv(&format!("session,{header},pipeline,latency_ms\n{rows}"));
    assert_eq!(read("prompt").unwrap().candidates, read("request").unwrap().candidates);
    let twice = message(folder.csv("session,request,prompt,pipeline,latency_ms\n1,a,a,old,10\n"));
    assert!(twice.contains("the column request twice"), "{twice}");
}

#[test]
fn bad_values_name_line_column_and_what_stands_there() {
    let folder = Folder::new();
    let good = "1,a,old,10\n1,a,new,9\n";
    for (row, column, found) in [
        ("1,b,old,NaN", "latency_ms", "\"NaN\""),
        ("1,b,old,0", "latency_ms", "\"0\""),
        ("1,b,old,-3", "latency_ms", "\"-3\""),
        ("1,b,old,inf", "latency_ms", "\"inf\""),
        ("1,b,old,1e300", "latency_ms", "\"1e300\""),
        ("1,b,old,1e-300", "latency_ms", "\"1e-300\""),
        ("1,b,old,fast", "latency_ms", "\"fast\""),
        ("1,b,old,", "latency_ms", "an empty field"),
        ("1,b,,3", "pipeline", "an empty field"),
        (",b,old,3", "session", "an empty field"),
        ("1,b,old ,3", "pipeline", "\"old \""),
        ("1, b,old,3", "request", "\" b\""),
    ] {
        let text = message(folder.csv(&format!("{HEADER}{good}{row}\n1,b,new,4\n")));
        assert!(text.starts_with(&format!("x.csv:4: column {column}: expected ")), "{row}: {text}");
        assert!(text.ends_with(&format!("found {found}")), "{row}: {text}");
    }
    let throttled = "session,request,pipeline,latency_ms,throttled\n1,a,old,10,maybe\n1,a,new,9,0\n";
    let text = message(folder.csv(throttled));
    assert!(
        text.contains("x.csv:2: column throttled: expected true, false, 1 or 0, found \"maybe\""),
        "{text}"
    );
}

#[test]
fn bad_shapes_name_the_line() {
    let folder = Folder::new();
    for (text, expected) in [
        ("", "x.csv:1: expected the header"),
        ("1,a,old,10\n", "it has a column \"1\""),
        ("session,request,pipeline,ms\n1,a,old,10\n", "it has a column \"ms\""),
        ("session,request,pipeline\n1,a,old\n", "it has no column latency_ms"),
        ("session,session,request,pipeline,latency_ms\n", "the column session twice"),
        (HEADER, "no rows"),
        (&format!("{HEADER}\n\n"), "no rows"),
        (&format!("{HEADER}1,a,old,10\n1,a,new\n"), "x.csv:3: expected 4 fields, found 3 field(s)"),
        (&format!("{HEADER}1,a,old,10\n1,a,new,9,true\n"), "x.csv:3: expected 4 fields, found 5 field(s)"),
        (&format!("{HEADER}1,a,old,10\n\n1,a,new,nine\n"), "x.csv:4: column latency_ms"),
        (&format!("{HEADER}{}", "1".repeat(3 << 20)), "a line is longer than 1 MiB"),
        (&format!("{HEADER}1,a,old,10\n"), "only the pipeline \"old\""),
        (&format!("{HEADER}1,a,old,10\n1,b,new,9\n"), "no row whose session and request the baseline"),
    ] {
        let found = message(folder.csv(text));
        assert!(found.contains(expected), "{text:?}: {found}");
    }
}

#[test]
fn duplicates_name_both_lines_and_lonely_rows_are_told() {
    let folder = Folder::new();
    let text = message(folder.csv(&format!("{HEADER}1,a,old,10\n1,a,new,9\n2,a,old,8\n1,a,new,7\n")));
    assert!(text.contains("x.csv:5: the same session, request and pipeline (new) as in line 3"), "{text}");
    let table = folder.csv(&format!("{HEADER}1,a,old,10\n1,a,new,9\n2,a,new,8\n2,b,new,7\n")).unwrap();
    assert_eq!(table.candidates[0].pairs(), 1);
    assert!(table.warnings[0].contains("2 row(s) of \"new\"") && table.warnings[0].contains("line 4"));
    let error = read(&folder.file("x.csv", &format!("{HEADER}1,a,old,10\n")), Some("base")).unwrap_err();
    assert!(error.to_string().contains("no pipeline is called \"base\"; expected one of: old"), "{error}");
}

#[test]
fn fields_may_span_lines() {
    let folder = Folder::new();
    let text = format!("{HEADER}1,\"a\nb\",old,10\n1,\"a\nb\",new,9\n1,c,old,zero\n");
    assert!(message(folder.csv(&text)).starts_with("x.csv:6: column latency_ms"));
    assert_eq!(folder.csv(&text.replace("zero", "8")).unwrap().candidates[0].pairs(), 1);
}

#[test]
fn hyperfine_exports_are_read_run_by_run() {
    // The shape of hyperfine 1.20 --export-json
    let folder = Folder::new();
    let text = r#"{"results":[
        {"command":"sleep 1","mean":1.0,"stddev":0.1,"times":[1.0,1.1,0.9],"exit_codes":[0,0,0]},
        {"command":"sleep 2","mean":2.1,"stddev":null,"times":[2.0,2.2],"exit_codes":[0,0]}]}"#;
    let table = read(&folder.file("h.json", text), None).unwrap();
    assert_eq!((table.baseline.as_str(), table.candidates[0].sessions.len()), ("sleep 1", 2));
    assert_eq!(table.candidates[0].sessions[1].pairs[0].baseline_ms, 1100.0);
    assert_eq!(table.warnings.len(), 2, "{:?}", table.warnings);
    let fail = |text: &str| read(&folder.file("h.json", text), None).unwrap_err().to_string();
    assert!(fail("[]").contains("hyperfine's JSON export"));
    assert!(fail(&text.replace("2.2", "-2.2")).contains("results[1].times[1]: expected a positive number"));
    assert!(fail(&text.replace("sleep 2", "sleep 1")).contains("there twice"));
}

#[test]
fn a_failed_run_of_hyperfine_supports_no_claim() {
    let folder = Folder::new();
    let export = |codes: &str| {
        format!(
            r#"{{"results":[{{"command":"a","times":[1.0,1.1,0.9],"exit_codes":[0,0,0]}},
            {{"command":"b","times":[0.1,0.2,0.1]{codes}}}]}}"#
        )
    };
    let read = |codes| read(&folder.file("h.json", &export(codes)), None).map_err(|error| error.to_string());
    for (codes, expected) in [
        (r#","exit_codes":[1,1,1]"#, "results[1] \"b\": 3 of 3 runs failed (exit code 1)"),
        (r#","exit_codes":[0,0,2]"#, "1 of 3 runs failed (exit code 2)"),
        (r#","exit_codes":[null,0,null]"#, "2 of 3 runs failed (ended by a signal)"),
        (r#","exit_codes":[0]"#, "2 of 3 runs failed (no exit code)"),
        (r#","exit_codes":[]"#, "3 of 3 runs failed (no exit code)"),
        (
            r#","exit_codes":[0,0,0,0]"#,
            "results[1] \"b\": 3 times, but 4 exit codes; expected one for each run",
        ),
    ] {
        let found = read(codes).unwrap_err();
        assert!(found.contains(expected), "{codes}: {found}");
    }
    let claim = |table: SampleTable| {
        let report = AnalyzeReport::of(&table, &Settings::default()).unwrap();
        (report.candidates[0].claim, report.warnings.join("; "))
    };
    assert_eq!(claim(read(r#","exit_codes":[0,0,0]"#).unwrap()).0, "faster");
    // Old versions wrote none, and some tool may write null: nobody knows.
    for codes in ["", r#","exit_codes":null"#] {
        let (claim, warnings) = claim(read(codes).unwrap());
        assert_eq!(claim, "cannot tell", "{codes}");
        assert!(warnings.contains("\"b\": without exit codes of \"b\" it is not known"), "{warnings}");
    }
    // Of the baseline neither.
    let export = export(r#","exit_codes":[0,0,0]"#).replacen(r#","exit_codes":[0,0,0]"#, "", 1);
    let (claim, warnings) = claim(super::read(&folder.file("h.json", &export), None).unwrap());
    assert_eq!(claim, "cannot tell");
    assert!(warnings.contains("\"b\": without exit codes of \"a\""), "{warnings}");
}

#[test]
fn times_and_names_of_hyperfine_are_what_they_say() {
    let folder = Folder::new();
    let good = r#"{"results":[{"command":"a","times":[1.0,1.1],"exit_codes":[0,0]},
        {"command":"b","times":[2.0,2.2],"exit_codes":[0,0]}]}"#;
    for (from, to, expected) in [
        (
            "2.2",
            "null",
            "results[1].times[1]: expected a positive number of seconds, at most 1e9, found null",
        ),
        ("2.2", "0", "results[1].times[1]: expected a positive number of seconds, at most 1e9, found 0.0"),
        ("2.2", "NaN", "hyperfine's JSON export"),
        (
            "2.2",
            "1e308",
            "results[1].times[1]: expected a positive number of seconds, at most 1e9, found 1e308",
        ),
        ("2.2", "1e-320", "results[1].times[1]: expected a positive number of seconds"),
        ("\"b\"", "\"b \"", "results[1] \"b \": expected a name without blanks around it"),
        ("\"b\"", "\"\"", "results[1] \"\": expected a name"),
    ] {
        let said = read(&folder.file("h.json", &good.replacen(from, to, 1)), None).unwrap_err().to_string();
        assert!(said.contains(expected), "{to}: {said}");
    }
    // The times are read, and what else is said of them must be so.
    let said = |what: &str| {
        read(&folder.file("h.json", &good.replacen("\"b\",", &format!("\"b\",{what},"), 1)), None)
    };
    for fine in [r#""mean":2.1"#, r#""mean":2.1,"min":2.0,"max":2.2,"user":0.1"#, r#""mean":null,"min":null"#]
    {
        assert!(said(fine).is_ok(), "{fine}");
    }
    for (wrong, expected) in [
        (r#""mean":0.5"#, "results[1] \"b\": mean says 0.5 s, but that of its times is 2.1 s"),
        (r#""mean":2100.0"#, "mean says 2100.0 s"),
        (r#""min":0.1,"max":2.2"#, "min says 0.1 s, but that of its times is 2.0 s"),
        (r#""max":0.5"#, "max says 0.5 s"),
    ] {
        let said = said(wrong).unwrap_err().to_string();
        assert!(said.contains(expected), "{wrong}: {said}");
    }
    // A time beyond those that are compared is looked at, too.
    let longer = good.replacen("[2.0,2.2],\"exit_codes\":[0,0]", "[2.0,2.2,-1],\"exit_codes\":[0,0,0]", 1);
    let said = read(&folder.file("h.json", &longer), None).unwrap_err().to_string();
    assert!(said.contains("results[1].times[2]: expected a positive"), "{said}");
}

#[test]
fn a_csv_in_utf_16_is_called_so() {
    let folder = Folder::new();
    let text = format!("{HEADER}1,a,old,10\n1,a,new,9\n");
    let words = |turn: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(turn).collect::<Vec<u8>>();
    for bytes in [
        [&[0xff, 0xfe], words(u16::to_le_bytes).as_slice()].concat(),
        [&[0xfe, 0xff], words(u16::to_be_bytes).as_slice()].concat(),
        words(u16::to_le_bytes),
        words(u16::to_be_bytes),
    ] {
        let path = folder.file("x.csv", "");
        std::fs::write(&path, bytes).unwrap();
        let said = message(read(&path, None));
        assert_eq!(said, "x.csv: cannot be read: expected UTF-8, found UTF-16; save it as UTF-8");
    }
    assert!(folder.csv(&format!("\u{feff}{text}")).is_ok());
}

#[test]
fn hyperfine_exports_may_begin_with_a_mark_and_scan_parameters() {
    let folder = Folder::new();
    let text = r#"{"results":[
        {"command":"x","times":[1.0,1.1],"exit_codes":[0,0],"parameters":{"n":"1","m":"a"}},
        {"command":"x","times":[2.0,2.2],"exit_codes":[0,0],"parameters":{"n":"10","m":"a"}}]}"#;
    let table = read(&folder.file("h.json", &format!("\u{feff}{text}")), None).unwrap();
    assert_eq!(
        (table.baseline.as_str(), table.candidates[0].name.as_str()),
        ("x (m=a, n=1)", "x (m=a, n=10)")
    );
    let path = folder.file("h.json", "");
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(&path, [&[0xff, 0xfe], wide.as_slice()].concat()).unwrap();
    assert!(read(&path, None).unwrap_err().to_string().contains("expected UTF-8, found UTF-16"));
}

/// Five sessions of forty requests, the later ones slow, in which `new` takes `share` of the time.
fn sessions(share: f64, step: f64, answers: impl Fn(usize) -> bool) -> String {
    let mut text = HEADER.to_owned();
    for session in 0..5 {
        for request in 0..40 {
            let old = if request < 20 { 100.0 } else { 400.0 } * (1.0 + 0.001 * f64::from(session * 7 % 5));
            let new = old * share * (1.0 + 0.0003 * f64::from(session * 3 % 4));
            let write = |ms: f64| (ms / step).round() * step;
            text += &format!("s{session},r{request},old,{}\n", write(old));
            if answers(request) {
                text += &format!("s{session},r{request},new,{}\n", write(new));
            }
        }
    }
    text
}

fn report(text: &str) -> AnalyzeReport {
    let table = Folder::new().csv(text).unwrap();
    AnalyzeReport::of(&table, &Settings::default()).unwrap()
}

#[test]
fn what_is_missing_is_counted_and_proves_nothing() {
    let whole = report(&sessions(0.8, 1e-6, |_| true));
    let found = &whole.candidates[0];
    assert_eq!((found.claim, found.counted.expected, found.counted.compared), ("faster", 200, 200));
    assert_eq!(found.counted.to_string(), "200 of 200 requests answered on both sides");
    assert!(whole.warnings.is_empty(), "{:?}", whole.warnings);
    let halved = report(&sessions(0.8, 1e-6, |request| request < 20));
    let found = &halved.candidates[0];
    assert_eq!(
        (found.claim, found.p_value, found.speedup.lower, found.p_best),
        ("cannot tell", None, None, None)
    );
    assert_eq!((found.counted.expected, found.counted.compared), (200, 100));
    let said = "\"new\": 100 of 200 requests answered on both sides; 100 without an answer of it; nothing is claimed of it";
    assert!(halved.warnings.iter().any(|warning| warning == said), "{:?}", halved.warnings);
    let json = serde_json::to_value(&halved).unwrap();
    assert_eq!(json["candidates"][0]["counted"]["left_out"][0]["count"], 100);
    // Whole sessions, of one candidate and of one of two that share them.
    let lines = |text: &str, keep: fn(&str) -> bool| {
        text.lines().filter(|line| keep(line)).collect::<Vec<_>>().join("\n")
    };
    let without = |line: &str| !(line.starts_with("s3") && line.contains(",new,"));
    let found = &report(&lines(&sessions(0.8, 1e-6, |_| true), without)).candidates[0];
    assert_eq!((found.claim, found.counted.expected, found.counted.compared), ("cannot tell", 200, 160));
    let both: String = sessions(0.8, 1e-6, |_| true)
        .lines()
        .map(|line| {
            if line.contains(",new,") {
                format!("{line}\n{}\n", line.replace(",new,", ",other,"))
            } else {
                format!("{line}\n")
            }
        })
        .collect();
    let found = report(&lines(&both, without));
    assert_eq!((found.candidates[0].claim, found.candidates[0].counted.expected), ("cannot tell", 200));
    assert_eq!((found.candidates[1].claim, found.candidates[1].counted.expected), ("faster", 200));
    // Sessions of one candidate each are nobody else's lack.
    let own = |line: &str| match line.split(',').collect::<Vec<_>>()[..] {
        [session, _, "new", _] => session != "s3" && session != "s4",
        [session, _, "other", _] => session == "s3" || session == "s4",
        _ => true,
    };
    let found = report(&lines(&both, own));
    let counted: Vec<String> =
        found.candidates.iter().map(|candidate| candidate.counted.to_string()).collect();
    assert_eq!(
        counted,
        ["120 of 120 requests answered on both sides", "80 of 80 requests answered on both sides"]
    );
    // The other way round: what the baseline did not answer.
    let text = sessions(0.8, 1e-6, |_| true);
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("s0,r1,old")).collect();
    let found = &report(&lines.join("\n")).candidates[0];
    assert_eq!((found.claim, found.counted.expected, found.counted.compared), ("cannot tell", 200, 199));
}

/// A request that one candidate's rows alone tell of was asked of all who share the session.
#[test]
fn what_only_another_answered_is_missing_too() {
    let mut text = HEADER.to_owned();
    for session in 0..6 {
        for request in 0..2 {
            for (name, ms) in [("baseline", 100.0), ("a", 80.0), ("b", 101.0)] {
                let ms = ms + 0.1 * f64::from(session) + 0.01 * f64::from(request);
                text += &format!("{session},r{request},{name},{ms}\n");
            }
        }
        text += &format!("{session},r2,b,99.5\n");
    }
    let found = report(&text);
    let said = |name: &str| {
        let candidate = found.candidates.iter().find(|c| c.pipeline == name).unwrap();
        (candidate.claim, candidate.counted.to_string())
    };
    let twelve = "12 of 18 requests answered on both sides; 6 without an answer of";
    let neither = format!("{twelve} either, and with one of another pipeline");
    assert_eq!(said("a"), ("cannot tell", neither));
    assert_eq!(said("b"), ("cannot tell", format!("{twelve} the baseline")));
}

/// A column that is read is not only read.
#[test]
fn what_only_throttled_rows_say_is_not_claimed() {
    let marked = |throttled: fn(&str) -> bool| {
        let mark = |line: &str| format!("{line},{}\n", u8::from(throttled(line)));
        let text = sessions(0.8, 1e-6, |_| true);
        let (header, rows) = text.split_once('\n').unwrap();
        report(&format!("{header},throttled\n{}", rows.lines().map(mark).collect::<String>()))
    };
    for (throttled, count) in [
        ((|_| true) as fn(&str) -> bool, 200),
        (|line| line.contains(",new,"), 200),
        (|line| line.contains(",old,"), 200),
        (|line| !line.starts_with("s0"), 160),
    ] {
        let found = marked(throttled);
        assert_eq!(found.candidates[0].claim, "cannot tell");
        let said = format!(
            "\"new\": {count} of 200 pairs were throttled, and without them the verdict is another, or too few are left to \
             find it; nothing is claimed"
        );
        assert!(found.warnings.contains(&said), "{:?}", found.warnings);
    }
    let few = marked(|line| line.contains("r7,"));
    assert_eq!((few.candidates[0].claim, few.warnings.len()), ("faster", 0));
}

#[test]
fn names_that_look_the_same_are_refused() {
    let text = sessions(0.8, 1e-6, |_| true).replace(",new,", ",\u{43e}ld,");
    let said = message(Folder::new().csv(&text));
    assert!(said.contains("the names \"old\" and \"⟨U+043E⟩ld\" look the same"), "{said}");
}

#[test]
fn a_coarse_clock_claims_no_more_than_it_told() {
    // All equal: nothing.
    let mut text = HEADER.to_owned();
    for session in 0..5 {
        text += &format!("s{session},r,old,100\ns{session},r,new,93\n");
    }
    let flat = report(&text);
    let found = &flat.candidates[0];
    assert_eq!((found.claim, found.p_value, found.speedup.lower), ("cannot tell", None, None));
    assert!(
        flat.warnings.iter().any(|warning| warning.contains("equal to the last digit")),
        "{:?}",
        flat.warnings
    );
    // Whole milliseconds tell a fifth of a second from a quarter, with a wider interval than the clock's digits have.
    let (fine, coarse) = (report(&sessions(0.8, 1e-6, |_| true)), report(&sessions(0.8, 1.0, |_| true)));
    let width = |report: &AnalyzeReport| {
        let speedup = &report.candidates[0].speedup;
        speedup.upper.unwrap() - speedup.lower.unwrap()
    };
    assert_eq!(coarse.candidates[0].claim, "faster");
    assert!(width(&coarse) > 5.0 * width(&fine), "{} {}", width(&coarse), width(&fine));
    assert!(
        coarse.warnings.iter().any(|warning| warning.contains("multiples of 1 ms")),
        "{:?}",
        coarse.warnings
    );
    // And half a percent from nothing they do not.
    assert_eq!(report(&sessions(0.995, 1e-6, |_| true)).candidates[0].claim, "faster");
    assert_ne!(report(&sessions(0.995, 1.0, |_| true)).candidates[0].claim, "faster");
}

#[test]
fn other_files_are_refused() {
    let folder = Folder::new();
    let error = read(&folder.file("x.txt", ""), None).unwrap_err().to_string();
    assert!(error.contains("*.csv"), "{error}");
    let error = read(Path::new("absent.csv"), None).unwrap_err().to_string();
    assert!(error.contains("absent.csv: cannot be read"), "{error}");
    let error = read(&folder.file("samples.jsonl", "{}\n"), None).unwrap_err().to_string();
    assert!(error.contains("plan.json: cannot be read"), "{error}");
}
