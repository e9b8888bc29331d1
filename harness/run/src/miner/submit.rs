//! A submission, step by step: the checkpoint made ready, measured, sealed, published, committed, read back.
//!
//! Every step may be repeated: what is sealed, published or committed already is found and said.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use edgemaxx_chain::commitment::{
    Commitment, CommitmentError, EngineKind, Opening, Provider, Revision, Sealed, Submission,
};
use edgemaxx_chain::{Chain, ChainError, Journal, Landed, SubmitOptions};
use edgemaxx_contract::contest::Entrant;
use edgemaxx_contract::ranking::Standing;
use edgemaxx_contract::sealed_claim::{Salt, sealed};
use edgemaxx_hub::{Source, Upload};
use edgemaxx_seal::{AccountId, Keypair};

use super::{Checked, Seals, Step, bench, check, check_resolved, optimize};
use crate::error::{Class, InFile as _, Result, RunError};
use crate::hub;
use crate::progress::Observer;

/// How often the chain is asked while it makes a hotkey wait: half a block.
const ASK_EVERY: Duration = Duration::from_secs(6);

/// A checkpoint that can be submitted.
pub struct Ready {
    /// Its folder on this machine.
    pub folder: PathBuf,
    /// What was found in it.
    pub checked: Checked,
    /// The commit it has on the hub, where it is published already.
    pub revision: Option<String>,
}

impl Ready {
    /// A checkpoint that is published already, fetched and checked.
    ///
    /// # Errors
    /// The hub has it not, or it is no checkpoint.
    pub fn published(repository: &str, revision: Option<&str>, observer: &dyn Observer) -> Result<Self> {
        let source = Source::Hub { repository: repository.to_owned(), revision: revision.map(str::to_owned) };
        // Written and read again: what is typed is held to what a contest may name.
        let resolved = hub::fetch(&source.to_string().parse()?, observer)?;
        let checked = check_resolved(&resolved)?;
        Ok(Self { folder: resolved.root, checked, revision: resolved.revision })
    }

    /// A folder on this machine, after the recipes that are named; these go to `to`, or beside `from`.
    ///
    /// # Errors
    /// It is no checkpoint, or a recipe does not fit.
    pub fn folder(from: &Path, recipes: &[Step], to: Option<&Path>, observer: &dyn Observer) -> Result<Self> {
        let checked = check(from)?;
        if recipes.is_empty() {
            return Ok(Self { folder: from.to_owned(), checked, revision: None });
        }
        let beside = || {
            let name = from.file_name().unwrap_or_default().to_string_lossy();
            from.with_file_name(format!("{name}-optimized"))
        };
        let folder = to.map_or_else(beside, Path::to_owned);
        optimize(recipes, from, &folder, observer)?;
        observer.note(&format!("optimised checkpoint: {}", folder.display()));
        Ok(Self { checked: check(&folder)?, folder, revision: None })
    }

    /// Measures it against the baseline of `contest`.
    ///
    /// # Errors
    /// It is not proven faster at equal quality and not wanted `anyway`, or those of [`bench()`].
    pub fn measure(&self, contest: &Path, quick: bool, anyway: bool, observer: &dyn Observer) -> Result<()> {
        let path = self.folder.canonicalize().in_file(&self.folder)?;
        let checkpoint = Some(path.display().to_string());
        let mine = Entrant { name: "mine".to_owned(), checkpoint, ..Entrant::default() };
        let out = crate::error::scratch()?.keep();
        let ranking = bench(contest, &[mine], quick, &out, observer)?.ranking;
        let entry = ranking.entries.iter().find(|entry| entry.name == "mine");
        let standing = entry.map(|entry| entry.standing);
        if standing == Some(Standing::Accepted) {
            observer.note(&format!("measured: {}", ranking.verdict));
            return Ok(());
        }
        let why = entry.map(|entry| entry.reasons.join("; ")).unwrap_or_default();
        let text = format!("not proven faster at equal quality: {why}; the run is in {}", out.display());
        if anyway {
            observer.note(&format!("warning: {text}"));
            return Ok(());
        }
        let class = if standing == Some(Standing::Failed) { Class::Engine } else { Class::No };
        Err(RunError::of(class, format!("{text}; publish it with --anyway, or measure without --quick")))
    }

    /// Publishes it on the hub; its revision there.
    ///
    /// # Errors
    /// The hub refuses it, or cannot be reached.
    pub fn publish(
        &self,
        repository: &str,
        message: &str,
        private: bool,
        observer: &dyn Observer,
    ) -> Result<String> {
        let published =
            hub::publish(&Upload { repository, folder: &self.folder, message, private }, observer)?;
        let how = if published.already { "is published already" } else { "published" };
        observer.note(&format!("{} {how} at {}", published.repository, published.revision));
        Ok(published.revision)
    }
}

/// What is entered where.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Name of the contest.
    pub contest: &'a str,
    /// Repository on the hub.
    pub repository: &'a str,
    /// Whether the checkpoint brings its own engine.
    pub own_engine: bool,
}

impl Entry<'_> {
    /// What is committed of it.
    pub fn submission(&self, revision: Revision, opens: Option<Opening>) -> Submission {
        Submission {
            contest: self.contest.to_owned(),
            provider: Provider::HuggingFace,
            repository: self.repository.to_owned(),
            revision,
            engine: if self.own_engine { EngineKind::Command } else { EngineKind::Native },
            opens,
        }
    }

    /// Whether a commitment holds it, before there is a revision: the hub's is as long as git's shorter one.
    ///
    /// # Errors
    /// Its names are no names, or too long.
    pub fn fits(&self, sealed: bool) -> std::result::Result<(), CommitmentError> {
        let opens = sealed.then_some(Opening { block: 0, salt: Salt([0; 16]) });
        self.submission(Revision::Sha1([0; 20]), opens).to_bytes().map(|_| ())
    }
}

