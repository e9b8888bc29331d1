//! `edgemaxx validator`: a day that always ends in a verdict.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use edgemaxx_chain::Journal;
use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::joint::{Share, check_shares};
use edgemaxx_files::write_whole;
use edgemaxx_run::follow::Follower;
use edgemaxx_run::resolve::read_text;
use edgemaxx_run::validator::{
    ChildBench, LocalCheckpoints, Means, Rendered, SealedDays, Subtensor, WallClock, not_published,
};
use edgemaxx_seal::Keypair;
use edgemaxx_validator::contest_file;
use edgemaxx_validator::driver::{Driver, DriverError, Role, Settings, World};
use edgemaxx_validator::group::{Group, Idle};
use edgemaxx_validator::housekeeping::Keep;
use edgemaxx_validator::policy::Policy;
use edgemaxx_validator::publish::PublishError;
use edgemaxx_validator::serve::{Shown, serve};
use edgemaxx_validator::state::{OnChain, Phase, State};
use edgemaxx_validator::status::{Contact, Progress, Seen, Status};
use edgemaxx_validator::store::{Store, StoreError};
use edgemaxx_validator::workers::Worker;
use edgemaxx_validator::world::{Bench, Checkpoints, Clock as _};

use super::on_fleet::OnFleet;
use crate::error::{Exit, Failure, InFile as _};
#[cfg(feature = "fleet")]
use crate::fleet_watch::FleetWatch;
use crate::progress::Terminal;
use crate::subtensor::{ChainArgs, JournalArgs, WalletArgs};
use crate::target::Target;
use crate::terminal::{answer_json, answer_lines, note, notes_as_json};
use crate::validator_log::{Alarms, Log};

/// In a validator's folder: its status as it last was.
const STATUS_FILE: &str = "status.json";

/// Runs a subnet's contest every day at noon in New York, or says how it is doing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx validator run --contest contest.toml --netuid 39 --wallet.name validator --wallet.hotkey hot
  edgemaxx validator run --contest contest.toml --once --at now --data trial --subtensor.network test
  edgemaxx validator run --contest contest.toml --once --at next --data trial --subtensor.network test
  edgemaxx validator status --json")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Collect, measure, publish, set weights; every day, or once.
    Run(Box<Run>),
    /// What a validator on this machine is doing.
    Status(StatusArgs),
}

/// When the first day begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum At {
    /// At noon, or at once if the last one is not long past.
    Noon,
    /// At once, for the last noon; or for the next one, in advance, where no session of the last may begin any more.
    Now,
    /// At once, and if the last day is over, the one after it, in advance: for trials, with --once.
    Next,
}

/// How long something is kept; `None`: for ever.
#[derive(Debug, Clone, Copy)]
struct Days(Option<u32>);

