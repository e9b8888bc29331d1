//! A task that nobody knows: bytes in, the same bytes out, in parts, judged by one metric. What it takes to add a task
//! stands in this file, and its contest goes all the way from the file to the report, through a real engine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use edgemaxx_contract::digest::Digest;
use edgemaxx_contract::environment::Confinement;
use edgemaxx_contract::input::{Input, InputError};
use edgemaxx_contract::metric::{Direction, Entry, Metric, Model, Unit};
use edgemaxx_contract::plan::PlannedRequest;
use edgemaxx_contract::quality::Judgement;
use edgemaxx_contract::run_files::{ARTEFACTS_FOLDER, ENVIRONMENT_FILE};
use edgemaxx_contract::sample::{Outcome, Record};
use edgemaxx_contract::task::{
    Ask, Noun, Object, PromptsError, RequestSpec, Row, Settings, Task, TaskRef, prompt_lines,
};
use edgemaxx_devices::{Pins, environment};
use edgemaxx_engine::task::Probe;
use edgemaxx_engine::{
    Answer, AnswerLimits, Artefact, Codec, Object as Frame, Question, Reply, detect_sandbox,
};
use edgemaxx_quality::{Judge, Pair, QualityError};
use edgemaxx_run::build;
use edgemaxx_run::folder::RunFolder;
use edgemaxx_run::progress::Silent;
use edgemaxx_run::stage::{analyze, measure, plan, quality, rank, report};
use edgemaxx_run::task::Kit;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The task. The null engine answers it.
struct Echo;

static ECHO: Echo = Echo;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EchoRequest {
    prompts: String,
    bytes: u32,
    parts: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EchoSettings {
    loud: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EchoAsk {
    word: String,
}

impl Task for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn answer(&self) -> Noun {
        Noun { one: "echo", several: "echoes" }
    }

    fn unit(&self) -> Option<Noun> {
        Some(Noun { one: "part", several: "parts" })
    }

    fn extension(&self) -> &'static str {
        "bin"
    }

    fn read_request(&self, input: &Input<'_>) -> Result<Object, InputError> {
        let request: EchoRequest = input.read()?;
        input.within("bytes", request.bytes, 1, 1 << 20)?;
        Object::of(&request)
    }

    fn read_settings(&self, input: &Input<'_>) -> Result<Object, InputError> {
        Object::of(&input.read::<EchoSettings>()?)
    }

    fn read_patch(&self, input: &Input<'_>) -> Result<Object, InputError> {
        self.read_settings(input)
    }

    fn read_ask(&self, input: &Input<'_>) -> Result<Object, InputError> {
        Object::of(&input.read::<EchoAsk>()?)
    }

    fn asks(&self, _: &RequestSpec, file: &str, text: &str) -> Result<Vec<Object>, PromptsError> {
        Ok(prompt_lines(file, text)?
            .into_iter()
            .map(|word| Object::from_iter([("word", word.into())]))
            .collect())
    }

    fn request_rows(&self, request: &RequestSpec) -> Vec<Row> {
        vec![Row::new("bytes", request.object().get("bytes").unwrap_or(&Value::Null).to_string())]
    }

    fn settings_rows(&self, settings: &Settings) -> Vec<Row> {
        vec![Row::new("loud", settings.object().get("loud").unwrap_or(&Value::Null).to_string())]
    }

    fn ask_words(&self, ask: &Ask) -> String {
        ask.view().map_or_else(|error| error.to_string(), |ask: EchoAsk| ask.word)
    }
}

/// The share of bytes that both answers have.
static SAME_BYTES: Entry = Entry {
    name: "same_bytes",
    task: "echo",
    title: "same bytes",
    short: "same bytes",
    unit: Unit::None,
    digits: 3,
    range: (0.0, 1.0),
    direction: Direction::HigherIsBetter,
    needs: &[],
    of_each_side: false,
    held_back: false,
    of_identical: None,
    scored: false,
};

struct EchoCodec;

fn words(error: InputError) -> String {
    error.to_string()
}

