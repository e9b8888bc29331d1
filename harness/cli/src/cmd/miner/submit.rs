//! `edgemaxx miner submit`: check, optimise, measure, seal, publish, open, read back.

use std::path::PathBuf;

use edgemaxx_chain::commitment::{Commitment, Opening, Submission};
use edgemaxx_chain::{Chain, Landed};
use edgemaxx_contract::contest::Contest;
use edgemaxx_contract::digest::hex;
use edgemaxx_run::miner::{Checked, Entry, Miner, Ready, Seals, Step};
use edgemaxx_run::text_file::read_text;
use edgemaxx_seal::Keypair;
use serde::Serialize;

use crate::chain_args::{ChainArgs, JournalArgs, WalletArgs};
use crate::error::{Failure, InFile as _};
use crate::progress::Terminal;
use crate::terminal::{answer_json, answer_lines, note};

/// Publishes a checkpoint on the hub and commits its exact revision on chain.
///
/// First a seal is committed, of the checkpoint, this hotkey and a salt, which tells nobody what it is of; when it is final,
/// the checkpoint is published and the seal opened. Whoever copies what he then sees comes later than the seal.
///
/// Everything that can fail cheaply is checked first: the checkpoint, the commitment's length, the wallet, the
/// registration. Repeating the command is safe: what is published is not sent again, what is committed not twice.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  edgemaxx miner submit --from models/mine --repository me/fast-sdxl --contest sdxl-4090 --dry-run
  edgemaxx miner submit --from models/mine --repository me/fast-sdxl --contest sdxl-4090 \\
      --netuid 39 --wallet.name miner --wallet.hotkey hot
  edgemaxx miner submit --from models/base --optimize bf16,steps=10 --bench contest.toml --repository me/fast-sdxl
  edgemaxx miner submit --from models/mine --repository me/fast-sdxl --contest sdxl-4090 --seal-only
                                                        before noon; the same without it after noon publishes and opens
  edgemaxx miner submit --repository me/fast-sdxl --revision 0f3c… --contest sdxl-4090    published already

The hub is set up by HF_TOKEN, HF_HOME and HF_ENDPOINT, as for Hugging Face's own tools.
Exit codes: 0 done · 1 measured, and no winner · 2 bad input · 4 the candidate failed · 5 chain or hub failed")]
pub(crate) struct Args {
    /// Repository on the hub.
    #[arg(long, value_name = "OWNER/NAME")]
    repository: String,
    /// Checkpoint to publish (diffusers layout, or with an edgemaxx.toml that names an engine).
    #[arg(long, value_name = "DIR", required_unless_present = "revision")]
    from: Option<PathBuf>,
    /// Commit this published revision; nothing is uploaded.
    #[arg(long, value_name = "COMMIT", conflicts_with = "from")]
    revision: Option<String>,
    /// Name of the contest to enter [default: that of --bench].
    #[arg(long, value_name = "NAME", required_unless_present = "bench")]
    contest: Option<String>,
    /// Recipes to apply first; see `edgemaxx miner optimize --help`.
    #[arg(long, value_name = "RECIPE,…", value_delimiter = ',', requires = "from")]
    optimize: Vec<Step>,
    /// Folder for the optimised checkpoint [default: beside --from].
    #[arg(long, value_name = "DIR", requires = "optimize")]
    to: Option<PathBuf>,
    /// Publish the checkpoint as it is (the default; for scripts of other miners).
    #[arg(long, conflicts_with = "optimize")]
    no_optimizations: bool,
    /// Measure it against this contest's baseline first; a loser is not published.
    #[arg(long, value_name = "CONTEST.toml")]
    bench: Option<PathBuf>,
    /// With --bench: fewer sessions and pairs.
    #[arg(long, requires = "bench")]
    quick: bool,
    /// With --bench: publish even what is not proven faster.
    #[arg(long, requires = "bench")]
    anyway: bool,
    /// Message of the commit on the hub.
    #[arg(long, value_name = "TEXT", default_value = "EdgeMaxx submission")]
    commit_message: String,
    /// Make a new repository private: validators cannot read it until it is public.
    #[arg(long)]
    private: bool,
    /// Commit the seal and stop; the same command without this publishes and opens it, until as long after noon as the
    /// contest allows.
    #[arg(long, requires = "from", conflicts_with_all = ["in_the_open", "no_commit"])]
    seal_only: bool,
    /// Commit without a seal: whoever sees the repository before the commitment is final can be first.
    #[arg(long)]
    in_the_open: bool,
    /// Where the chain makes this hotkey wait between two commitments, end instead of waiting; repeat the command later.
    #[arg(long)]
    no_wait: bool,
    /// Publish, but do not commit on chain.
    #[arg(long)]
    no_commit: bool,
    /// Check everything and show what would be done; publish and sign nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    chain: ChainArgs,
    #[command(flatten)]
    wallet: WalletArgs,
    #[command(flatten)]
    journal: JournalArgs,
}