fn days(text: &str) -> Result<Days, String> {
    if text == "forever" {
        return Ok(Days(None));
    }
    let number =
        text.parse().map_err(|_| format!("expected a number of days, or forever; found {text:?}"))?;
    Ok(Days(Some(number)))
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx validator run --contest contest.toml --netuid 39 --wallet.name validator --wallet.hotkey hot
  edgemaxx validator run --contest contest.toml --publish site --publish hf:owner/days --keep-answers-days 14
  edgemaxx validator run --contest sdxl.toml=0.7 --contest stories.toml=0.3 --publish site
  edgemaxx validator run --contest contest.toml --lanes 4 --fleet tls://desk:4222 --ca ca.pem --creds coordinator.key

The hub's token is HF_TOKEN, else the file that `hf auth login` writes; it is never shown.
Stops gracefully on Ctrl-C or SIGTERM, and goes on where it stopped, whatever stopped it.

Exit codes: 0 stopped, or with --once the weights are set · 1 with --once: nothing to set · 2 bad input ·
3 disk full, memory damaged, or another validator runs with this data · 5 with --once: weights could not be set")]
struct Run {
    /// Contest file, without candidates: those come from the chain. Of several contests, each with its share of the
    /// weights; the shares sum to 1.
    #[arg(long, value_name = "CONTEST.toml[=SHARE]", required = true, value_parser = entry)]
    contest: Vec<Entry>,
    /// Folder for memory and days.
    #[arg(long, value_name = "DIR", default_value = "validator")]
    data: PathBuf,
    /// The card that engines see, as `edgemaxx doctor` numbers it [default: the only one that the contest can mean].
    #[arg(long, value_name = "N")]
    device: Option<u32>,
    #[command(flatten)]
    fleet: OnFleet,
    /// Deal the rounds of a day to this many lanes of the fleet [default: 1].
    #[arg(long, value_name = "N", requires = "fleet", value_parser = clap::value_parser!(u32).range(1..))]
    lanes: Option<u32>,
    /// Copy every sealed day to this folder, which becomes a static site, or to a dataset repository; one of each.
    #[arg(long, value_name = "DIR | hf:OWNER/NAME")]
    publish: Vec<Target>,
    /// Days after which checkpoints are removed that sealed days derived or fetched and no later one used; or `forever`.
    #[arg(long, value_name = "N", default_value = "3", value_parser = days)]
    keep_checkpoints_days: Days,
    /// Days after which answers are removed that are published at every --publish; or `forever`.
    #[arg(long, alias = "keep-pictures-days", value_name = "N", default_value = "30", value_parser = days)]
    keep_answers_days: Days,
    /// End after one day.
    #[arg(long)]
    once: bool,
    /// When the first day begins.
    #[arg(long, value_enum, default_value = "noon")]
    at: At,
    /// Where GET /status and /metrics are answered; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9839")]
    listen: SocketAddr,
    /// Answer nothing.
    #[arg(long, conflicts_with = "listen")]
    no_listen: bool,
    /// Shell command for every new alarm, which is in EDGEMAXX_ALARM.
    #[arg(long, value_name = "COMMAND")]
    alarm_command: Option<String>,
    /// Everything on standard error as lines of JSON: the log, notes, alarms, the error that ends it.
    #[arg(long)]
    log_json: bool,
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    #[command(flatten)]
    journal: JournalArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code: 0 · 1 somebody should look at something.")]
struct StatusArgs {
    /// Folder of the validator.
    #[arg(long, value_name = "DIR", default_value = "validator")]
    data: PathBuf,
    /// Lines of its journal to show.
    #[arg(long, value_name = "N", default_value_t = 5)]
    journal: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        match self.what {
            What::Run(args) => args.execute(),
            What::Status(args) => args.execute(),
        }
    }
}

impl Run {
    fn execute(&self) -> anyhow::Result<()> {
        if self.log_json {
            notes_as_json();
        }
        if self.at == At::Next && !self.once {
            return Err(Failure::input("--at next: begins a day in advance each time; it needs --once"));
        }
        let contests = self.contests()?;
        let several = contests.len() > 1;
        let (folder, repository) = self.targets()?;
        if several && repository.is_some() {
            return Err(Failure::input(
                "--publish hf:…: takes the days of one contest; with several name a folder",
            ));
        }
        let watch = self.watch(&contests)?;
        let key = self.wallet.open(&self.chain)?;
        let store = Store::open(&self.data).map_err(environment)?;
        let node = self.chain.connect()?;
        let journal = RefCell::new(self.journal.open(&node, &key.account())?);

        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::Relaxed) {
                std::process::exit(Exit::Interrupted as i32);
            }
        })?;
        let shown = Arc::new(Mutex::new(Shown::default()));
        if !self.no_listen {
            let address = serve(self.listen, Arc::clone(&shown))
                .map_err(|error| Failure::input(format!("--listen {error}")))?;
            note(&format!("http://{address}/status, http://{address}/metrics"));
        }

        let mut own_clock = WallClock(Arc::clone(&stop));
        let days = self.data.join("days");
        let world =
            Shared { netuid: self.chain.netuid, node: &node, journal: &journal, key: &key, stop: &stop };
        let place = |contest: &Loaded| match several {
            true => self.data.join(&contest.contest.name),
            false => self.data.clone(),
        };
        let site = |contest: &Loaded| {
            let below =
                |folder: &PathBuf| if several { folder.join(&contest.contest.name) } else { folder.clone() };
            folder.as_ref().map(below)
        };
        let mut hands: Vec<Hands<'_>> =
            contests.iter().map(|contest| world.hands(contest, &place(contest), self.means())).collect();
        let mut joint_hands = world.joint_hands();
        let now_please = self.at != At::Noon;
        let mut group = if several {
            let (mut parts, mut until) = (Vec::new(), 0.0);
            for (contest, hands) in contests.iter().zip(&mut hands) {
                until += contest.share;
                let place = place(contest);
                let role = Role::Part { share: contest.share, until: f64::min(until, 1.0) };
                let settings = self.settings(contest, &place, site(contest), role);
                let store = Store::open(&place).map_err(environment)?;
                let name = contest.contest.name.clone();
                parts.push((
                    name,
                    Driver::begin(settings, store, hands.world(&key), now_please).map_err(ended)?,
                ));
            }
            let share = |c: &Loaded| Share { contest: c.contest.name.clone(), share: c.share };
            let shares = contests.iter().map(share).collect();
            let settings = Settings {
                netuid: self.chain.netuid,
                contest: String::new(),
                days: days.clone(),
                publish: folder.clone(),
                policy: Policy::default(),
                role: Role::Joint(shares),
            };
            let joint = Driver::begin(settings, store, joint_hands.world(&key), now_please).map_err(ended)?;
            Group::of(joint, parts)
        } else {
            let settings = self.settings(&contests[0], &self.data, folder.clone(), Role::Alone);
            let world = hands[0].world(&key);
            Group::alone(Driver::begin(settings, store, world, now_please).map_err(ended)?)
        };
        if self.at == At::Next {
            group.next_now().map_err(ended)?;
        }

        let keep =
            Keep { checkpoints_days: self.keep_checkpoints_days.0, answers_days: self.keep_answers_days.0 };
        let program = std::env::current_exe()?;
        let follow = |data: &Path, folder: Option<PathBuf>, repository: Option<String>| {
            SealedDays::new(program.clone(), data, folder, repository, keep, &Terminal)
        };
        let mut sealed_days = follow(&self.data, folder.clone(), repository);
        let mut of_contests: Vec<(String, SealedDays<'_>, Log)> = Vec::new();
        for contest in contests.iter().filter(|_| several) {
            let name = contest.contest.name.clone();
            let log = Log::new(self.log_json, Some(name.clone()));
            of_contests.push((name, follow(&place(contest), site(contest), None), log));
        }
        let (mut log, mut alarms) = (Log::new(self.log_json, None), Alarms::new(self.alarm_command.clone()));
        group
            .run(self.once, |status| {
                let now = own_clock.now();
                let mut said = sealed_days.tick(status, now);
                for (name, sealed_days, log) in &mut of_contests {
                    let Some(own) = status.contests.get(name) else { continue };
                    said.extend(sealed_days.tick(own, now).iter().map(|what| format!("{name}: {what}")));
                    log.on(own, now);
                }
                let mut status = status.clone();
                status.alarms.extend(not_published(&days));
                status.alarms.extend(served(&shown));
                see(watch.as_ref(), &mut status);
                // For `validator status`, which may be asked when this has long ended.
                let text = serde_json::to_string_pretty(&status).unwrap_or_default() + "\n";
                let _ = write_whole(&self.data.join(STATUS_FILE), text.as_bytes());
                log.on(&status, now);
                alarms.on(&status.alarms);
                let mut shown = shown.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                shown.status = text;
                shown.metrics = status.metrics(now);
                said
            })
            .map_err(ended)?;
        if self.once {
            let said =
                sealed_days.finish(|seconds| own_clock.sleep(seconds), || WallClock(Arc::default()).now());
            said.iter().try_for_each(|what| group.note(what)).map_err(ended)?;
            alarms.on(&not_published(&days));
        }
        sealed_days.stop();
        let state = group.head().state();
        match (&state.on_chain, self.once) {
            (Some(OnChain::NotSet { why }), true) => Err(Failure::error(Exit::No, why.clone())),
            (None, true) => match &state.trouble {
                Some(trouble) => Err(Failure::error(Exit::Chain, trouble.what.clone())),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Where days are measured.
    fn means(&self) -> Means {
        Means { device: self.device, lanes: self.lanes, fleet: self.fleet.words() }
    }

    /// Reads the workers of the fleet from now on, where one measures; refuses what it could not measure.
    #[cfg(feature = "fleet")]
    fn watch(&self, contests: &[Loaded]) -> anyhow::Result<Option<FleetWatch>> {
        if self.fleet.fleet.is_some() {
            for Loaded { contest, base, .. } in contests {
                edgemaxx_run::fleet::travels(contest, base)?;
            }
        }
        FleetWatch::begin(&self.fleet)
    }

    #[cfg(not(feature = "fleet"))]
    fn watch(&self, _: &[Loaded]) -> anyhow::Result<Option<()>> {
        match self.fleet.fleet {
            Some(_) => {
                Err(edgemaxx_run::left_out::left_out("edgemaxx validator run --fleet", "fleet").into())
            }
            None => Ok(None),
        }
    }

    /// The contests, checked; of several, each has a share and a fallback that its share goes to where it has no winner.
    fn contests(&self) -> anyhow::Result<Vec<Loaded>> {
        let several = self.contest.len() > 1;
        let mut contests = Vec::new();
        for Entry { file, share } in &self.contest {
            let shown = file.display();
            let text = read_text(file)?;
            let contest = contest_file::check(&text, self.chain.netuid).in_file(file)?;
            let path = std::fs::canonicalize(file).in_file(file)?;
            let base = path.parent().map(Path::to_owned).unwrap_or_default();
            let share = match (share, several) {
                (Some(share), _) => *share,
                (None, false) => 1.0,
                (None, true) => {
                    return Err(Failure::input(format!(
                        "--contest {shown}: several contests need a share each, such as {shown}=0.5"
                    )));
                }
            };
            if several && contest.rewards.fallback.is_none() {
                return Err(Failure::input(format!(
                    "{shown}: rewards.fallback: expected a hotkey: of several contests, each says where its share goes \
                     while it has no winner"
                )));
            }
            contests.push(Loaded { text, contest, base, share });
        }
        check_shares(contests.iter().map(|loaded| (loaded.contest.name.as_str(), loaded.share)))
            .or_else(|error| if several || contests[0].share != 1.0 { Err(error) } else { Ok(()) })
            .map_err(|error| Failure::input(format!("--contest: {error}")))?;
        Ok(contests)
    }

    /// What a contest's driver is told; `data` is its own folder.
    fn settings(&self, loaded: &Loaded, data: &Path, publish: Option<PathBuf>, role: Role) -> Settings {
        let usual = Policy::default();
        // Others wait for this one: it waits no longer while nobody is there than while somebody is.
        let prepare_for_s = match role {
            Role::Part { .. } => usual.wait_for_s,
            _ => usual.prepare_for_s,
        };
        Settings {
            netuid: self.chain.netuid,
            contest: loaded.text.clone(),
            days: data.join("days"),
            publish,
            policy: Policy {
                gone_for_s: 60 * i64::from(loaded.contest.gone_minutes),
                open_for_s: 60 * i64::from(loaded.contest.open_minutes),
                prepare_for_s,
                ..usual
            },
            role,
        }
    }
}

/// A contest as it was named, and its share of the weights.
#[derive(Debug, Clone)]
struct Entry {
    file: PathBuf,
    share: Option<f64>,
}

fn entry(text: &str) -> Result<Entry, String> {
    // A file may have any name; what ends in a number is a share.
    let share = text.rsplit_once('=').and_then(|(file, share)| Some((file, share.parse().ok()?)));
    Ok(match share {
        Some((file, share)) => Entry { file: file.into(), share: Some(share) },
        None => Entry { file: text.into(), share: None },
    })
}

/// A contest that was read.
struct Loaded {
    text: String,
    contest: Contest,
    /// Folder that its paths are relative to.
    base: PathBuf,
    share: f64,
}

/// What all contests share: one connection, one hotkey, one journal.
struct Shared<'a> {
    netuid: u16,
    node: &'a edgemaxx_chain::Chain,
    journal: &'a RefCell<Journal>,
    key: &'a Keypair,
    stop: &'a Arc<AtomicBool>,
}

/// What a contest has for itself.
struct Hands<'a, C = LocalCheckpoints, B = ChildBench<'a>> {
    clock: WallClock,
    chain: Subtensor<'a>,
    checkpoints: C,
    bench: B,
    pages: Rendered,
}

impl<'a> Shared<'a> {
    fn hands(&self, loaded: &Loaded, data: &Path, means: Means) -> Hands<'a> {
        let checkpoints = LocalCheckpoints::new(&loaded.base, &loaded.contest, &Terminal);
        let bench = ChildBench::new(&loaded.base, data, means, &Terminal);
        self.with(loaded.contest.name.clone(), checkpoints, bench)
    }

    /// Of all contests together, which measure nothing.
    fn joint_hands(&self) -> Hands<'a, Idle, Idle> {
        self.with(String::new(), Idle, Idle)
    }

    fn with<C, B>(&self, contest: String, checkpoints: C, bench: B) -> Hands<'a, C, B> {
        let Self { netuid, node, journal, key, stop } = *self;
        let chain = Subtensor { node, netuid, contest, key, journal, block: None };
        Hands { clock: WallClock(Arc::clone(stop)), chain, checkpoints, bench, pages: Rendered }
    }
}

