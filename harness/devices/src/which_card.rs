//! Which card engines see: the only one that the contest can mean, or the one that is named.

use edgemaxx_contract::contest::{Device, DeviceKind};
use edgemaxx_contract::environment::Card;

use crate::vendors::vendor;

/// What engines compute on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    /// The processor: no card is seen.
    Processor,
    /// This card, and no other.
    Card(Card),
    /// A card that is not there; why, in words.
    Missing(String),
}

impl Chosen {
    /// The card, if there is one.
    pub fn card(&self) -> Option<&Card> {
        match self {
            Self::Card(card) => Some(card),
            Self::Processor | Self::Missing(_) => None,
        }
    }

    /// The card, none where none is wanted, or why it is not there.
    pub(crate) fn found(&self) -> Result<Option<&Card>, &str> {
        match self {
            Self::Missing(why) => Err(why),
            found => Ok(found.card()),
        }
    }
}

/// Which card is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// The only one that it can be.
    Only,
    /// The first of those that it can be: for those who only look.
    First,
    /// The one of this number.
    Number(u32),
}

impl From<Option<u32>> for Ask {
    fn from(number: Option<u32>) -> Self {
        number.map_or(Self::Only, Self::Number)
    }
}

/// No card can be chosen; somebody must say which.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChooseError {
    /// A card is named where none is used.
    #[error("--device {0}: the contest is for the processor, of which a machine has one")]
    NoCards(u32),
    /// The card that is named is not there.
    #[error("--device {asked}: there is no such card; {}", list(cards))]
    NoSuchCard {
        /// Its number.
        asked: u32,
        /// Those that are.
        cards: Vec<Card>,
    },
    /// More than one could be meant.
    #[error("{}; name the one to measure on by --device N", list(cards))]
    Several {
        /// They.
        cards: Vec<Card>,
    },
    /// A run goes on where it began.
    #[error("--device {asked}: the run was begun on card {}, and goes on there; measure another run on another card", before.index)]
    Elsewhere {
        /// The number that is named.
        asked: u32,
        /// The card of the run.
        before: Card,
    },
}

/// The cards of this machine in words.
fn list(cards: &[Card]) -> String {
    let named: Vec<String> = cards.iter().map(|card| format!("{} ({})", card.index, card.name)).collect();
    match named.as_slice() {
        [] => "this machine has none".to_owned(),
        [one] => format!("this machine has card {one}"),
        many => format!("this machine has cards {}", many.join(", ")),
    }
}

/// Whether a card of this name is what a contest is for: any is where it names none.
pub(crate) fn fits(wanted: &Device, name: &str) -> bool {
    wanted.name.as_deref().is_none_or(|wanted| wanted == name)
}

/// Chooses the card for a contest's device.
///
/// # Errors
/// [`ChooseError`]: which card is meant must be said. A card that is not there is [`Chosen::Missing`], for preflight.
pub fn choose(wanted: &Device, asked: Ask) -> Result<Chosen, ChooseError> {
    if wanted.kind == DeviceKind::Cpu {
        return match asked {
            Ask::Number(asked) => Err(ChooseError::NoCards(asked)),
            Ask::Only | Ask::First => Ok(Chosen::Processor),
        };
    }
    match vendor(wanted.kind).cards() {
        Ok(cards) => among(cards, wanted, asked),
        Err(why) => Ok(Chosen::Missing(why)),
    }
}

/// Chooses for a run that goes on: the card that it began on, which `environment.json` names.
///
/// # Errors
/// [`ChooseError`], where another one is named.
pub fn choose_again(wanted: &Device, asked: Ask, before: Option<&Card>) -> Result<Chosen, ChooseError> {
    let Some(before) = before else { return choose(wanted, asked) };
    if let Ask::Number(asked) = asked
        && asked != before.index
    {
        return Err(ChooseError::Elsewhere { asked, before: before.clone() });
    }
    Ok(match vendor(before.kind).cards() {
        Ok(cards) => cards.into_iter().find(|card| same(card, before)).map_or_else(
            || Chosen::Missing(format!("{}, on which the run was begun, is not there", describe(before))),
            Chosen::Card,
        ),
        Err(why) => Chosen::Missing(why),
    })
}

/// Whether two descriptions are of one card: numbers change when cards are moved, its own name does not.
fn same(one: &Card, other: &Card) -> bool {
    match (&one.uuid, &other.uuid) {
        (Some(one), Some(other)) => one == other,
        _ => one.index == other.index && one.name == other.name,
    }
}