impl Codec for EchoCodec {
    fn task(&self) -> &'static str {
        "echo"
    }

    fn settings(&self, _: &RequestSpec, settings: &Settings) -> Result<Frame, String> {
        Ok(settings.object().iter().map(|(key, value)| (key.to_owned(), value.clone())).collect())
    }

    fn ready(&self, _: &RequestSpec, _: &Frame) -> Result<Frame, String> {
        Ok(Frame::new())
    }

    fn payload(&self, request: &RequestSpec, planned: &PlannedRequest, _: &Frame) -> Result<Vec<u8>, String> {
        let (request, ask): (EchoRequest, EchoAsk) =
            (request.view().map_err(words)?, planned.ask.view().map_err(words)?);
        let said = format!("{} {}\n", ask.word, planned.seed);
        Ok(said.bytes().cycle().take(request.bytes as usize).collect())
    }

    fn header(&self, question: Question<'_>, _: &Frame) -> Result<Frame, String> {
        let request: EchoRequest = question.request.view().map_err(words)?;
        let (parts, part) = (request.parts, json!({ "more": true }));
        Ok(Frame::from_iter([("parts".to_owned(), parts.into()), ("part".to_owned(), part)]))
    }

    fn limits(&self, request: &RequestSpec) -> AnswerLimits {
        let request: EchoRequest = request.view().expect("an echo's");
        AnswerLimits { parts: request.parts, parts_bytes: 4096, answer_bytes: request.bytes as usize }
    }

    fn artefact(&self, _: Question<'_>, answer: &Answer) -> Result<Artefact, String> {
        let (units, bytes) = (answer.parts.len() as u32, answer.payload.clone());
        Ok(Artefact { digest: Digest::of(&bytes), units, parts: Vec::new(), bytes })
    }

    fn nothing(&self, _: &Frame) -> Result<(Frame, Reply), String> {
        Err("the null engine has this from itself".to_owned())
    }

    fn probes(&self, _: &RequestSpec) -> Result<Vec<Probe>, String> {
        Ok(Vec::new())
    }
}

struct EchoJudge;

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

impl Judge for EchoJudge {
    fn draw_views(&self, _: Digest) -> Vec<Value> {
        Vec::new()
    }

    fn read(&self, artefact: &edgemaxx_quality::Artefact) -> Result<Vec<u8>, QualityError> {
        let bytes = read(&artefact.path);
        let (path, recorded, found) = (artefact.path.clone(), artefact.digest, Digest::of(&bytes));
        if found == recorded { Ok(bytes) } else { Err(QualityError::Exchanged { path, found, recorded }) }
    }

    fn judge(
        &self,
        pairs: &[Pair],
        _: &[Value],
        done: &(dyn Fn() + Sync),
    ) -> Result<Vec<Judgement>, QualityError> {
        let judged = |pair: &Pair| {
            done();
            self.compare(&pair.baseline.path, &pair.answer.path, None)
        };
        pairs.iter().map(judged).collect()
    }

    fn compare(&self, a: &Path, b: &Path, _: Option<&str>) -> Result<Judgement, QualityError> {
        let (a, b) = (read(a), read(b));
        let same = a.iter().zip(&b).filter(|(a, b)| a == b).count() as f64 / a.len().max(b.len()) as f64;
        let metric = Metric::named("same_bytes").expect("brought along");
        Ok(Judgement { values: [(metric, same)].into(), ..Judgement::default() })
    }
}

struct EchoKit;

impl Kit for EchoKit {
    fn task(&self) -> TaskRef {
        TaskRef::new(&ECHO)
    }

    fn codec(&self) -> &'static dyn Codec {
        &EchoCodec
    }

    fn judge(&self, _: &BTreeMap<Model, PathBuf>) -> Result<Box<dyn Judge>, QualityError> {
        Ok(Box::new(EchoJudge))
    }
}

fn bring_along() {
    edgemaxx_run::task::also(&EchoKit, std::slice::from_ref(&SAME_BYTES));
}

