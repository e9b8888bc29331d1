//! Submitting so that nothing happens twice and nothing is lost: one signed extrinsic with an explicit nonce and
//! a short life is journalled first; whatever happens then, the finalised chain is asked what became of it.

use std::time::Duration;

use edgemaxx_seal::{AccountId, Keypair};
use serde::Serialize;
use subxt::SubstrateConfig;
use subxt::config::DefaultExtrinsicParamsBuilder;
use subxt::error::{BackendError, DispatchError, ExtrinsicError, RpcError};
use subxt::transactions::{Signer, TransactionStatus};
use subxt::utils::{AccountId32, MultiSignature};

use super::call::Call;
use super::connection::{At, Chain, Link};
use super::journal::{Attempt, Journal, Outcome};
use super::pin::head;
use super::{advice, advice::custom, advice::custom_code};
use crate::ChainError;

/// How long an extrinsic lives and how it is watched.
#[derive(Debug, Clone)]
pub struct SubmitOptions {
    /// Blocks it may take to enter the chain: a power of two from 4 on.
    pub mortality: u64,
    /// How long to wait for news before looking (and submitting the same bytes again).
    pub patience: Duration,
}

impl Default for SubmitOptions {
    fn default() -> Self {
        Self { mortality: 16, patience: Duration::from_secs(30) }
    }
}

/// An executed call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Landed {
    /// The finalised block it is in.
    pub block: u64,
    /// Whether an earlier attempt had done it already, so that nothing was submitted now.
    pub already: bool,
}

/// What the finalised chain says about an attempt.
enum Fate {
    Executed(u64, Result<(), String>),
    Open {
        head: u64,
    },
    /// Its nonce was used by something else.
    Superseded,
}

struct Sign<'a>(&'a Keypair);

impl Signer<SubstrateConfig> for Sign<'_> {
    fn account_id(&self) -> AccountId32 {
        AccountId32(self.0.account().0)
    }
    fn sign(&self, payload: &[u8]) -> MultiSignature {
        MultiSignature::Sr25519(self.0.sign(payload))
    }
}

impl Chain {
    /// Submit `call` once. `intent` names the decision: if it landed within the last `fresh_for` blocks and is
    /// still part of the finalised chain, nothing is submitted. Attempts left open earlier are settled first.
    ///
    /// # Errors
    /// [`ChainError::Rejected`] and [`ChainError::Invalid`] when the chain says no, [`ChainError::Expired`] and
    /// [`ChainError::Superseded`] when it certainly did not happen. A transient error leaves the attempt open in the journal: call again.
    pub fn submit(
        &self,
        call: &Call,
        intent: &str,
        fresh_for: u64,
        key: &Keypair,
        journal: &mut Journal,
        options: &SubmitOptions,
    ) -> Result<Landed, ChainError> {
        self.block_on(async {
            self.settle_all(&key.account(), journal, options).await?;
            if let Some((attempt, block)) = journal.landed(&key.account(), intent) {
                let stands = async |link: &Link| {
                    let now = head(link).await?.block_number();
                    if now < block || now - block > fresh_for {
                        return Ok(false);
                    }
                    Ok(matches!(find(link, &attempt, block).await?, Some(Ok(()))))
                };
                if self.retry("the earlier submission", &stands).await? {
                    return Ok(Landed { block, already: true });
                }
            }
            let attempt = self
                .retry("signing", &async |link: &Link| sign(link, call, intent, key, options).await)
                .await?;
            journal.signed(&attempt)?;
            self.settle(&attempt, true, journal, options).await
        })
    }

    /// Learn the fate of every attempt of `hotkey` that an earlier run left open.
    ///
    /// # Errors
    /// When no endpoint answers; the attempts stay open then.
    pub fn settle_open(
        &self,
        hotkey: &AccountId,
        journal: &mut Journal,
        options: &SubmitOptions,
    ) -> Result<(), ChainError> {
        self.block_on(self.settle_all(hotkey, journal, options))
    }

