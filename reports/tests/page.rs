//! The page: complete, self-contained, the same bytes every time, and deaf to hostile text.

mod common;

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::estimate::{Claim, Estimate};
use edgemaxx_contract::input::Input;
use edgemaxx_contract::ranking::Standing;
use edgemaxx_report::{AnswerSource, NoAnswers, html, junit, markdown, summary_json};

/// Pages are left here for tests/browser/check.mjs.
fn keep(name: &str, page: &str) {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(path, page).expect("target folder");
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let start = text.find(from).unwrap_or_else(|| panic!("no {from}")) + from.len();
    &text[start..start + text[start..].find(to).unwrap_or_else(|| panic!("no {to}"))]
}

#[test]
fn the_page_is_complete_and_in_order() {
    let run = common::run(&common::demo(), 5, 8, 64, None);
    let page = html(&run.view(), &run).expect("page");
    keep("report.html", &page);
    let sections = [
        "student-5 wins",
        "id=\"front\"",
        "id=\"leaderboard\"",
        "id=\"speedup\"",
        "id=\"plane\"",
        "id=\"latency\"",
        "id=\"candidates\"",
        "id=\"resources\"",
        "id=\"trust\"",
        "id=\"stopping\"",
        "id=\"environment\"",
        "id=\"methods\"",
        "id=\"derive\"",
    ];
    let places: Vec<usize> =
        sections.iter().map(|s| page.find(s).unwrap_or_else(|| panic!("no {s}"))).collect();
    assert!(places.is_sorted(), "{places:?}");
    for text in
        ["rejected: quality", "A/A control", "exit status 134", "edgemaxx analyze .", "LC_ALL=C", "±0.68%"]
    {
        assert!(page.contains(text), "no {text}");
    }
    assert!(page.contains(&run.log.chain.head().to_string()));
    // Worst pairs first, ten of each of the five measured candidates: two pictures each, but one of
    // the control's, whose are the same. Before them four pairs of the winner's.
    assert_eq!(page.matches("src=\"data:image/").count(), 4 * 2 + 4 * 10 * 2 + 10);
}

/// What a page says in short, without its markup.
fn in_short(page: &str) -> String {
    let section = between(page, "id=\"front\"", "</section>");
    let texts = section.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text.trim());
    texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_visitor_reads_in_short_who_won_and_who_did_not() {
    let mut run = common::run(&common::demo(), 3, 2, 16, None);
    let student = run.plan.pipelines.iter_mut().find(|p| p.name == "student-5").expect("planned");
    student.checkpoint.source = "hf:somebody/fast-sdxl@0123".to_owned();
    let short = in_short(&html(&run.view(), &run).expect("page"));
    for text in [
        "somebody/fast-sdxl wins. student-5 It is about 6.2 times as fast as teacher, the baseline: a picture takes ",
        "Even if chance was kind to it, it is at least ",
        "steps-10 takes about 49% less time than teacher.",
        "noisy was rejected: its pictures are not proven to be as good as the contest demands. Planted: 1.95 times as fast, SSIM 0.71 SSIM, mean: proven",
        "broken failed: not every picture of it came.",
        "Good enough, but not proven faster int8 Planted",
        "the two came out equal, within 0.7%.",
    ] {
        assert!(short.contains(text), "no {text}: {short}");
    }
    assert!(!short.contains("clone"), "the check is not a competitor: {short}");

    for (speedup, words) in [
        (0.8, "int8 is slower: it takes about 25% more time than teacher. Planted"),
        (0.4, "int8 is slower: it takes about 2.5 times as long as teacher. Planted"),
    ] {
        let int8 = run.estimates.candidates.iter_mut().find(|c| c.name == "int8").expect("estimated");
        int8.claim = Claim::Slower;
        for estimate in [&mut int8.speedup, &mut int8.speedup_simultaneous] {
            estimate.as_mut().expect("measured").point = speedup;
        }
        let short = in_short(&html(&run.view(), &run).expect("page"));
        assert!(short.contains(words), "{short}");
    }

    let second = run.ranking.entries.iter_mut().find(|e| e.name == "steps-10").expect("ranked");
    second.tier = Some(1);
    run.ranking.winner = None;
    let short = in_short(&html(&run.view(), &run).expect("page"));
    assert!(short.contains("somebody/fast-sdxl shares the first place with 1 more"), "{short}");

    run.ranking.entries.retain(|e| e.standing != Standing::Accepted);
    run.ranking.verdict = "No candidate is proven faster.".to_owned();
    let page = html(&run.view(), &run).expect("page");
    let short = in_short(&page);
    assert!(short.contains("In short No candidate is proven faster. Rejected"), "{short}");
    assert!(!between(&page, "id=\"front\"", "</section>").contains("<img"), "nobody's answers");

    run.ranking.fitness = edgemaxx_contract::estimate::CertificateVerdict::Unfit;
    let short = in_short(&html(&run.view(), &run).expect("page"));
    assert!(short.contains("no number of this run counts") && !short.contains("noisy"), "{short}");
}