#[test]
fn a_task_of_one_file_goes_from_contest_to_report() {
    bring_along();
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    fs::create_dir(at("model")).unwrap();
    fs::write(at("model/weights"), "none").unwrap();
    fs::write(at("words.txt"), "one\ntwo\nthree\nfour\nfive\n").unwrap();
    let engine = format!("{{ command = [{:?}, \"engine\", \"null\"] }}", env!("CARGO_BIN_EXE_edgemaxx"));
    let contest = format!(
        r#"
        format = 1
        name = "echo"
        task = "echo"
        [device]
        kind = "cpu"
        [request]
        prompts = "words.txt"
        bytes = 3000
        parts = 3
        [baseline]
        checkpoint = "model"
        generation = {{ loud = true }}
        engine = {engine}
        [[candidate]]
        name = "quiet"
        generation = {{ loud = false }}
        engine = {engine}
        [measurement]
        sessions = 2
        pairs = 2
        warmup_min = 0
        warmup_max = 1
        [quality]
        [[quality.gate]]
        metric = "same_bytes"
        at_least = 0.9
        reason = "an echo is what was said"
        [score]
        similarity = "same-bytes"
        "#
    );
    fs::write(at("contest.toml"), &contest).unwrap();

    let draw = plan::Draw::today(at("contest.toml"), false).unwrap();
    let (resolved, drawn) = draw.draw(&Silent).unwrap();
    let folder = RunFolder::create(&at("run")).unwrap();
    plan::save(&folder, &resolved, &drawn).unwrap();
    assert_eq!(folder.plan().unwrap(), drawn, "the plan is read as it was written");

    // The null engine that measures the protocol would be this program.
    let pins = Pins::processor(drawn.measurement.threads);
    let machine = environment(build::build(), Confinement::from(&detect_sandbox()), None, &pins, Vec::new());
    folder.write_document(ENVIRONMENT_FILE, &machine).unwrap();
    let options = measure::Options { no_telemetry: true, ..measure::Options::anywhere("") };
    let summary = measure::measure_run(&folder, options, &Silent).unwrap();
    assert_eq!((summary.complete, summary.failures), (4, 0));

    let log = folder.samples(&drawn).unwrap();
    let mut kept = BTreeSet::new();
    for record in &log.records {
        let Record::Attempt(attempt) = record else { continue };
        let Outcome::Answered { latency_ns, first_ns, units, answer, .. } = &attempt.outcome else {
            panic!("{attempt:?}")
        };
        assert!(*units == 3 && first_ns.is_some_and(|first| first <= *latency_ns), "{attempt:?}");
        let bytes = fs::read(folder.file(&drawn.artefact(answer))).unwrap();
        assert_eq!(Digest::of(&bytes), *answer);
        let said = drawn.task.ask_words(&drawn.requests[attempt.request as usize].ask);
        assert!(bytes.len() == 3000 && bytes.starts_with(said.as_bytes()), "{said}");
        kept.insert(format!("{answer}.bin"));
    }
    let names = fs::read_dir(folder.file(ARTEFACTS_FOLDER)).unwrap();
    let names: BTreeSet<String> = names.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names, kept);

    let judged = quality::judge_run(&folder, quality::Models::default(), &Silent).unwrap();
    let metric = Metric::named("same_bytes").unwrap();
    assert_eq!(judged.records.len(), 8);
    assert!(judged.records.iter().all(|record| record.value(metric) == Some(1.0)));

    let estimates = analyze::analyze_run(&folder).unwrap();
    let quiet = estimates.candidates.iter().find(|found| found.name == "quiet").unwrap();
    assert!(quiet.speedup.is_some() && quiet.pairs == 4, "{quiet:?}");
    assert!(quiet.gates.iter().all(|gate| gate.passed), "{:?}", quiet.gates);
    rank::rank_run(&folder).unwrap();
    let page = fs::read_to_string(report::report_run(&folder).unwrap()).unwrap();
    for shown in ["same bytes", "Loud", "quiet"] {
        assert!(page.contains(shown), "{shown}");
    }
    assert!(fs::read_to_string(folder.file("samples.csv")).unwrap().contains(",three,"));
}

#[test]
fn what_is_asked_of_it_is_checked_by_it() {
    bring_along();
    let text = "format = 1\nname = \"x\"\ntask = \"echo\"\n[device]\nkind = \"cpu\"\n[request]\nprompts = \"p\"\nbytes = 0\n\
                parts = 1\n[baseline]\ncheckpoint = \"m\"\ngeneration = { loud = true }\n[quality]\n";
    let read = |text: &str| edgemaxx_contract::contest::Contest::parse(text).unwrap_err().to_string();
    assert!(
        read(text).contains("request.bytes: expected a value from 1 to 1048576, found 0"),
        "{}",
        read(text)
    );
    let loud = text.replace("bytes = 0", "bytes = 1").replace("loud = true", "volume = 11");
    assert!(
        read(&loud).contains("line 12") && read(&loud).contains("unknown field `volume`"),
        "{}",
        read(&loud)
    );
    let foreign = text.replace("bytes = 0", "bytes = 1")
        + "[[quality.gate]]\nmetric = \"ssim_gray\"\nat_least = 0.5\nreason = \"x\"\n";
    assert!(read(&foreign).contains("expected a metric of echoes: same_bytes"), "{}", read(&foreign));
}
