//! The chain's errors, each with what to do. Names are the chain's own and stable; the numbers of refusals
//! before execution are not, so they are read by spec version.

/// What to do about an error of the chain, by its name.
pub fn advice(name: &str) -> &'static str {
    match name {
        "NeuronNoValidatorPermit" => {
            "the hotkey holds no validator permit; it is given at an epoch to the hotkeys with most stake"
        }
        "SettingWeightsTooFast" | "CommittingWeightsTooFast" => {
            "weights were set too recently; wait for the subnet's rate limit"
        }
        "IncorrectWeightVersionKey" | "IncorrectCommitRevealVersion" => {
            "the subnet demands a newer version key; update this program or pass --version-key"
        }
        "CommitRevealEnabled" => {
            "the subnet takes timelocked weights only; let the method be chosen automatically"
        }
        "CommitRevealDisabled" => {
            "the subnet takes plain weights only; let the method be chosen automatically"
        }
        "DuplicateUids" => "a uid is named twice; each may have one weight",
        "UidVecContainInvalidOne" => "a uid is not registered any more; read the metagraph again",
        "UidsLengthExceedUidsInSubNet" => "more weights than neurons; read the metagraph again",
        "WeightVecLengthIsLow" => "too few weights; the subnet demands a minimum number",
        "WeightVecNotEqualSize" => "uids and weights differ in number; report this as a bug",
        "MaxWeightExceeded" => "one weight has too large a share; spread the weights",
        "NotEnoughStakeToSetWeights" => "the hotkey has less than the minimum stake; add stake to it",
        "HotKeyNotRegisteredInSubNet" | "HotKeyNotRegisteredInNetwork" | "AccountNotAllowedCommit" => {
            "the hotkey is not registered on this subnet; register it with `btcli subnets register`"
        }
        "MechanismDoesNotExist" | "SubnetNotExists" | "SubNetworkDoesNotExist" | "MechanismNotExists" => {
            "check --netuid, --mechanism and --subtensor.network"
        }
        "CommitmentSetRateLimitExceeded" | "SpaceLimitExceeded" => {
            "committed too recently or too much; wait and try again"
        }
        "TooManyFieldsInCommitmentInfo" => "report this as a bug",
        "TooManyUnrevealedCommits" => "earlier sealed weights wait to be revealed; wait for the next reveal",
        "InvalidRevealRound" => "the reveal round is in the past; check the endpoint's clock",
        _ => "see the chain's documentation for this name",
    }
}

/// The name and the advice for `Custom(code)`, the refusal before execution.
pub(super) fn custom(code: u8, spec_version: u32) -> (String, &'static str) {
    // Spec 218 was observed; the second table is the numbering of the runtimes of 2026.
    let name = if spec_version < 300 {
        match code {
            3 => "NotEnoughStakeToSetWeights",
            _ => "",
        }
    } else {
        match code {
            1 => "NotEnoughStakeToSetWeights",
            6 => "SettingWeightsTooFast",
            16 => "CommitNotFound",
            19 => "HotKeyNotRegisteredInSubNet",
            255 => "BadRequest",
            _ => "",
        }
    };
    match name {
        "" => (
            format!("Custom({code})"),
            "the chain gives no name for this number; check registration, stake and rate limits",
        ),
        name => (format!("{name} (Custom({code}))"), advice(name)),
    }
}

/// The number in a node's words for a custom refusal: `Custom error: 3` or `{"invalid":{"custom":3}}`.
pub(super) fn custom_code(text: &str) -> Option<u8> {
    let lower = text.to_ascii_lowercase();
    let after = &lower[lower.find("custom")? + "custom".len()..];
    let digits: String =
        after.chars().skip_while(|c| !c.is_ascii_digit()).take_while(|c| c.is_ascii_digit()).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn custom_refusals_are_found_in_both_notations_and_named_by_spec_version() {
        assert_eq!(custom_code("Invalid Transaction: Custom error: 3"), Some(3));
        assert_eq!(custom_code(r#"1: {"invalid":{"custom":255}}"#), Some(255));
        assert_eq!(custom_code("Transaction is outdated"), None);
        assert!(custom(3, 218).0.starts_with("NotEnoughStake"));
        assert!(custom(1, 425).0.starts_with("NotEnoughStake"));
        assert!(custom(6, 425).0.starts_with("SettingWeightsTooFast"));
        assert_eq!(custom(6, 218).0, "Custom(6)");
    }
}