/// A hotkey that is registered on a subnet.
pub struct Miner<'a> {
    /// The chain.
    pub chain: &'a Chain,
    /// The subnet.
    pub netuid: u16,
    /// The hotkey.
    pub hotkey: AccountId,
    /// The neuron it has there.
    pub uid: u16,
}

impl<'a> Miner<'a> {
    /// The neuron of `hotkey`.
    ///
    /// # Errors
    /// It has none on this subnet, or the chain does not answer.
    pub fn registered(chain: &'a Chain, netuid: u16, hotkey: AccountId) -> Result<Self> {
        let metagraph = chain.metagraph(&chain.pin()?, netuid)?;
        let uid = metagraph.by_hotkey(&hotkey).map(|neuron| neuron.uid).ok_or_else(|| {
            let text = "register it with `btcli subnets register`";
            RunError::of(Class::Chain, format!("{hotkey} is not registered on netuid {netuid}: {text}"))
        })?;
        Ok(Self { chain, netuid, hotkey, uid })
    }

    /// Says when the chain would refuse a commitment now.
    ///
    /// # Errors
    /// It would, and from which block on it takes one.
    pub fn may_commit(&self) -> Result<()> {
        match self.chain.commits_from(&self.chain.pin()?, self.netuid, &self.hotkey)? {
            Some(from) => Err(RunError::of(Class::Chain, self.too_early(from)?)),
            None => Ok(()),
        }
    }

    /// How the seal of a checkpoint is opened, where it stands on the chain already.
    pub fn opening(&self, seals: &Seals, contest: &str, checked: &Checked) -> Option<Opening> {
        let kept = seals.find(self.netuid, contest, &checked.digest)?;
        Some(Opening { block: kept.block?, salt: kept.salt })
    }

    /// Commits the seal of a checkpoint; its salt is kept in `seals` before anybody sees it.
    ///
    /// # Errors
    /// The chain refuses it, or it cannot be kept.
    pub fn seal(
        &self,
        seals: &mut Seals,
        contest: &str,
        checked: &Checked,
        key: &Keypair,
        journal: &mut Journal,
    ) -> Result<Opening> {
        let kept = seals.find_or_make(self.netuid, contest, checked.digest)?;
        let digest = sealed(&self.hotkey.to_ss58(), &checked.digest, &kept.salt);
        let bytes = Sealed { contest: contest.to_owned(), digest }.to_bytes().map_err(ChainError::from)?;
        let landed =
            self.chain.set_commitment(self.netuid, &bytes, key, journal, &SubmitOptions::default())?;
        let block = u32::try_from(landed.block).map_err(|_| {
            RunError::of(Class::Chain, format!("the chain says block {}, which is none", landed.block))
        })?;
        seals.stands(&kept, block)?;
        Ok(Opening { block, salt: kept.salt })
    }

    /// Waits until the chain takes the next commitment, or holds this one already.
    ///
    /// # Errors
    /// It makes the hotkey wait, and `no_wait`.
    pub fn wait(&self, submission: &Submission, no_wait: bool, observer: &dyn Observer) -> Result<()> {
        let mut said = false;
        loop {
            let pin = self.chain.pin()?;
            let standing = self.chain.commitment_of(&pin, self.netuid, &self.hotkey)?;
            if standing.is_some_and(|(meaning, _)| meaning == Commitment::Submission(submission.clone())) {
                return Ok(());
            }
            let Some(from) = self.chain.commits_from(&pin, self.netuid, &self.hotkey)? else { return Ok(()) };
            let text = self.too_early(from)?;
            if no_wait {
                let text = format!("{text}; what is sealed and published stays so");
                return Err(RunError::of(Class::Chain, text));
            }
            if !said {
                observer.note(&format!("{text}; waiting"));
                said = true;
            }
            sleep(ASK_EVERY);
        }
    }

    /// Commits, waits for finality, and looks as a validator looks.
    ///
    /// # Errors
    /// The chain refuses it, or validators see something else.
    pub fn commit(
        &self,
        submission: &Submission,
        key: &Keypair,
        journal: &mut Journal,
        observer: &dyn Observer,
    ) -> Result<Landed> {
        let bytes = submission.to_bytes().map_err(ChainError::from)?;
        let landed =
            self.chain.set_commitment(self.netuid, &bytes, key, journal, &SubmitOptions::default())?;
        let pin = self.chain.pin()?;
        let all = self.chain.commitments(&pin, self.netuid)?;
        match all.into_iter().find(|commitment| commitment.hotkey == self.hotkey) {
            Some(seen) if seen.meaning == Commitment::Submission(submission.clone()) => {
                let uid = seen.uid.map_or("—".to_owned(), |uid| uid.to_string());
                observer
                    .note(&format!("validators see at block {}: uid {uid}  {}", pin.number, seen.meaning));
                Ok(landed)
            }
            other => Err(RunError::of(
                Class::Chain,
                format!(
                    "committed in block {}, but validators see {other:?}; look with `edgemaxx miner status`",
                    landed.block
                ),
            )),
        }
    }

    /// From when on the chain takes the next commitment, in words.
    fn too_early(&self, from: u64) -> Result<String> {
        let left = from.saturating_sub(self.chain.pin()?.number);
        Ok(format!(
            "the chain takes this hotkey's next commitment from block {from} on, in {left} blocks (about {} min)",
            (left * 12).div_ceil(60)
        ))
    }
}