#[derive(Serialize)]
struct Answer {
    checked: Checked,
    /// What was, or would be, committed; the revision is unknown before it is published.
    submission: Option<Submission>,
    commitment: Option<String>,
    landed: Option<Landed>,
    /// The block of the seal.
    sealed: Option<u32>,
    uid: Option<u16>,
}

impl Args {
    pub(crate) fn execute(&self) -> anyhow::Result<()> {
        let contest = self.contest_name()?;
        let entry = |own_engine| Entry { contest: &contest, repository: &self.repository, own_engine };
        entry(false).fits(!self.in_the_open)?;
        let ready = match &self.from {
            Some(from) => Ready::folder(from, &self.optimize, self.to.as_deref(), &Terminal)?,
            None => Ready::published(&self.repository, self.revision.as_deref(), &Terminal)?,
        };
        // Without a wallet nobody's uid can be told, and all else still can.
        let missing = self.wallet.missing().filter(|_| self.dry_run && !self.no_commit);
        if let Some(missing) = &missing {
            note(&format!("{missing}: whether its hotkey is registered is not known"));
        }
        let key = self.key(missing.is_some())?;
        let chain = if self.no_commit || missing.is_some() { None } else { Some(self.chain.connect()?) };
        let miner = chain.as_ref().map(|chain| self.miner(chain, key.as_ref())).transpose()?;
        if let Some(contest) = &self.bench {
            ready.measure(contest, self.quick, self.anyway, &Terminal)?;
        }
        let signer = miner.as_ref().zip(key.as_ref());
        let opens = signer.map(|(miner, key)| self.seal(miner, key, &contest, &ready)).transpose()?.flatten();
        let revision = match &ready.revision {
            Some(revision) => Some(revision.clone()),
            None if self.dry_run || self.seal_only => None,
            None => Some(ready.publish(&self.repository, &self.commit_message, self.private, &Terminal)?),
        };
        let submission = revision
            .map(|revision| anyhow::Ok(entry(ready.checked.own_engine).submission(revision.parse()?, opens)))
            .transpose()?;
        let landed = match (signer, &submission) {
            (Some((miner, key)), Some(submission)) => {
                miner.wait(submission, self.no_wait, &Terminal)?;
                let mut journal = self.journal.open(miner.chain, &miner.hotkey)?;
                Some(miner.commit(submission, key, &mut journal, &Terminal)?)
            }
            _ => None,
        };
        self.tell(&Answer {
            commitment: submission.as_ref().map(|s| s.to_bytes()).transpose()?.map(|bytes| hex(&bytes)),
            submission,
            landed,
            sealed: opens.map(|opens| opens.block),
            uid: miner.map(|miner| miner.uid),
            checked: ready.checked,
        })
    }

