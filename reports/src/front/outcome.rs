//! The outcome in words.

use edgemaxx_contract::estimate::{CertificateVerdict, Claim};
use edgemaxx_contract::plan::Extent;
use edgemaxx_contract::ranking::Standing;
use edgemaxx_contract::task::{Noun, by_name};
use serde::Serialize;

use super::evidence::{Evidence, Pair};
use crate::escape::visible;
use crate::number;
use crate::plot::{Bar, race};
use crate::summary::{Summary, SummaryCandidate};

/// Names listed of a kind; how many more there are is said.
const LISTED: usize = 12;

/// The front page of one run.
#[derive(Debug, Serialize)]
pub(crate) struct Front {
    /// Unique on the page, as its title is.
    pub id: String,
    pub title: String,
    /// The winner, or whose answers are shown.
    pub best: Option<Entry>,
    /// Who won, in a sentence that follows the name, or stands alone where there is none.
    pub outcome: String,
    /// How much faster, in whole sentences.
    pub faster: String,
    /// Both times as bars.
    pub race: String,
    pub pairs: Vec<Pair>,
    pub pairs_lead: String,
    /// Others that are faster and good enough.
    pub others: Vec<Entry>,
    /// What was rejected, and why.
    pub rejected: Vec<Entry>,
    pub rejected_more: usize,
    /// Those that are good enough and not faster.
    pub not_faster: Vec<Entry>,
    /// Whether the run can be believed.
    pub check: String,
}

/// Somebody who took part.
#[derive(Debug, Serialize)]
pub(crate) struct Entry {
    /// The repository, else the name.
    pub who: String,
    /// What else is known of it: the name where the repository stands first, else the description.
    pub note: String,
    pub link: Option<String>,
    pub words: String,
    pub why: Vec<String>,
}

impl Front {
    /// Sums up a run; `link` leads to the candidate of an index.
    pub(crate) fn new(
        (id, title): (&str, String),
        summary: &Summary,
        evidence: Option<&Evidence>,
        link: impl Fn(usize) -> Option<String>,
    ) -> Self {
        let task = by_name(summary.task.as_deref().unwrap_or_default()).ok();
        let answers = task.map_or(Noun { one: "answer", several: "answers" }, |task| task.answer());
        let timed = task.and_then(|task| task.unit()).unwrap_or(answers);
        let fit = summary.fitness == CertificateVerdict::Fit;
        let places: Vec<Entry> = summary
            .candidates
            .iter()
            .enumerate()
            .map(|(index, candidate)| entry(summary, candidate, link(index), timed, answers))
            .collect();
        let accepted = summary.candidates.iter().take_while(|c| c.standing == Standing::Accepted).count();
        let leaders = summary.candidates[..accepted].iter().filter(|c| c.tier == Some(1)).count();
        let best = summary.candidates.first().filter(|_| fit && accepted > 0);
        let mut of_kind: [Vec<Entry>; 3] = Default::default();
        let mut first = None;
        for (candidate, place) in summary.candidates.iter().zip(places).filter(|_| fit) {
            let kind = match candidate.standing {
                Standing::Accepted if first.is_none() => {
                    first = Some(place);
                    continue;
                }
                Standing::Accepted => 0,
                Standing::NotFaster => 1,
                Standing::RejectedQuality | Standing::Copy | Standing::Failed => 2,
                Standing::Control => continue,
            };
            of_kind[kind].push(place);
        }
        let [others, not_faster, mut rejected] = of_kind;
        let pairs = evidence.filter(|_| best.is_some()).map_or_else(Vec::new, |e| e.pairs.clone());
        rejected.extend(evidence.into_iter().flat_map(|evidence| &evidence.turned_away).map(|away| {
            let (who, note) = named(&away.hotkey, Some(&away.source), "");
            let words = format!("was not measured: {}.", away.words);
            Entry { who, note, link: None, words, why: away.why.iter().map(|why| visible(why)).collect() }
        }));
        let rejected_more = rejected.len().saturating_sub(LISTED);
        rejected.truncate(LISTED);
        Self {
            id: id.to_owned(),
            title,
            outcome: match (fit, leaders) {
                (false, _) | (true, 0) => visible(&summary.verdict),
                (true, 1) => "wins.".to_owned(),
                (true, _) => format!(
                    "shares the first place with {} more: this run cannot tell them apart.",
                    leaders - 1
                ),
            },
            faster: best.map_or_else(String::new, |best| faster(summary, best, timed)),
            race: best.map_or_else(String::new, |best| bars(id, summary, best, timed)),
            pairs_lead: format!(
                "Both were asked for the same {}. Of {} that were compared, these go from the least alike to the most alike.",
                answers.several,
                evidence.map_or(0, |evidence| evidence.of)
            ),
            best: first,
            pairs,
            others,
            rejected,
            rejected_more,
            not_faster,
            check: check(summary, fit),
        }
    }
}

/// A repository where there is one, with the name as a note, or the name with the description.
fn named(name: &str, source: Option<&str>, description: &str) -> (String, String) {
    match source.and_then(|source| source.strip_prefix("hf:")) {
        Some(repository) => (visible(repository.split('@').next().unwrap_or_default()), visible(name)),
        None => (visible(name), visible(description)),
    }
}