/// A plot, a leaderboard and a candidate's section that show different intervals beside one claim contradict one another.
#[test]
fn the_interval_that_decides_stands_beside_every_speedup() {
    let run = common::run(&common::demo(), 3, 2, 16, None);
    let page = html(&run.view(), &run).expect("page");
    let (plot, board) =
        (between(&page, "id=\"speedup\"", "</section>"), between(&page, "id=\"leaderboard\"", "</section>"));
    let mut measured = 0;
    for candidate in &run.estimates.candidates {
        let (Some(own), Some(shared)) = (&candidate.speedup, &candidate.speedup_simultaneous) else {
            continue;
        };
        let ends = |e: &Estimate, between: &str| {
            format!("{:.3}{between}{:.3}", e.lower.expect("lower"), e.upper.expect("upper"))
        };
        assert_ne!(ends(own, ", "), ends(shared, ", "), "the two differ, or this shows nothing");
        assert!(plot.contains(&format!("[{}]", ends(shared, ", "))), "{}: {plot}", candidate.name);
        assert!(!plot.contains(&ends(own, ", ")), "{}: {plot}", candidate.name);
        assert!(board.contains(&ends(shared, " … ")), "{}: {board}", candidate.name);
        measured += 1;
    }
    assert!(measured > 2);
    let first = page.find("interval for all candidates at once</dt>").expect("the one that decides");
    let second = page.find(", its own 95% interval</dt>").expect("its own");
    assert!(first < second);
}

#[test]
fn the_page_is_self_contained_under_a_strict_policy() {
    let run = common::run(&common::demo(), 3, 2, 16, None);
    let page = html(&run.view(), &run).expect("page");
    let policy = between(&page, "Content-Security-Policy\" content=\"", "\"").replace("&#39;", "'");
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"),
        "{policy}"
    );
    for (tag, directive) in [("style", "style-src"), ("script", "script-src")] {
        assert_eq!(page.matches(&format!("<{tag}>")).count(), 1);
        let inline = between(&page, &format!("<{tag}>"), &format!("</{tag}>"));
        let named = between(&policy, &format!("{directive} 'sha256-"), "'");
        assert_eq!(named, base64(Digest::of(inline).as_bytes()), "{tag}");
    }
    for nothing in ["http:", "https:", "url(", " style=", "<link rel=\"stylesheet", "@import", "NaN", "inf "]
    {
        assert!(!page.contains(nothing), "the page holds {nothing:?}");
    }
    let ids: Vec<&str> = page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), ids.len(), "ids are unique");
    for link in page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(ids.contains(&link), "nothing is called {link}");
    }
}

/// RFC 4648, independent of the crate's own.
fn base64(bytes: &[u8]) -> String {
    let alphabet: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['+', '/']).collect();
    let bits: String = bytes.iter().map(|b| format!("{b:08b}")).collect();
    let mut text: String = bits
        .as_bytes()
        .chunks(6)
        .map(|six| {
            let six = format!("{:0<6}", String::from_utf8_lossy(six));
            alphabet[usize::from_str_radix(&six, 2).expect("bits")]
        })
        .collect();
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    let (a, b) = (common::run(&common::demo(), 3, 3, 16, None), common::run(&common::demo(), 3, 3, 16, None));
    assert_eq!(html(&a.view(), &a).expect("page"), html(&b.view(), &b).expect("page"));
    assert_eq!(markdown(&a.view()), markdown(&b.view()));
    assert_eq!(junit(&a.view()).expect("XML"), junit(&b.view()).expect("XML"));
    assert_eq!(summary_json(&a.view()).expect("JSON"), summary_json(&b.view()).expect("JSON"));
}