impl<C: Checkpoints, B: Bench> Hands<'_, C, B> {
    fn world<'b>(&'b mut self, signer: &'b Keypair) -> World<'b> {
        World {
            clock: &mut self.clock,
            chain: &mut self.chain,
            checkpoints: &mut self.checkpoints,
            bench: &mut self.bench,
            pages: &mut self.pages,
            signer,
        }
    }
}

impl Run {
    /// The folder and the repository that days are published to.
    fn targets(&self) -> anyhow::Result<(Option<PathBuf>, Option<String>)> {
        let (mut folder, mut repository) = (None, None);
        for target in &self.publish {
            let before = match target {
                Target::Folder(path) => folder.replace(path.clone()).map(drop),
                Target::Hub(name) => repository.replace(name.clone()).map(drop),
            };
            if before.is_some() {
                return Err(Failure::input("--publish: expected one folder and one repository at most"));
            }
        }
        Ok((folder, repository))
    }
}

/// Puts the workers that were seen into a status.
#[cfg(feature = "fleet")]
fn see(watch: Option<&FleetWatch>, status: &mut Status) {
    let Some(watch) = watch else { return };
    let read = watch.read();
    status.alarms.extend(read.workers.iter().filter_map(Worker::alarm));
    status.alarms.extend(read.trouble);
    status.workers = read.workers;
}

