//! What makes a copy: how much of one entry is found in another, of its settings, of the files of its engine, of its
//! weights. The weightiest part that is an entry's own work decides whether a later one repeats it: weights before engine
//! before settings. A comment more, a line moved or another name of a file make no other entry.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use edgemaxx_candle::copies::{self, Entry, Fingerprint, compare, find_repeats};
use edgemaxx_contract::contest::{Contest, CopiesSpec, EngineSpec};
use edgemaxx_contract::digest::Digest;
use serde_json::{Map, Value};

use crate::candidate_file::candidate_file;
use crate::error::{InFile as _, Result};

/// Share of weights that must not be the baseline's for an entry to have weights of its own.
const OWN_WEIGHTS: f64 = 0.001;
/// The same for them to be more than another's settings: a few changed numbers make no other entry of settings.
const MORE_THAN_SETTINGS: f64 = 0.05;
/// Numbers that differ by less than this share are the same setting.
const SAME_NUMBER: f64 = 0.01;
/// What of a file is read; of a larger one, its digest.
const MOST_READ: u64 = 64 << 20;
/// Bytes without a zero byte that tell a part of a program from another.
const LEAST_SEGMENT: usize = 8;

/// Which part of each matrix is read: nobody can prepare for it before the entropy is known.
pub fn salt(entropy: &str) -> u64 {
    let digest = Digest::of_fields([b"edgemaxx-copies-1".as_slice(), entropy.as_bytes()]);
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest.as_bytes()[..8]);
    u64::from_le_bytes(bytes)
}

/// What is compared of an entry.
pub struct Likeness {
    /// The settings that differ from the baseline's.
    settings: Map<String, Value>,
    /// The parts of its engine, with their lengths; `None`: the built-in one.
    engine: Option<BTreeMap<Digest, u64>>,
    /// Of its weights; `None`: they cannot be read here.
    fingerprint: Option<Fingerprint>,
    /// Whether it has weights that others' can be compared with, and none that were not read.
    has_weights: bool,
    /// Share of its weights that are not the baseline's.
    own_weights: f64,
    /// Whether its engine has files: a command alone, which may name the built-in engine, is no work.
    engine_files: bool,
}

/// An earlier entry that a later one repeats.
#[derive(Debug, Clone, PartialEq)]
pub struct Repeat {
    /// The later one.
    pub copy: String,
    /// The earlier one.
    pub original: String,
    /// How that is known, in words.
    pub how: String,
}

impl Likeness {
    /// What is compared of the entry in `folder`; `salt` chooses what is read of its weights, `baseline` is the baseline's.
    ///
    /// # Errors
    /// Its settings cannot be read.
    pub fn of(folder: &Path, contest: &Contest, baseline: &Fingerprint, salt: u64) -> Result<Self> {
        let file = candidate_file(folder, contest.task)?;
        let usual = contest.baseline.settings.object();
        let mut settings =
            object(contest.task.patched(&contest.baseline.settings, &file.settings)?.object().to_value());
        settings.retain(|key, value| usual.get(key) != Some(&*value));
        let mut engine_files = false;
        let engine = match &file.engine {
            Some(EngineSpec::Command(command)) => {
                let mut parts = BTreeMap::new();
                parts_of(folder, 0, &mut parts)?;
                engine_files = !parts.is_empty();
                add(&mut parts, command.command.join(" ").as_bytes());
                Some(parts)
            }
            _ => None,
        };
        let fingerprint = Fingerprint::of_readable(folder, salt).ok();
        let shared = fingerprint.as_ref().and_then(|own| compare(own, baseline).copied_share());
        let own_weights = shared.map_or(0.0, |shared| 1.0 - shared);
        let has_weights = shared.is_some() && fingerprint.as_ref().is_some_and(|own| own.unread().is_empty());
        Ok(Self { settings, engine, fingerprint, has_weights, own_weights, engine_files })
    }

    /// Whether its engine's files alone tell it from others: nobody can say whose weights it has.
    pub fn is_told_by_engine(&self) -> bool {
        self.engine.is_some() && !self.has_weights
    }
}