    async fn settle_all(
        &self,
        hotkey: &AccountId,
        journal: &mut Journal,
        options: &SubmitOptions,
    ) -> Result<(), ChainError> {
        for open in journal.open_attempts(hotkey) {
            // Its own failure is history; only not knowing its fate stops us.
            match self.settle(&open, false, journal, options).await {
                Ok(_)
                | Err(
                    ChainError::Rejected { .. } | ChainError::Expired { .. } | ChainError::Superseded { .. },
                ) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Submit the attempt's bytes until the finalised chain tells its fate, and journal that. `fresh`: no node
    /// has seen these bytes yet, so the first plain no is final; later ones may stem from their own success.
    async fn settle(
        &self,
        attempt: &Attempt,
        mut fresh: bool,
        journal: &mut Journal,
        options: &SubmitOptions,
    ) -> Result<Landed, ChainError> {
        let rejected = |name: String| ChainError::Rejected {
            call: attempt.call.clone(),
            advice: advice(&name).to_owned(),
            name,
        };
        loop {
            let look = async |link: &Link| fate(link, attempt).await;
            match self.retry("what became of the submission", &look).await? {
                Fate::Executed(block, Ok(())) => {
                    journal.concluded(&attempt.extrinsic, Outcome::Landed(block))?;
                    return Ok(Landed { block, already: false });
                }
                Fate::Executed(_, Err(name)) => {
                    journal.concluded(&attempt.extrinsic, Outcome::Rejected(name.clone()))?;
                    return Err(rejected(name));
                }
                Fate::Open { head } if head < attempt.valid_until => {}
                Fate::Superseded => {
                    journal.concluded(&attempt.extrinsic, Outcome::Expired)?;
                    return Err(ChainError::Superseded { call: attempt.call.clone() });
                }
                Fate::Open { .. } => {
                    journal.concluded(&attempt.extrinsic, Outcome::Expired)?;
                    return Err(ChainError::Expired {
                        call: attempt.call.clone(),
                        expired: attempt.valid_until,
                    });
                }
            }
            if let Ok(link) = self.link().await {
                let pushed = tokio::time::timeout(options.patience, push(&link, attempt)).await;
                match pushed {
                    Ok(Err(Refusal::Said(text, spec))) if fresh => {
                        let (reason, advice) = match custom_code(&text) {
                            Some(code) => custom(code, spec),
                            None => (text, "see the node's words"),
                        };
                        journal.concluded(&attempt.extrinsic, Outcome::Refused(reason.clone()))?;
                        return Err(ChainError::Invalid {
                            call: attempt.call.clone(),
                            reason,
                            advice: advice.to_owned(),
                        });
                    }
                    Ok(Err(Refusal::Lost)) => self.hang_up(),
                    Ok(Ok(()) | Err(_)) | Err(_) => {}
                }
                fresh = false;
            }
            tokio::time::sleep(self.options.pause).await;
        }
    }
}

/// Sign `call` at the finalised head.
async fn sign(
    link: &Link,
    call: &Call,
    intent: &str,
    key: &Keypair,
    options: &SubmitOptions,
) -> Result<Attempt, ChainError> {
    let at = head(link).await?;
    let tx = at.transactions();
    let encode = |e: ExtrinsicError| ChainError::Encode { call: call.name(), why: e.to_string() };
    let nonce = nonce(link, &at, &key.account()).await?;
    let params = DefaultExtrinsicParamsBuilder::<SubstrateConfig>::new()
        .nonce(nonce)
        .mortal_from_unchecked(options.mortality, at.block_number(), at.block_hash())
        .build();
    let signed = tx
        .create_signable_offline(call.payload(), params)
        .and_then(|mut signable| signable.sign(&Sign(key)))
        .map_err(encode)?;
    Ok(Attempt {
        intent: intent.to_owned(),
        call: call.name(),
        hotkey: key.account(),
        nonce,
        block: at.block_number(),
        valid_until: at.block_number() + options.mortality,
        extrinsic: signed.encoded().iter().map(|b| format!("{b:02x}")).collect(),
    })
}

async fn nonce(link: &Link, at: &At, account: &AccountId) -> Result<u64, ChainError> {
    at.transactions().account_nonce(&AccountId32(account.0)).await.map_err(|e| ChainError::Transport {
        what: "the nonce",
        endpoint: link.endpoint.clone(),
        why: e.to_string(),
    })
}

/// Look at the finalised chain only: what is not final has not happened.
async fn fate(link: &Link, attempt: &Attempt) -> Result<Fate, ChainError> {
    let at = head(link).await?;
    let height = at.block_number();
    if nonce(link, &at, &attempt.hotkey).await? <= attempt.nonce {
        return Ok(Fate::Open { head: height });
    }
    for block in attempt.block + 1..=height.min(attempt.valid_until) {
        if let Some(result) = find(link, attempt, block).await? {
            return Ok(Fate::Executed(block, result));
        }
    }
    Ok(Fate::Superseded)
}

/// The attempt's result in one block, if it is there.
async fn find(link: &Link, attempt: &Attempt, block: u64) -> Result<Option<Result<(), String>>, ChainError> {
    let lost = |e: &dyn std::fmt::Display| ChainError::Transport {
        what: "a block's extrinsics",
        endpoint: link.endpoint.clone(),
        why: e.to_string(),
    };
    let at = link.client.at_block(block).await.map_err(|e| lost(&e))?;
    let extrinsics = at.extrinsics().fetch().await.map_err(|e| lost(&e))?;
    for extrinsic in extrinsics.iter() {
        // Whatever cannot be decoded is not ours.
        let Ok(extrinsic) = extrinsic else { continue };
        let bytes: String = extrinsic.bytes().iter().map(|b| format!("{b:02x}")).collect();
        // The block's form may lack the length prefix of at most four bytes.
        let ours = attempt.extrinsic.ends_with(&bytes) && attempt.extrinsic.len() - bytes.len() <= 8;
        if !ours {
            continue;
        }
        let events = extrinsic.events().await.map_err(|e| lost(&e))?;
        for event in events.iter() {
            let event = event.map_err(|e| lost(&e))?;
            if (event.pallet_name(), event.event_name()) == ("System", "ExtrinsicFailed") {
                return Ok(Some(Err(failure(&at, event.field_bytes()))));
            }
        }
        return Ok(Some(Ok(())));
    }
    Ok(None)
}

/// The chain's own name for a failure.
fn failure(at: &At, bytes: &[u8]) -> String {
    match DispatchError::decode_from(bytes.to_vec(), at.metadata()) {
        Ok(DispatchError::Module(module)) => match module.details() {
            Ok(details) => details.variant.name.clone(),
            Err(_) => module.details_string(),
        },
        Ok(other) => format!("{other:?}"),
        Err(error) => format!("an undecodable error ({error})"),
    }
}

/// Why a node took no bytes.
enum Refusal {
    /// It said no, in these words; with the spec version.
    Said(String, u32),
    /// It knows them already, or they wait behind others.
    Known,
    /// It is not there.
    Lost,
}

/// Hand the bytes to the node and wait until they are final, or there is no more news.
async fn push(link: &Link, attempt: &Attempt) -> Result<(), Refusal> {
    let at = head(link).await.map_err(|_| Refusal::Lost)?;
    let spec = at.spec_version();
    let hex = attempt.extrinsic.as_bytes();
    let digit = |b: u8| (b as char).to_digit(16).unwrap_or(0) as u8;
    let bytes = hex.chunks_exact(2).map(|p| digit(p[0]) << 4 | digit(p[1])).collect();
    let submitted = at.transactions().from_bytes(bytes).submit_and_watch().await;
    let mut progress = submitted.map_err(|error| match &error {
        ExtrinsicError::ErrorSubmittingTransaction(BackendError::Rpc(RpcError::ClientError(
            subxt::rpcs::Error::User(user),
        ))) => {
            let text = format!(
                "{} {}",
                user.message,
                user.data.as_ref().map(|d| d.get().to_owned()).unwrap_or_default()
            );
            match user.code {
                // Temporarily banned, already imported, too low a priority: the same nonce is in the pool.
                1012..=1014 => Refusal::Known,
                // The nonce is used, perhaps by these very bytes in a block that is not final yet.
                _ if text.contains("outdated") || text.contains("stale") => Refusal::Known,
                _ => Refusal::Said(text, spec),
            }
        }
        _ => Refusal::Lost,
    })?;
    while let Some(status) = progress.next().await {
        match status {
            Ok(TransactionStatus::InFinalizedBlock(_)) => return Ok(()),
            Ok(TransactionStatus::Invalid { message }) => return Err(Refusal::Said(message, spec)),
            Ok(TransactionStatus::Error { .. } | TransactionStatus::Dropped { .. }) => return Ok(()),
            Ok(_) => {}
            Err(_) => return Err(Refusal::Lost),
        }
    }
    // The stream ends without a word when the node dies.
    Err(Refusal::Lost)
}