#[cfg(not(feature = "fleet"))]
fn see(_: Option<&()>, _: &mut Status) {}

/// What went wrong with answering about the status.
fn served(shown: &Mutex<Shown>) -> Option<String> {
    shown.lock().unwrap_or_else(std::sync::PoisonError::into_inner).trouble.clone()
}

/// What ends a validator, with its exit code.
fn ended(error: DriverError) -> anyhow::Error {
    match error {
        DriverError::Store(error) => environment(error),
        DriverError::Publish(PublishError::Seal(error)) => {
            Failure::error(Exit::Environment, error.to_string())
        }
        other => Failure::error(Exit::Environment, other.to_string()),
    }
}

fn environment(error: StoreError) -> anyhow::Error {
    Failure::error(Exit::Environment, error.to_string())
}

impl StatusArgs {
    fn execute(&self) -> anyhow::Result<()> {
        if !self.data.join("validator.db").is_file() {
            return Err(Failure::input(format!(
                "{}: no validator has run here; name its folder with --data",
                self.data.display()
            )));
        }
        let store = Store::look(&self.data).map_err(environment)?;
        let running = Store::is_in_use(&self.data);
        let state = store.latest().map_err(environment)?.ok_or_else(|| {
            let runs = if running { "it is starting" } else { "no validator runs with this data" };
            let why = format!("{}: the validator has not begun a day; {runs}", self.data.display());
            Failure::error(Exit::No, why)
        })?;
        // What only the validator itself sees, it has left here.
        let left = std::fs::read_to_string(self.data.join(STATUS_FILE)).ok();
        let left = left.and_then(|text| serde_json::from_str::<Status>(&text).ok());
        let contact = left.as_ref().and_then(|left| left.contact);
        let mut status = Status { running, ..status_of(&state, &self.data, contact) };
        let mut contests = Vec::new();
        for Share { contest, .. } in &state.shares {
            let data = self.data.join(contest);
            let left = left.as_ref().and_then(|left| left.contests.get(contest));
            match Store::look(&data).and_then(|store| store.latest()) {
                Ok(Some(state)) => {
                    let contact = left.and_then(|left| left.contact);
                    contests.push((contest.clone(), status_of(&state, &data, contact)));
                }
                Ok(None) => status.alarms.push(format!("{contest}: it has not begun a day")),
                Err(error) => status.alarms.push(format!("{contest}: {error}")),
            }
        }
        let mut status = status.with(contests);
        status.alarms.extend(not_published(&self.data.join("days")));
        if status.running {
            status.workers = left.as_ref().map(|left| left.workers.clone()).unwrap_or_default();
            if left.is_none() {
                status.alarms.push(format!("{STATUS_FILE}: the validator has not said yet how it is doing"));
            }
            let more = left.into_iter().flat_map(|left| left.alarms);
            let more: Vec<_> = more.filter(|alarm| !status.alarms.contains(alarm)).collect();
            status.alarms.extend(more);
        } else {
            status.alarms.insert(0, "no validator runs with this data".to_owned());
        }
        if self.json {
            answer_json(&status)?;
        } else {
            let journal = store.journal(self.journal).map_err(environment)?;
            let mut lines =
                vec![format!("{} {} since {}", status.day, status.phase.name(), time(status.since))];
            if !status.running {
                lines.push("no validator runs with this data: this is where the last one stopped".to_owned());
            }
            lines.extend(status.contact.map(|contact| {
                format!("last contact with the chain: {}, block {}", time(contact.unix_s), contact.head)
            }));
            if let Some(weights) = &status.weights {
                lines.push(format!("weights of {}: {}", weights.day, weights.reason));
            }
            lines.extend(progress_line(&status));
            lines.extend(status.workers.iter().map(worker_line));
            for (name, contest) in &status.contests {
                lines.push(format!(
                    "contest {name}: {} {} since {}",
                    contest.day,
                    contest.phase.name(),
                    time(contest.since)
                ));
                lines.extend(
                    contest.weights.as_ref().map(|w| format!("  weights of {}: {}", w.day, w.reason)),
                );
                lines.extend(progress_line(contest).map(|line| format!("  {line}")));
                lines.extend(contest.trouble.iter().map(|what| format!("  trouble: {what}")));
            }
            lines.extend(status.trouble.iter().map(|what| format!("trouble: {what}")));
            lines.extend(
                journal.iter().map(|entry| {
                    format!("  {} {} {}: {}", time(entry.at), entry.day, entry.phase, entry.what)
                }),
            );
            answer_lines(&lines)?;
        }
        match status.alarms.is_empty() {
            true => Ok(()),
            false => Err(Failure::error(Exit::No, status.alarms.join("; "))),
        }
    }
}

