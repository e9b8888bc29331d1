//! Standings for people and for files.

use edgemaxx_contract::ranking::Standing;

/// A standing in words.
pub(crate) fn standing_words(standing: Standing) -> &'static str {
    match standing {
        Standing::Accepted => "accepted",
        Standing::NotFaster => "not faster",
        Standing::RejectedQuality => "rejected: quality",
        Standing::Copy => "copy",
        Standing::Failed => "failed",
        Standing::Control => "A/A control",
    }
}

/// A standing as a word for style sheets and files.
pub(crate) fn standing_key(standing: Standing) -> &'static str {
    match standing {
        Standing::Accepted => "accepted",
        Standing::NotFaster => "not_faster",
        Standing::RejectedQuality => "rejected_quality",
        Standing::Copy => "copy",
        Standing::Failed => "failed",
        Standing::Control => "control",
    }
}