fn entry(
    summary: &Summary,
    of: &SummaryCandidate,
    link: Option<String>,
    timed: Noun,
    answers: Noun,
) -> Entry {
    let (who, note) = named(&of.name, of.source.as_deref(), &of.description);
    let ratio = of.speedup.as_ref().map(|speedup| speedup.point);
    let words = match of.standing {
        Standing::Accepted => {
            format!(
                "{} {}.",
                ratio.map_or_else(|| "is faster than".to_owned(), compared),
                visible(&summary.baseline)
            )
        }
        Standing::NotFaster => match ratio.filter(|_| of.claim == Some(Claim::Slower)) {
            Some(ratio) => format!("is slower: it {} {}.", slower(ratio), visible(&summary.baseline)),
            None => String::new(),
        },
        Standing::RejectedQuality => {
            format!(
                "was rejected: its {} are not proven to be as good as the contest demands.",
                answers.several
            )
        }
        Standing::Copy => "was rejected: it repeats an earlier entry, which keeps the place.".to_owned(),
        Standing::Failed => format!("failed: not every {} of it came.", timed.one),
        Standing::Control => "is the baseline itself, entered as a check.".to_owned(),
    };
    let why = if of.standing == Standing::NotFaster { &[][..] } else { &of.reasons };
    Entry { who, note, link, words, why: why.iter().map(|why| visible(why)).collect() }
}

/// A ratio of times as people say it: in times from about two on, else as time that is saved.
fn compared(ratio: f64) -> String {
    if ratio >= 1.95 {
        format!("is about {} times as fast as", number::fixed(ratio, 1))
    } else {
        format!("takes about {} less time than", number::percent(1.0 - 1.0 / ratio, 0))
    }
}

/// A ratio of times below one, as people say it.
fn slower(ratio: f64) -> String {
    let times = 1.0 / ratio;
    if times >= 1.95 {
        format!("takes about {} times as long as", number::fixed(times, 1))
    } else {
        format!("takes about {} more time than", number::percent(times - 1.0, 0))
    }
}

/// What of it remains for sure.
fn surely(ratio: f64) -> String {
    if ratio >= 1.95 {
        format!("it is at least {} times as fast", number::fixed(ratio, 2))
    } else {
        // Rounded down: more is not proven.
        format!(
            "it takes at least {} less time",
            number::percent(((1.0 - 1.0 / ratio) * 100.0).floor() / 100.0, 0)
        )
    }
}

fn faster(summary: &Summary, best: &SummaryCandidate, timed: Noun) -> String {
    let Some(speedup) = &best.speedup else { return String::new() };
    let mut told = format!("It {} {}, the baseline", compared(speedup.point), visible(&summary.baseline));
    if let Some((own, baseline)) = times(best) {
        let article = if timed.one.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
        told += &format!(": {article} {} takes {own} instead of {baseline}", timed.one);
    }
    told += ".";
    if let Some(lower) = speedup.lower.filter(|lower| *lower > 1.0) {
        told += &format!(" Even if chance was kind to it, {}.", surely(lower));
    }
    if summary.extent == Extent::Quick {
        told += " This was a quick look, with too little evidence for rewards.";
    }
    told
}

/// The mean times of a candidate and of the baseline beside it.
fn times(best: &SummaryCandidate) -> Option<(String, String)> {
    let (own, baseline) = (best.latency_ms.as_ref()?, best.baseline_latency_ms.as_ref()?);
    Some((duration(own.point), duration(baseline.point)))
}

/// A duration as people say it.
fn duration(ms: f64) -> String {
    if ms >= 1000.0 {
        format!("{} seconds", number::significant(ms / 1000.0, 3))
    } else {
        format!("{} milliseconds", number::significant(ms, 3))
    }
}

fn bars(id: &str, summary: &Summary, best: &SummaryCandidate, timed: Noun) -> String {
    let Some((own, baseline)) = best.latency_ms.as_ref().zip(best.baseline_latency_ms.as_ref()) else {
        return String::new();
    };
    let (who, _) = named(&best.name, best.source.as_deref(), "");
    let bars = [(visible(&summary.baseline), baseline.point), (who, own.point)].map(|(name, time)| Bar {
        name,
        words: duration(time),
        time,
    });
    race(&format!("{id}-race"), &format!("Time for one {}", timed.one), &bars)
}

fn check(summary: &Summary, fit: bool) -> String {
    if !fit {
        return "As a check, the baseline runs against a copy of itself. The check did not hold, so no number of this run counts."
            .to_owned();
    }
    let mut told =
        "As a check, the baseline ran against a copy of itself, and the two came out equal".to_owned();
    if let Some(noise) = summary.noise_floor {
        told += &format!(", within {}", number::percent(noise, 1));
    }
    told += ".";
    if let Some(effect) = summary.minimum_detectable_effect {
        told += &format!(" Differences smaller than {} may have gone unseen.", number::percent(effect, 1));
    }
    told
}