/// Which of `entries`, the earliest first, repeat earlier ones, each with every one that it repeats.
pub fn repeats(entries: &[(String, Likeness)], contest: &Contest, baseline: &Fingerprint) -> Vec<Repeat> {
    let with_weights: Vec<Entry<'_>> = entries
        .iter()
        .zip(0..)
        .filter_map(|((name, likeness), block)| {
            likeness.fingerprint.as_ref().map(|fingerprint| Entry { name, block, fingerprint })
        })
        .collect();
    let weights = find_repeats(&with_weights.iter().collect::<Vec<_>>(), baseline);
    let share = |copy: &str, original: &str| {
        let found = |found: &&copies::CopyFound| found.copy == copy && found.original == original;
        weights.iter().find(found).map_or(0.0, |found| found.share)
    };
    judge(entries, &contest.copies, share)
}

/// The same, where `share` tells how much of the second's own weights is found in the first.
fn judge(
    entries: &[(String, Likeness)],
    limits: &CopiesSpec,
    share: impl Fn(&str, &str) -> f64,
) -> Vec<Repeat> {
    let mut all = Vec::new();
    for (later, (copy, mine)) in entries.iter().enumerate() {
        for (original, theirs) in &entries[..later] {
            let more_than_settings = mine.own_weights >= MORE_THAN_SETTINGS || mine.engine_files;
            let (found, limit, what) = if theirs.own_weights >= OWN_WEIGHTS {
                (share(copy, original), limits.weights, "of its own weights")
            } else if let Some(engine) = &theirs.engine {
                (
                    mine.engine.as_ref().map_or(0.0, |own| shared(own, engine)),
                    limits.engine,
                    "of its engine's files",
                )
            } else if theirs.settings.is_empty() || more_than_settings {
                // Nothing is its own, or what is the other's own is more than settings.
                continue;
            } else {
                (alike(&mine.settings, &theirs.settings), limits.settings, "of its settings")
            };
            if found >= limit {
                let how = format!("{:.0}% {what}", 100.0 * found);
                all.push(Repeat { copy: copy.clone(), original: original.clone(), how });
            }
        }
    }
    all
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Share of all settings of both that are the same in both.
fn alike(a: &Map<String, Value>, b: &Map<String, Value>) -> f64 {
    let same = |x: &Value, y: &Value| match (x.as_f64(), y.as_f64()) {
        (Some(x), Some(y)) => (x - y).abs() <= SAME_NUMBER * x.abs().max(y.abs()),
        _ => x == y,
    };
    let both =
        a.iter().filter(|(key, value)| b.get(key.as_str()).is_some_and(|other| same(value, other))).count();
    let all = a.len() + b.keys().filter(|key| !a.contains_key(key.as_str())).count();
    if all == 0 { 1.0 } else { both as f64 / all as f64 }
}

/// Share of the bytes of `original`'s parts that are found in `copy`.
fn shared(copy: &BTreeMap<Digest, u64>, original: &BTreeMap<Digest, u64>) -> f64 {
    let all: u64 = original.values().sum();
    let found: u64 =
        original.iter().filter(|(part, _)| copy.contains_key(*part)).map(|(_, bytes)| bytes).sum();
    if all == 0 { 0.0 } else { found as f64 / all as f64 }
}

/// The parts of an engine's files, whatever they are called: of a text its lines, without blanks and comments; of a program
/// the runs between zero bytes. What a checkpoint's layout demands of everybody is no part of an engine.
fn parts_of(folder: &Path, depth: usize, parts: &mut BTreeMap<Digest, u64>) -> Result<()> {
    for entry in fs::read_dir(folder).in_file(folder)? {
        let path = entry.in_file(folder)?.path();
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let of_checkpoint = ["safetensors", "gguf", "json", "txt", "md", "toml"].contains(&ending.as_str());
        if path.is_dir() {
            if depth < 8 {
                parts_of(&path, depth + 1, parts)?;
            }
        } else if path.is_file() && !of_checkpoint {
            let large = fs::metadata(&path).in_file(&path)?.len() > MOST_READ;
            if large {
                let (bytes, digest) = edgemaxx_files::file_digest(&path)?;
                parts.insert(digest, bytes);
                continue;
            }
            let bytes = fs::read(&path).in_file(&path)?;
            match std::str::from_utf8(&bytes) {
                Ok(text) => text.lines().for_each(|line| add_line(parts, line)),
                Err(_) => bytes
                    .split(|byte| *byte == 0)
                    .filter(|s| s.len() >= LEAST_SEGMENT)
                    .for_each(|s| add(parts, s)),
            }
        }
    }
    Ok(())
}

fn add_line(parts: &mut BTreeMap<Digest, u64>, line: &str) {
    let line: Vec<&str> = line.split_whitespace().collect();
    let comment = |word: &str| ["#", "//", "--", "/*", "*"].iter().any(|start| word.starts_with(start));
    if line.first().is_some_and(|word| !comment(word)) {
        add(parts, line.join(" ").as_bytes());
    }
}

fn add(parts: &mut BTreeMap<Digest, u64>, part: &[u8]) {
    parts.insert(Digest::of(part), part.len() as u64);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn likeness(settings: Value, engine: Option<&[&str]>, own_weights: bool) -> Likeness {
        let engine_files = engine.is_some();
        let engine = engine.map(|lines| {
            let mut parts = BTreeMap::new();
            lines.iter().for_each(|line| add_line(&mut parts, line));
            parts
        });
        let has_weights = own_weights;
        let own_weights = if own_weights { 0.3 } else { 0.0 };
        Likeness {
            settings: object(settings),
            engine,
            fingerprint: None,
            has_weights,
            own_weights,
            engine_files,
        }
    }

    fn found(entries: Vec<(&str, Likeness)>, settings: f64) -> Vec<(String, String, String)> {
        let limits = CopiesSpec { settings, ..CopiesSpec::default() };
        let entries: Vec<_> =
            entries.into_iter().map(|(name, likeness)| (name.to_owned(), likeness)).collect();
        // Whoever is called a twin has nearly all of the others' weights.
        let share = |copy: &str, _: &str| if copy.starts_with("twin") { 0.97 } else { 0.1 };
        judge(&entries, &limits, share).into_iter().map(|r| (r.copy, r.original, r.how)).collect()
    }

    fn pairs(found: &[(String, String, String)]) -> Vec<(&str, &str)> {
        found.iter().map(|(copy, original, _)| (copy.as_str(), original.as_str())).collect()
    }

    #[test]
    fn settings_are_what_they_say_and_who_was_first_keeps_them() {
        let steps =
            |steps: f64| likeness(serde_json::json!({ "steps": steps, "dtype": "bf16" }), None, false);
        let all = vec![
            ("first", steps(10.0)),
            ("comment", steps(10.0)),
            ("hair", steps(10.05)),
            ("other", steps(12.0)),
            ("none", likeness(serde_json::json!({}), None, false)),
            ("none-too", likeness(serde_json::json!({}), None, false)),
            ("student", likeness(serde_json::json!({ "steps": 10, "dtype": "bf16" }), None, true)),
            (
                "engine",
                likeness(serde_json::json!({ "steps": 10, "dtype": "bf16" }), Some(&["x = 1"]), false),
            ),
        ];
        let found = found(all, 1.0);
        assert_eq!(pairs(&found), [("comment", "first"), ("hair", "first"), ("hair", "comment")]);
        assert_eq!(found[0].2, "100% of its settings");
        // A contest may ask for less: then half of two settings is enough.
        let all = vec![("first", steps(10.0)), ("other", steps(12.0))];
        assert_eq!(self::found(all, 0.3).len(), 1);
    }

    /// Weights of one's own are the weightiest work: other settings and another engine around them make no other entry.
    #[test]
    fn weights_decide_before_everything_else() {
        let student = |steps: u32, engine| likeness(serde_json::json!({ "steps": steps }), engine, true);
        let all = vec![
            ("first", student(10, None)),
            ("twin", student(4, Some(&["x = 1"][..]))),
            ("other", student(10, None)),
        ];
        let found = found(all, 1.0);
        assert_eq!(pairs(&found), [("twin", "first")]);
        assert_eq!(found[0].2, "97% of its own weights");
    }

    #[test]
    fn an_engine_is_its_lines_whatever_stands_around_them() {
        let lines = ["import numpy", "def run(x):", "    return fast(x) * 2", "class Server: pass"];
        let commented = [
            "# mine!",
            "import  numpy",
            "",
            "def run(x):",
            "# new",
            "return fast(x) * 2",
            "class Server: pass",
        ];
        let engine =
            |lines: &[&str], steps: u32| likeness(serde_json::json!({ "steps": steps }), Some(lines), false);
        let all = vec![
            ("first", engine(&lines, 10)),
            ("commented", engine(&commented, 11)),
            ("own", engine(&["import numpy", "print('something else entirely')"], 10)),
            ("native", likeness(serde_json::json!({ "steps": 10 }), None, false)),
        ];
        let found = found(all, 1.0);
        assert_eq!(pairs(&found), [("commented", "first")]);
        assert_eq!(found[0].2, "100% of its engine's files");
    }

    /// Real folders: the same settings, or the same engine, in other clothes.
    #[test]
    fn who_only_dresses_up_anothers_entry_repeats_it() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
        let text = fs::read_to_string(root.join("contests/emoji-cpu.toml")).unwrap();
        let contest = Contest::parse(&text).unwrap();
        let model = root.join("models/emoji-sdxl");
        let baseline = Fingerprint::of(&model, 1).unwrap();
        let home = tempfile::tempdir().unwrap();
        fn copy(from: &Path, to: &Path) {
            fs::create_dir_all(to).unwrap();
            for entry in fs::read_dir(from).unwrap() {
                let path = entry.unwrap().path();
                let to = to.join(path.file_name().unwrap());
                if path.is_dir() {
                    copy(&path, &to);
                } else {
                    fs::copy(&path, &to).unwrap();
                }
            }
        }
        let entry = |name: &str, settings: &str, files: &[(&str, &str)]| {
            let folder = home.path().join(name);
            copy(&model, &folder);
            fs::write(folder.join("edgemaxx.toml"), settings).unwrap();
            for (file, text) in files {
                fs::create_dir_all(folder.join(file).parent().unwrap()).unwrap();
                fs::write(folder.join(file), text).unwrap();
            }
            (name.to_owned(), Likeness::of(&folder, &contest, &baseline, 1).unwrap())
        };
        let found = |entries: Vec<(String, Likeness)>| -> Vec<(String, String)> {
            repeats(&entries, &contest, &baseline).into_iter().map(|r| (r.copy, r.original)).collect()
        };
        let first = "[generation]\nsteps = 8\nguidance_scale = 4.0\n";
        let settings = found(vec![
            entry("first", first, &[]),
            entry("comment", &format!("# all mine\n{first}# really\n"), &[]),
            entry("order", "[generation]\nguidance_scale = 4.0\nsteps = 8\n", &[]),
            entry("blanks", "\n\n[ generation ]\n  steps=8\n\tguidance_scale  =  4.0\n\n", &[]),
            entry("inline", "generation = { steps = 8, guidance_scale = 4.0 }\n", &[]),
            entry("usual", &format!("{first}dtype = \"f32\"\n"), &[]),
            entry("readme", first, &[("README.md", "mine"), ("notes/more.txt", "mine")]),
            entry("hair", "[generation]\nsteps = 8\nguidance_scale = 4.01\n", &[]),
            entry(
                "command",
                &format!("{first}[engine]\ncommand = [\"edgemaxx\", \"engine\", \"candle\"]\n"),
                &[],
            ),
            entry("other", "[generation]\nsteps = 9\nguidance_scale = 4.0\n", &[]),
        ]);
        for name in ["comment", "order", "blanks", "inline", "usual", "readme", "hair", "command"] {
            assert!(settings.contains(&(name.to_owned(), "first".to_owned())), "{name}: {settings:?}");
        }
        assert!(settings.iter().all(|(copy, _)| copy != "other" && copy != "first"), "{settings:?}");

        let program = "import numpy\ndef answer(request):\n    return draw(request.prompt, request.steps)\nserve(answer)\n";
        let engine = |file: &str| format!("[engine]\ncommand = [\"python3\", \"{file}\"]\n");
        let engines = found(vec![
            entry("author", &engine("engine.py"), &[("engine.py", program)]),
            entry("renamed", &engine("src/mine.py"), &[("src/mine.py", program)]),
            entry(
                "dressed",
                &engine("engine.py"),
                &[("engine.py", &format!("# mine\n\n{}", program.replace("    ", "\t")))],
            ),
            entry(
                "another",
                &engine("engine.py"),
                &[("engine.py", "import torch\nprint('something of its own')\n")],
            ),
        ]);
        for name in ["renamed", "dressed"] {
            assert!(engines.contains(&(name.to_owned(), "author".to_owned())), "{name}: {engines:?}");
        }
        assert!(engines.iter().all(|(copy, _)| copy != "another"), "{engines:?}");
    }

    const CONTEST: &str = "format = 1\nname = \"c\"\n[device]\nkind = \"cpu\"\n[request]\nprompts = \"p.txt\"\nwidth = 64\nheight = 64\n\
         [baseline]\ncheckpoint = \"m\"\ngeneration = { steps = 20, guidance_scale = 5.0 }\n[measurement]\n[quality]\n";

    /// Whose weights lie in files that nobody can read takes no place from who has weights, nor loses one to him.
    #[test]
    fn who_hides_the_weights_is_told_by_the_engine_and_marked() {
        let contest = Contest::parse(CONTEST).unwrap();
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models");
        let baseline = Fingerprint::of(&models.join("emoji-sdxl"), 1).unwrap();
        let home = tempfile::tempdir().unwrap();
        let entry = |name: &str, engine: Option<&str>, weights: Option<(&str, u8)>| {
            let folder = home.path().join(name);
            fs::create_dir_all(&folder).unwrap();
            if let Some(lines) = engine {
                let command = "[engine]\ncommand = [\"python3\", \"run.py\"]\nfiles = [\"run.py\"]\n";
                fs::write(folder.join("edgemaxx.toml"), command).unwrap();
                fs::write(folder.join("run.py"), lines).unwrap();
            }
            let unet = models.join("emoji-sdxl-student/unet/diffusion_pytorch_model.safetensors");
            if let Some((file, key)) = weights {
                fs::create_dir_all(folder.join(file).parent().unwrap()).unwrap();
                let bytes: Vec<u8> = fs::read(unet).unwrap().into_iter().map(|byte| byte ^ key).collect();
                fs::write(folder.join(file), bytes).unwrap();
            }
            if name == "behind-rubbish" {
                fs::write(folder.join("model.gguf"), "GGUF of nothing").unwrap();
                fs::write(folder.join("model.safetensors"), "no header").unwrap();
            }
            if name == "behind-the-baseline" {
                fs::write(folder.join("unet/config.json"), "{}").unwrap();
                let vae = "vae/diffusion_pytorch_model.safetensors";
                fs::create_dir(folder.join("vae")).unwrap();
                fs::copy(models.join("emoji-sdxl").join(vae), folder.join(vae)).unwrap();
            }
            (name.to_owned(), Likeness::of(&folder, &contest, &baseline, 1).unwrap())
        };
        let own = "def draw(prompt):\n    return fast(prompt)\n";
        let other = "class Painter:\n    strokes = 5\n    def paint(self, words): return brush(words)\n";
        let entries = [
            entry("hidden", Some(own), Some(("weights.bin", 0x35))),
            entry("open", None, Some(("unet.safetensors", 0))),
            entry("hidden-too", Some(other), Some(("weights.bin", 0x5a))),
            entry("both", Some("x = 1\n"), Some(("unet.safetensors", 0))),
            entry("engine-again", Some(own), None),
            entry("behind-rubbish", None, Some(("unet.safetensors", 0))),
            entry("behind-the-baseline", Some("y = 2\n"), Some(("unet/weights.dat", 0x77))),
        ];
        let marked: Vec<&str> = entries
            .iter()
            .filter(|(_, likeness)| likeness.is_told_by_engine())
            .map(|(name, _)| &name[..])
            .collect();
        assert_eq!(marked, ["hidden", "hidden-too", "engine-again", "behind-the-baseline"]);
        let found: Vec<_> =
            repeats(&entries, &contest, &baseline).into_iter().map(|r| (r.copy, r.original)).collect();
        let repeats = [("both", "open"), ("behind-rubbish", "open"), ("behind-rubbish", "both")];
        assert_eq!(
            found,
            repeats.map(|(copy, original)| (copy.to_owned(), original.to_owned())),
            "weights speak of who shows them, and of nobody else"
        );
    }

    #[test]
    fn programs_are_told_by_what_lies_between_their_zeros() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        let program: Vec<u8> =
            (0..200u32).flat_map(|n| format!("part number {n}\0\u{1}\0").into_bytes()).collect();
        write("a/engine", &[&program[..], &[0xff]].concat());
        write("b/other-name", &[&[0xfe, 0, 0], &program[..], b"\0one more comment\0\xff"].concat());
        write("b/unet/config.json", b"{\"of\": \"everybody\"}");
        let of = |name: &str| {
            let mut parts = BTreeMap::new();
            parts_of(&folder.path().join(name), 0, &mut parts).unwrap();
            parts
        };
        let (a, b) = (of("a"), of("b"));
        assert!(shared(&b, &a) > 0.99, "{}", shared(&b, &a));
        assert_eq!(shared(&BTreeMap::new(), &a), 0.0);
    }
}