fn describe(card: &Card) -> String {
    card.uuid.as_ref().map_or_else(
        || format!("card {} ({})", card.index, card.name),
        |uuid| format!("{} ({uuid})", card.name),
    )
}

fn among(mut cards: Vec<Card>, wanted: &Device, asked: Ask) -> Result<Chosen, ChooseError> {
    if let Ask::Number(asked) = asked {
        return match cards.iter().position(|card| card.index == asked) {
            Some(at) => Ok(Chosen::Card(cards.swap_remove(at))),
            None => Err(ChooseError::NoSuchCard { asked, cards }),
        };
    }
    let fits = |card: &Card| fits(wanted, &card.name);
    // A machine without the contest's card is told so by preflight, of its only card or of the first.
    if cards.iter().any(fits) {
        cards.retain(fits);
    }
    match cards.len() {
        0 => Ok(Chosen::Missing("the driver shows no card".to_owned())),
        1 => Ok(Chosen::Card(cards.swap_remove(0))),
        _ if asked == Ask::First => Ok(Chosen::Card(cards.swap_remove(0))),
        _ => Err(ChooseError::Several { cards }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(index: u32, name: &str) -> Card {
        let uuid = Some(format!("GPU-{index}"));
        Card { kind: DeviceKind::Cuda, index, name: name.to_owned(), uuid, driver: None, node: None }
    }

    fn cpu() -> Device {
        Device { kind: DeviceKind::Cpu, name: None, free_memory_mib: None, driver: None }
    }

    /// A contest for any card, and for those of a name.
    fn any() -> Device {
        Device { kind: DeviceKind::Cuda, ..cpu() }
    }

    fn of(name: &str) -> Device {
        Device { name: Some(name.to_owned()), ..any() }
    }

    #[test]
    fn the_only_card_of_the_contests_name_is_chosen() {
        let cards = || vec![card(0, "A"), card(1, "B"), card(2, "A")];
        assert_eq!(among(cards(), &of("B"), Ask::Only), Ok(Chosen::Card(card(1, "B"))));
        assert_eq!(among(vec![card(0, "A")], &any(), Ask::Only), Ok(Chosen::Card(card(0, "A"))));
        let error = among(cards(), &of("A"), Ask::Only).unwrap_err().to_string();
        assert!(error.contains("0 (A), 2 (A)") && error.contains("--device N"), "{error}");
        assert!(matches!(among(cards(), &any(), Ask::Only), Err(ChooseError::Several { .. })));
        assert_eq!(among(cards(), &of("A"), Ask::First), Ok(Chosen::Card(card(0, "A"))));
        assert!(matches!(among(Vec::new(), &any(), Ask::Only), Ok(Chosen::Missing(_))));
        // Of another name: preflight says what is wrong with the only card, and nobody guesses among several.
        assert_eq!(among(vec![card(0, "A")], &of("C"), Ask::Only), Ok(Chosen::Card(card(0, "A"))));
        assert!(matches!(among(cards(), &of("C"), Ask::Only), Err(ChooseError::Several { .. })));
    }

    #[test]
    fn the_card_that_is_named_is_chosen_or_is_not_there() {
        let cards = || vec![card(0, "A"), card(1, "B")];
        assert_eq!(
            among(cards(), &of("A"), Ask::Number(1)),
            Ok(Chosen::Card(card(1, "B"))),
            "preflight refuses its name"
        );
        let error = among(cards(), &any(), Ask::Number(7)).unwrap_err().to_string();
        assert!(error.contains("--device 7") && error.contains("0 (A), 1 (B)"), "{error}");
        assert_eq!(choose(&cpu(), Ask::Only), Ok(Chosen::Processor));
        assert_eq!(choose(&cpu(), Ask::Number(0)), Err(ChooseError::NoCards(0)));
    }

    #[test]
    fn a_run_goes_on_where_it_began() {
        let began = card(1, "A");
        let error = choose_again(&any(), Ask::Number(0), Some(&began)).unwrap_err().to_string();
        assert!(error.contains("--device 0") && error.contains("card 1"), "{error}");
        assert!(
            matches!(choose_again(&any(), Ask::Only, Some(&began)), Ok(Chosen::Missing(_))),
            "no such card here"
        );
        assert_eq!(choose_again(&cpu(), Ask::Only, None), Ok(Chosen::Processor));
        assert!(same(&card(0, "A"), &Card { index: 5, ..card(0, "A") }), "moved to another slot");
        assert!(
            !same(&card(0, "A"), &Card { uuid: Some("GPU-9".to_owned()), ..card(0, "A") }),
            "replaced by another"
        );
    }
}