    fn contest_name(&self) -> anyhow::Result<String> {
        let named = self.bench.as_deref().map(|path| -> anyhow::Result<String> {
            Ok(Contest::parse(&read_text(path)?).in_file(path)?.name)
        });
        let named = named.transpose()?;
        match (&self.contest, named) {
            (Some(name), Some(other)) if *name != other => Err(Failure::input(format!(
                "--contest {name}, but --bench is of contest {other}; name the same"
            ))),
            (Some(name), _) => Ok(name.clone()),
            (None, name) => name.ok_or_else(|| Failure::input("name the contest with --contest")),
        }
    }

    /// What signs; in a dry run nothing does, and it is only looked at.
    fn key(&self, missing: bool) -> anyhow::Result<Option<Keypair>> {
        if self.no_commit || missing {
            return Ok(None);
        }
        if self.dry_run {
            return self.wallet.look(&self.chain).map(|()| None);
        }
        self.wallet.open(&self.chain).map(Some)
    }

    fn miner<'a>(&self, chain: &'a Chain, key: Option<&Keypair>) -> anyhow::Result<Miner<'a>> {
        let hotkey = match key {
            Some(key) => key.account(),
            None => self.wallet.address(&self.chain)?,
        };
        Ok(Miner::registered(chain, self.chain.netuid, hotkey)?)
    }

    /// Commits the seal of a checkpoint, once; how it is opened. `None`: nothing is to be sealed.
    fn seal(
        &self,
        miner: &Miner<'_>,
        key: &Keypair,
        contest: &str,
        ready: &Ready,
    ) -> anyhow::Result<Option<Opening>> {
        let mut seals = Seals::open(&self.journal.file(miner.chain, &miner.hotkey, "seals.json")?)?;
        if let (Some(opens), false) = (miner.opening(&seals, contest, &ready.checked), self.in_the_open) {
            note(&format!("sealed already, in block {}", opens.block));
            return Ok(Some(opens));
        }
        // Said before anything is published: the chain would refuse it afterwards.
        miner.may_commit()?;
        if self.in_the_open || ready.revision.is_some() {
            note("committed without a seal: whoever saw the repository before may have been first");
            return Ok(None);
        }
        let mut journal = self.journal.open(miner.chain, &miner.hotkey)?;
        let opens = miner.seal(&mut seals, contest, &ready.checked, key, &mut journal)?;
        let block = opens.block;
        note(&format!("sealed in block {block}: nobody who sees the checkpoint from now on can be earlier"));
        Ok(Some(opens))
    }

    fn tell(&self, result: &Answer) -> anyhow::Result<()> {
        if self.json {
            return answer_json(result);
        }
        let mut lines = vec![format!(
            "checkpoint: {} files, {} bytes{}",
            result.checked.files,
            result.checked.bytes,
            if result.checked.own_engine { ", with its own engine" } else { "" }
        )];
        if !result.checked.left_out.is_empty() {
            lines.push(format!("left out: {}", result.checked.left_out.join(", ")));
        }
        match &result.submission {
            Some(s) => lines.push(format!("entry: {}", Commitment::Submission(s.clone()))),
            None if self.seal_only => lines.push(format!(
                "sealed in block {}; nothing is published: repeat the command without --seal-only to open it",
                result.sealed.map_or("—".to_owned(), |block| block.to_string())
            )),
            None => {
                lines.push(format!("entry: hf:{} at the revision that publishing gives", self.repository))
            }
        }
        if let Some(bytes) = &result.commitment {
            lines.push(format!("commitment: 0x{bytes}"));
        }
        lines.push(match &result.landed {
            Some(landed) if landed.already => format!("committed already, in block {}", landed.block),
            Some(landed) => format!("committed in block {}", landed.block),
            None if self.dry_run => "dry run: nothing was published or signed".to_owned(),
            None if self.seal_only => "the entry is committed when the seal is opened".to_owned(),
            None => "not committed (--no-commit)".to_owned(),
        });
        answer_lines(&lines)
    }
}
