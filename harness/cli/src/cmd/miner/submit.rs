//! `edgemaxx miner submit`: check, optimise, measure, seal, publish, open, read back.

use std::path::PathBuf;

use edgemaxx_chain::commitment::{Commitment, EngineKind, Opening, Provider, Revision, Sealed, Submission};
use edgemaxx_chain::{Chain, Landed};
use edgemaxx_contract::claim::{Salt, sealed};
use edgemaxx_contract::contest::{Contest, Entrant};
use edgemaxx_contract::digest::hex;
use edgemaxx_contract::ranking::Standing;
use edgemaxx_hub::{Source, Upload};
use edgemaxx_run::hub;
use edgemaxx_run::miner::{Checked, Seals, Step, bench, check, check_resolved, optimize};
use edgemaxx_run::resolve::read_text;
use edgemaxx_seal::{AccountId, Keypair};
use serde::Serialize;

use crate::error::{Exit, Failure, InFile as _};
use crate::progress::Terminal;
use crate::subtensor::{ChainArgs, JournalArgs, WalletArgs, meaning, submit_options};
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

/// Chain, signer and uid, once all of them are known to be good.
struct Signer {
    chain: Chain,
    hotkey: AccountId,
    key: Option<Keypair>,
    uid: u16,
}

impl Args {
    pub(crate) fn execute(&self) -> anyhow::Result<()> {
        let contest = self.contest_name()?;
        // Both revisions of git's two kinds fit if the longer fits; the hub's is the shorter.
        let longest = self.submission(&contest, "0".repeat(40).parse()?, false);
        let opens = (!self.in_the_open).then_some(Opening { block: 0, salt: Salt([0; 16]) });
        Submission { opens, ..longest }.to_bytes()?;
        let (folder, checked, known) = self.checkpoint()?;
        // Without a wallet nobody's uid can be told, and all else still can.
        let missing = self.wallet.missing().filter(|_| self.dry_run && !self.no_commit);
        if let Some(missing) = &missing {
            note(&format!("{missing}: whether its hotkey is registered is not known"));
        }
        let signer = if self.no_commit || missing.is_some() { None } else { Some(self.signer()?) };
        if let Some(contest) = &self.bench {
            self.measure(contest, &folder)?;
        }
        let opens = match &signer {
            Some(signer) if !self.dry_run => self.seal(signer, &contest, &checked, known.is_some())?,
            _ => None,
        };
        let revision = match known {
            Some(revision) => Some(revision),
            None if self.dry_run || self.seal_only => None,
            None => Some(self.publish(&folder)?),
        };
        let own = checked.own_engine;
        let submission = revision
            .map(|r| {
                let submission = self.submission(&contest, r.parse()?, own);
                Ok::<_, anyhow::Error>(Submission { opens, ..submission })
            })
            .transpose()?;
        let mut result = Answer {
            checked,
            commitment: submission.as_ref().map(|s| s.to_bytes()).transpose()?.map(|bytes| hex(&bytes)),
            submission,
            landed: None,
            sealed: opens.map(|opens| opens.block),
            uid: signer.as_ref().map(|s| s.uid),
        };
        if let (Some(signer), Some(submission), false) = (&signer, &result.submission, self.dry_run) {
            result.landed = Some(self.commit(signer, submission)?);
        }
        self.tell(&result)
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

    fn submission(&self, contest: &str, revision: Revision, own_engine: bool) -> Submission {
        Submission {
            contest: contest.to_owned(),
            provider: Provider::HuggingFace,
            repository: self.repository.clone(),
            revision,
            engine: if own_engine { EngineKind::Command } else { EngineKind::Native },
            opens: None,
        }
    }

    /// The checkpoint's folder, checked, and its revision where it is published already.
    fn checkpoint(&self) -> anyhow::Result<(PathBuf, Checked, Option<String>)> {
        let Some(from) = &self.from else {
            let revision = self.revision.clone();
            let source: Source =
                Source::Hub { repository: self.repository.clone(), revision }.to_string().parse()?;
            let resolved = hub::fetch(&source, &Terminal)?;
            let checked = check_resolved(&resolved)?;
            return Ok((resolved.root, checked, resolved.revision));
        };
        if self.optimize.is_empty() {
            return Ok((from.clone(), check(from)?, None));
        }
        check(from)?;
        let to = self.to.clone().unwrap_or_else(|| {
            let name = from.file_name().unwrap_or_default().to_string_lossy();
            from.with_file_name(format!("{name}-optimized"))
        });
        optimize(&self.optimize, from, &to, &Terminal)?;
        note(&format!("optimised checkpoint: {}", to.display()));
        let checked = check(&to)?;
        Ok((to, checked, None))
    }

    fn signer(&self) -> anyhow::Result<Signer> {
        let key = (!self.dry_run).then(|| self.wallet.open(&self.chain)).transpose()?;
        let hotkey = match &key {
            Some(key) => key.account(),
            None => self.wallet.address(&self.chain)?,
        };
        let chain = self.chain.connect()?;
        let pin = self.chain.pin(&chain)?;
        let metagraph = chain.metagraph(&pin, self.chain.netuid)?;
        let uid = metagraph.by_hotkey(&hotkey).map(|n| n.uid).ok_or_else(|| {
            Failure::error(
                Exit::Chain,
                format!(
                    "{hotkey} is not registered on netuid {}: register it with `btcli subnets register`",
                    self.chain.netuid
                ),
            )
        })?;
        Ok(Signer { chain, hotkey, key, uid })
    }

    /// Commits the seal of a checkpoint, once; how it is opened. `None`: nothing is to be sealed.
    fn seal(
        &self,
        signer: &Signer,
        contest: &str,
        checked: &Checked,
        published: bool,
    ) -> anyhow::Result<Option<Opening>> {
        let (chain, netuid) = (&signer.chain, self.chain.netuid);
        let mut seals = Seals::open(&self.journal.file(chain, &signer.hotkey, "seals.json")?)?;
        let known =
            seals.find(netuid, contest, &checked.digest).and_then(|kept| Some((kept.block?, kept.salt)));
        if let (Some((block, salt)), false) = (known, self.in_the_open) {
            note(&format!("sealed already, in block {block}"));
            return Ok(Some(Opening { block, salt }));
        }
        // Said before anything is published: the chain would refuse it afterwards.
        if let Some(from) = chain.commits_from(&self.chain.pin(chain)?, netuid, &signer.hotkey)? {
            return Err(Failure::error(Exit::Chain, too_early(chain, from)?));
        }
        if self.in_the_open || published {
            note("committed without a seal: whoever saw the repository before may have been first");
            return Ok(None);
        }
        let Some(key) = &signer.key else { return Ok(None) };
        let kept = seals.find_or_make(netuid, contest, checked.digest)?;
        let digest = sealed(&signer.hotkey.to_ss58(), &checked.digest, &kept.salt);
        let bytes = Sealed { contest: contest.to_owned(), digest }.to_bytes()?;
        let mut journal = self.journal.open(chain, &signer.hotkey)?;
        let landed = chain.set_commitment(netuid, &bytes, key, &mut journal, &submit_options())?;
        let block = u32::try_from(landed.block)?;
        seals.stands(&kept, block)?;
        note(&format!("sealed in block {block}: nobody who sees the checkpoint from now on can be earlier"));
        Ok(Some(Opening { block, salt: kept.salt }))
    }

    /// Waits for the block from which on the chain takes the next commitment; says so, or ends.
    fn wait(&self, signer: &Signer, submission: &Submission) -> anyhow::Result<()> {
        let (chain, netuid) = (&signer.chain, self.chain.netuid);
        let mut said = false;
        loop {
            let pin = self.chain.pin(chain)?;
            let standing = chain.commitment_of(&pin, netuid, &signer.hotkey)?;
            if standing.is_some_and(|(meaning, _)| meaning == Commitment::Submission(submission.clone())) {
                return Ok(());
            }
            let Some(from) = chain.commits_from(&pin, netuid, &signer.hotkey)? else { return Ok(()) };
            if self.no_wait {
                return Err(Failure::error(
                    Exit::Chain,
                    format!("{}; what is sealed and published stays so", too_early(chain, from)?),
                ));
            }
            if !said {
                note(&format!("{}; waiting", too_early(chain, from)?));
                said = true;
            }
            std::thread::sleep(std::time::Duration::from_secs(6));
        }
    }

    fn measure(&self, contest: &std::path::Path, folder: &std::path::Path) -> anyhow::Result<()> {
        let path = folder.canonicalize().in_file(folder)?;
        let checkpoint = Some(path.display().to_string());
        let mine = Entrant { name: "mine".to_owned(), checkpoint, ..Entrant::default() };
        let out = tempfile::Builder::new().prefix("bench-").tempdir()?.keep();
        let ranking = bench(contest, &[mine], self.quick, &out, &Terminal)?.ranking;
        let entry = ranking.entries.iter().find(|e| e.name == "mine");
        let standing = entry.map(|e| e.standing);
        if standing == Some(Standing::Accepted) {
            note(&format!("measured: {}", ranking.verdict));
            return Ok(());
        }
        let why = entry.map(|e| e.reasons.join("; ")).unwrap_or_default();
        let text = format!("not proven faster at equal quality: {why}; the run is in {}", out.display());
        if self.anyway {
            note(&format!("warning: {text}"));
            return Ok(());
        }
        let exit = if standing == Some(Standing::Failed) { Exit::Engine } else { Exit::No };
        Err(Failure::error(exit, format!("{text}; publish it with --anyway, or measure without --quick")))
    }

    fn publish(&self, folder: &std::path::Path) -> anyhow::Result<String> {
        let published = hub::publish(
            &Upload {
                repository: &self.repository,
                folder,
                message: &self.commit_message,
                private: self.private,
            },
            &Terminal,
        )?;
        let how = if published.already { "is published already" } else { "published" };
        note(&format!("{} {how} at {}", published.repository, published.revision));
        Ok(published.revision)
    }

    /// Commit, wait for finality, and look as a validator looks.
    fn commit(&self, signer: &Signer, submission: &Submission) -> anyhow::Result<Landed> {
        let Some(key) = &signer.key else { return Err(Failure::input("nothing is signed in a dry run")) };
        self.wait(signer, submission)?;
        let mut journal = self.journal.open(&signer.chain, &signer.hotkey)?;
        let bytes = submission.to_bytes()?;
        let netuid = self.chain.netuid;
        let landed = signer.chain.set_commitment(netuid, &bytes, key, &mut journal, &submit_options())?;
        let pin = self.chain.pin(&signer.chain)?;
        let seen = signer.chain.commitments(&pin, netuid)?.into_iter().find(|c| c.hotkey == signer.hotkey);
        match seen {
            Some(seen) if seen.meaning == Commitment::Submission(submission.clone()) => {
                note(&format!(
                    "validators see at block {}: uid {}  {}",
                    pin.number,
                    seen.uid.map_or("—".to_owned(), |uid| uid.to_string()),
                    meaning(&seen.meaning)
                ));
                Ok(landed)
            }
            other => Err(Failure::error(
                Exit::Chain,
                format!(
                    "committed in block {}, but validators see {other:?}; look with `edgemaxx miner status`",
                    landed.block
                ),
            )),
        }
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
            Some(s) => lines.push(format!("entry: {}", meaning(&Commitment::Submission(s.clone())))),
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

/// From when on the chain takes the next commitment, in words.
fn too_early(chain: &Chain, from: u64) -> anyhow::Result<String> {
    let left = from.saturating_sub(chain.pin()?.number);
    Ok(format!(
        "the chain takes this hotkey's next commitment from block {from} on, in {left} blocks (about {} min)",
        (left * 12).div_ceil(60)
    ))
}