#[test]
fn hostile_text_is_shown_and_never_run() {
    let attack =
        "\"'><script>window.pwned=1</script><img src=x onerror=window.pwned=1>\u{202e}{{ page }}{% raw %}";
    let long = format!("{attack}{}", "long ".repeat(2000));
    let mut run = common::run(&common::demo(), 3, 2, 16, None);
    common::rename(&mut run, "student-5", attack);
    common::rename(&mut run, "noisy", &long);
    let asked = serde_json::json!({ "prompt": long });
    let ask = run.plan.task.ask(&Input::json("ask", &asked)).expect("an ask");
    run.plan.requests.iter_mut().for_each(|r| r.ask = ask.clone());
    run.plan.pipelines.iter_mut().for_each(|p| {
        p.description = long.clone();
        p.checkpoint.source = format!("hf:{attack}/x@y");
    });
    run.ranking.verdict = attack.to_owned();
    run.ranking.winner = Some(attack.to_owned());
    run.ranking.weights_refused = Some(attack.to_owned());
    run.ranking.entries.iter_mut().for_each(|e| e.reasons = vec![attack.to_owned(), long.clone()]);
    run.contest.title = attack.to_owned();
    run.contest.description = attack.to_owned();
    run.contest.quality.gates[0].reason = attack.to_owned();
    run.environment.pins.push(attack.to_owned());
    run.environment.cpu = attack.to_owned();
    run.estimates.certificate.reason = attack.to_owned();
    run.estimates.candidates.iter_mut().flat_map(|c| &mut c.failures).for_each(|f| f.first = long.clone());
    let page = html(&run.view(), &run).expect("page");
    keep("hostile.html", &page);
    assert_eq!(page.matches("<script").count(), 1, "only our own script");
    assert_eq!(page.matches("<img ").count(), page.matches("<img loading=\"lazy\"").count());
    assert!(
        page.contains("&lt;script&gt;window.pwned=1&lt;/script&gt;") && page.contains("{{ page }}{% raw %}")
    );
    assert!(page.contains("⟨U+202E⟩") && !page.contains('\u{202e}'));
    for text in [markdown(&run.view()), junit(&run.view()).expect("XML")] {
        assert!(!text.contains("<script") && !text.contains("<img") && !text.contains('\u{202e}'));
    }
}

#[test]
fn nothing_measured_is_still_a_page() {
    let mut run = common::run(&common::demo(), 3, 2, 0, None);
    run.log.records.clear();
    run.quality.records.clear();
    for c in &mut run.estimates.candidates {
        c.speedup = None;
        c.speedup_simultaneous = None;
        c.similarity = None;
        c.latency_ms = None;
        c.baseline_latency_ms = None;
        c.quality.clear();
        c.worst_requests.clear();
        c.gates.iter_mut().for_each(|g| g.bound = None);
    }
    run.estimates.certificate.speedup = None;
    run.estimates.certificate.noise_floor = Some(f64::NAN);
    run.ranking.winner = None;
    run.ranking.entries.iter_mut().for_each(|e| e.speedup_lower = None);
    let page = html(&run.view(), &NoAnswers).expect("page");
    keep("empty.html", &page);
    assert!(page.contains("not measured") && !page.contains("NaN"));
    assert!(summary_json(&run.view()).expect("JSON").contains("\"noise_floor\": null"));
}

/// Real-looking pictures without keeping 36,000 of them.
struct Endless;

impl AnswerSource for Endless {
    fn file(&self, digest: &Digest) -> Option<Vec<u8>> {
        Some(common::picture(u32::from(digest.as_bytes()[0]), 64, 0.2))
    }
}

#[test]
fn many_candidates_stay_within_eight_megabytes() {
    let many: Vec<_> = (0..256)
        .map(|i| {
            let standing = if i == 200 { Standing::Control } else { Standing::Accepted };
            common::planted(&format!("candidate-{i}"), 1.0 + f64::from(i) / 100.0, 0.9, standing, "")
        })
        .collect();
    let run = common::run(&many, 14, 10, 0, None);
    let begun = std::time::Instant::now();
    let page = html(&run.view(), &Endless).expect("page");
    let seconds = begun.elapsed().as_secs_f64();
    keep("many.html", &page);
    let pictures = page.matches("src=\"data:image/").count();
    assert!(page.len() <= 8_000_000, "{} bytes, {seconds:.1} s", page.len());
    // Two of each, but one where both are the same: the control's, and now and then by chance.
    assert!(pictures >= 256 * 2 - 20, "{pictures} pictures in {} bytes", page.len());
}
