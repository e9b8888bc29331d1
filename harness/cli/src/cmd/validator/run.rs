//! `edgemaxx validator run`: collects, measures, publishes and sets weights, every day.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use edgemaxx_contract::joint::Share;
use edgemaxx_files::write_whole;
use edgemaxx_run::validator::{Means, SealedDays, WallClock, not_published};
use edgemaxx_validator::driver::{Driver, DriverError, Role, Settings};
use edgemaxx_validator::group::Group;
use edgemaxx_validator::housekeeping::Keep;
use edgemaxx_validator::policy::Policy;
use edgemaxx_validator::publish::PublishError;
use edgemaxx_validator::serve::{Shown, serve};
use edgemaxx_validator::state::OnChain;
use edgemaxx_validator::status::Status;
use edgemaxx_validator::store::Store;
use edgemaxx_validator::workers::Worker;
use edgemaxx_validator::world::Clock as _;

use super::contests::{Entry, Loaded, entry, load};
use super::hands::{Hands, Shared};
use super::{STATUS_FILE, environment};
use crate::chain_args::{ChainArgs, JournalArgs, WalletArgs};
use crate::cmd::on_fleet::OnFleet;
use crate::ctrl_c;
use crate::error::{Exit, Failure};
#[cfg(feature = "fleet")]
use crate::fleet_watch::FleetWatch;
use crate::progress::Terminal;
use crate::publish_target::Target;
use crate::terminal::{note, notes_as_json};
use crate::validator_log::{Alarms, Log};

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
pub(super) struct Run {
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

impl Run {
    pub(super) fn execute(&self) -> anyhow::Result<()> {
        if self.log_json {
            notes_as_json();
        }
        if self.at == At::Next && !self.once {
            return Err(Failure::input("--at next: begins a day in advance each time; it needs --once"));
        }
        let contests = load(&self.contest, self.chain.netuid)?;
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

        let stop = ctrl_c::asked("what is being done");
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
