//! A whole day of a subnet on this machine, shown command by command; `scripts/rehearse --help` says how.

#[path = "../../../chain/tests/local/node.rs"]
#[allow(dead_code, reason = "shared with the chain's own tests")]
mod node;
mod people;
#[path = "../../../hub/tests/server/mod.rs"]
mod server;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use node::{NETUID, Node, Seed, may_commit};
use people::{HOTKEY, MINERS, VALIDATOR, key, wallets};
use server::Server;

fn main() -> anyhow::Result<()> {
    let (mut folder, mut stay) = (None, false);
    for word in std::env::args_os().skip(1) {
        match word.to_str() {
            Some("--stay") => stay = true,
            Some(flag) if flag.starts_with('-') => {
                bail!("{flag}: no such option; see scripts/rehearse --help")
            }
            _ if folder.is_none() => folder = Some(PathBuf::from(word)),
            _ => bail!("expected one folder; see scripts/rehearse --help"),
        }
    }
    let folder = folder.unwrap_or_else(|| "rehearsal".into());
    std::fs::create_dir(&folder)
        .with_context(|| format!("{}: a rehearsal begins in a new folder", folder.display()))?;
    let folder = folder.canonicalize()?;
    wallets(&folder.join("wallets"))?;

    say("A chain, and a subnet on it: eight neurons, of whom 0 and 1 may set weights.")?;
    let Some(node) = Node::start("Instant") else {
        bail!(
            "no chain: get Node 20 or newer with npm, and a raw chain spec of Subtensor (one JSON file), and name it by EDGEMAXX_CHAIN_SPEC"
        );
    };
    node.seed(&Seed { key, rate_limit: 0, ..Seed::default() });
    let hub = Server::start();
    let day = Rehearsal { node: &node, hub: &hub, folder: &folder };
    day.environment()?;
    std::thread::scope(|scope| {
        let (end, ended) = std::sync::mpsc::channel::<()>();
        // The chain makes a hotkey wait for a hundred blocks between two commitments, and here no time passes.
        scope.spawn(|| {
            let ended = ended;
            while ended.recv_timeout(Duration::from_millis(500))
                == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
            {
                let _ = node.rpc(
                    "dev_setStorage",
                    serde_json::json!([may_commit((0..8).map(|uid| key(uid).account()))]),
                );
            }
        });
        let went = day.go_through().and_then(|()| if stay { day.stay() } else { Ok(()) });
        drop(end);
        went
    })
}

/// A line between commands.
fn say(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "\n# {text}")?)
}

struct Rehearsal<'a> {
    node: &'a Node,
    hub: &'a Server,
    folder: &'a Path,
}

impl Rehearsal<'_> {
    /// What commands need to know, by the variables that they read.
    fn variables(&self) -> Vec<(&'static str, String)> {
        let path = |name: &str| self.folder.join(name).display().to_string();
        vec![
            ("BT_NETUID", NETUID.to_string()),
            ("BT_CHAIN_ENDPOINT", self.node.url()),
            ("BT_WALLET_PATH", path("wallets")),
            ("BT_WALLET_HOTKEY", HOTKEY.to_owned()),
            ("HF_ENDPOINT", self.hub.url.clone()),
            ("HF_HOME", path("hub-cache")),
            ("HF_TOKEN", "hf_rehearsal".to_owned()),
            ("XDG_STATE_HOME", path("state")),
        ]
    }

    /// The same as a file for a shell.
    fn environment(&self) -> anyhow::Result<()> {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        let mut text = "unset HF_HUB_OFFLINE\n".to_owned();
        for (name, value) in self.variables() {
            text += &format!("export {name}={}\n", quoted(&value));
        }
        if let Some(folder) = program()?.parent() {
            text += &format!("PATH={}:$PATH\n", quoted(&folder.display().to_string()));
        }
        Ok(std::fs::write(self.folder.join("env.sh"), text)?)
    }

    /// Shows and runs a command; its exit code must be one of `codes`.
    fn run(&self, words: &[&str], codes: &[i32]) -> anyhow::Result<()> {
        writeln!(std::io::stdout(), "\n$ edgemaxx {}", words.join(" "))?;
        let mut command = Command::new(program()?);
        command.args(words).current_dir(self.folder).env_remove("HF_HUB_OFFLINE").envs(self.variables());
        let status = command.status()?;
        ensure!(
            status.code().is_some_and(|code| codes.contains(&code)),
            "edgemaxx {}: {status}, expected {codes:?}",
            words[0]
        );
        Ok(())
    }

    fn go_through(&self) -> anyhow::Result<()> {
        self.run(&["chain", "wallets"], &[0])?;
        self.run(&["chain", "neurons"], &[0])?;

        say("Three miners: a quick one, a slower one, and one who repeats the first one's files, later.")?;
        for (_, name, latency_us) in MINERS {
            let checkpoint = self.checkpoint(name, latency_us)?;
            let repository = format!("{name}/sdxl");
            let words = ["miner", "submit", "--from", &checkpoint, "--repository", &repository];
            self.run(&[&words[..], &["--contest", "rehearsal", "-w", name]].concat(), &[0])?;
        }
        self.run(&["chain", "commitments"], &[0])?;

        say("The validator's day, begun by hand instead of at noon.")?;
        let contest = repository("fixtures/contests/rehearsal.toml")?.display().to_string();
        let words = ["validator", "run", "--contest", &contest, "--once", "--at", "now", "--no-listen"];
        self.run(&[&words[..], &["--publish", "site", "-w", VALIDATOR]].concat(), &[0])?;
        self.run(&["weights", "show", "--uid", "0"], &[0])?;

        say("It has ended, and its status says so: exit code 1, since somebody should look.")?;
        self.run(&["validator", "status"], &[1])?;

        say("An auditor, who has what was published and a node.")?;
        let sealed = edgemaxx_seal::manifest::sealed_days(&self.folder.join("site"));
        let day = sealed.last().context("no day was published")?;
        let (day, hotkey) = (format!("site/{day}"), key(0).account().to_string());
        self.run(&["verify", &day, "--hotkey", &hotkey, "--chain", &self.node.url()], &[0])?;

        say(&format!("The site is {}.", self.folder.join("site/index.html").display()))
    }

    /// A checkpoint whose engine takes so long for a picture.
    fn checkpoint(&self, name: &str, latency_us: &str) -> anyhow::Result<String> {
        let folder = self.folder.join("checkpoints").join(name);
        copy(&repository("fixtures/models/emoji-sdxl")?, &folder)?;
        let command = ["edgemaxx", "engine", "mock", "--latency-us", latency_us];
        std::fs::write(folder.join("edgemaxx.toml"), format!("[engine]\ncommand = {command:?}\n"))?;
        Ok(format!("checkpoints/{name}"))
    }

    /// Keeps chain and hub up until the process is ended.
    fn stay(&self) -> anyhow::Result<()> {
        let file = self.folder.join("env.sh");
        say(&format!("Chain and hub stay up until Ctrl-C. In another terminal: . {}", file.display()))?;
        loop {
            std::thread::park();
        }
    }
}

/// The command, built beside this one.
fn program() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().and_then(Path::parent).context("the example has no folder")?;
    let program = folder.join("edgemaxx");
    ensure!(program.is_file(), "{}: not built; use scripts/rehearse", program.display());
    Ok(program)
}

/// Something of the repository.
fn repository(relative: &str) -> anyhow::Result<PathBuf> {
    Ok(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(relative).canonicalize()?)
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().context("a name")?);
        if path.is_dir() {
            copy(&path, &target)?;
        } else {
            std::fs::copy(&path, &target)?;
        }
    }
    Ok(())
}