fn time(unix_s: i64) -> String {
    jiff::Timestamp::from_second(unix_s).map_or("—".to_owned(), |time| time.to_string())
}

/// The status of the day whose memory lies in `data`, as far as a file tells it.
fn status_of(state: &State, data: &Path, contact: Option<Contact>) -> Status {
    let now = WallClock(Arc::default()).now();
    let measured = (state.phase == Phase::Measuring)
        .then(|| Follower::default().look(&data.join("days").join(state.day.to_string())));
    let seen = Seen { measured, contact, ..Seen::default() };
    Status::of(state, &seen, now, &Policy::default())
}

/// What a worker of a fleet does, for people.
fn worker_line(worker: &Worker) -> String {
    let Worker { name, card, sessions, pairs_per_minute, spool_bytes, seen_s, .. } = worker;
    let pace = worker.lane.map_or_else(String::new, |_| {
        format!(
            "; {sessions} sessions, {pairs_per_minute:.1} pairs a minute, spool {} KiB",
            spool_bytes.div_ceil(1024)
        )
    });
    format!("worker {name} ({card}): {}{pace}; seen {seen_s} s ago", worker.measures())
}

/// How far a measurement is, for people.
fn progress_line(status: &Status) -> Option<String> {
    let Progress { done, total, eliminated, left_s, ends } = status.progress?;
    let left = match (left_s, ends) {
        (Some(left), Some(ends)) => format!("about {} min left, until {}", (left + 59) / 60, time(ends)),
        _ => "no pace yet".to_owned(),
    };
    let all = status.submissions.candidates;
    Some(format!("{done} of {total} pairs, {eliminated} of {all} candidates out; {left}"))
}
