//! The four calls this program makes, as dynamic payloads: no generated code, checked against the runtime's metadata.

use subxt::dynamic::Value;
use subxt::ext::scale_value::Composite;
use subxt::transactions::{DynamicPayload, TransactionsClient};

use super::commitments::PALLET as COMMITMENTS;
use super::fetch::SUBTENSOR;
use crate::ChainError;
use crate::commitment::{CommitmentError, MAX_BYTES};
use crate::weights::timelock::COMMIT_REVEAL_VERSION;

/// A call with its arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    payload: DynamicPayload<Composite<()>>,
}

impl Call {
    fn new(pallet: &str, call: &str, fields: Vec<(&str, Value)>) -> Self {
        let fields = Composite::Named(fields.into_iter().map(|(n, v)| (n.to_owned(), v)).collect());
        Self { payload: subxt::dynamic::tx(pallet, call, fields) }
    }

    /// `Commitments.set_commitment` with one raw field.
    ///
    /// # Errors
    /// When `bytes` are more than the chain keeps.
    pub fn set_commitment(netuid: u16, bytes: &[u8]) -> Result<Self, CommitmentError> {
        if bytes.len() > MAX_BYTES {
            return Err(CommitmentError::TooLong { got: bytes.len() });
        }
        let raw = Value::unnamed_variant(format!("Raw{}", bytes.len()), [Value::from_bytes(bytes)]);
        let info = Value::named_composite([("fields", Value::unnamed_composite([raw]))]);
        Ok(Self::new(COMMITMENTS, "set_commitment", vec![("netuid", number(netuid)), ("info", info)]))
    }

    /// `SubtensorModule.set_weights`.
    pub fn set_weights(netuid: u16, weights: &[(u16, u16)], version_key: u64) -> Self {
        let mut fields = vec![("netuid", number(netuid))];
        fields.extend(lists(weights));
        fields.push(("version_key", number(version_key)));
        Self::new(SUBTENSOR, "set_weights", fields)
    }

    /// `SubtensorModule.set_mechanism_weights`.
    pub fn set_mechanism_weights(
        netuid: u16,
        mechanism: u8,
        weights: &[(u16, u16)],
        version_key: u64,
    ) -> Self {
        let mut fields = vec![("netuid", number(netuid)), ("mecid", number(mechanism))];
        fields.extend(lists(weights));
        fields.push(("version_key", number(version_key)));
        Self::new(SUBTENSOR, "set_mechanism_weights", fields)
    }

    /// `SubtensorModule.commit_timelocked_mechanism_weights`.
    pub fn commit_timelocked(netuid: u16, mechanism: u8, commit: &[u8], reveal_round: u64) -> Self {
        Self::new(
            SUBTENSOR,
            "commit_timelocked_mechanism_weights",
            vec![
                ("netuid", number(netuid)),
                ("mecid", number(mechanism)),
                ("commit", Value::from_bytes(commit)),
                ("reveal_round", number(reveal_round)),
                ("commit_reveal_version", number(COMMIT_REVEAL_VERSION)),
            ],
        )
    }

    /// `Pallet.call`.
    pub fn name(&self) -> String {
        format!("{}.{}", self.payload.pallet_name(), self.payload.call_name())
    }

    pub(super) fn payload(&self) -> &DynamicPayload<Composite<()>> {
        &self.payload
    }

    /// The call's bytes for one runtime.
    pub(super) fn encode<C>(
        &self,
        tx: &TransactionsClient<subxt::SubstrateConfig, C>,
    ) -> Result<Vec<u8>, ChainError>
    where
        C: subxt::client::OfflineClientAtBlockT<subxt::SubstrateConfig>,
    {
        tx.call_data(&self.payload).map_err(|e| ChainError::Encode { call: self.name(), why: e.to_string() })
    }
}

fn number(n: impl Into<u128>) -> Value {
    Value::u128(n.into())
}

fn lists(weights: &[(u16, u16)]) -> [(&'static str, Value); 2] {
    let list =
        |pick: fn(&(u16, u16)) -> u16| Value::unnamed_composite(weights.iter().map(|w| number(pick(w))));
    [("dests", list(|w| w.0)), ("weights", list(|w| w.1))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use subxt::config::SubstrateConfig;
    use subxt::{Metadata, OfflineClient};

    #[test]
    fn calls_have_the_bytes_known_for_spec_365() {
        let Some(path) = crate::test_support::shared("finney-spec365.scale") else { return };
        let bytes = std::fs::read(path).unwrap();
        let metadata = std::sync::Arc::new(Metadata::decode_from(&bytes).unwrap());
        let config = SubstrateConfig::builder()
            .set_metadata_for_spec_versions([(365, metadata)])
            .set_spec_version_for_block_ranges([subxt::config::substrate::SpecVersionForRange {
                block_range: 0..1,
                spec_version: 365,
                transaction_version: 1,
            }])
            .build();
        let client = OfflineClient::new_with_config(config);
        let tx = client.at_block(0u64).unwrap().transactions();
        let hex =
            |call: Call| -> String { call.encode(&tx).unwrap().iter().map(|b| format!("{b:02x}")).collect() };
        // Known from the official SDK against the same metadata (harness/docs/CHAIN.md).
        assert_eq!(
            hex(Call::set_mechanism_weights(39, 0, &[(1, 65535), (2, 32768)], 7)),
            "0777270000080100020008ffff00800700000000000000"
        );
        assert_eq!(
            hex(Call::commit_timelocked(39, 0, &[1, 2, 3, 255], 123456)),
            "077627000010010203ff40e20100000000000400"
        );
        // Beside them, what the same metadata prescribes: pallet and call index, then the SCALE of the arguments.
        let plain = hex(Call::set_weights(39, &[(1, 65535), (2, 32768)], 7));
        assert_eq!(plain[4..], *"2700080100020008ffff00800700000000000000");
        let commitment = hex(Call::set_commitment(39, b"EM").unwrap());
        // netuid, one field, variant Raw2 (index 3: None, Raw0, Raw1, Raw2), its bytes.
        assert_eq!(commitment[4..], *"27000403454d");
    }

    #[test]
    fn too_long_a_commitment_is_refused_before_the_library_sees_it() {
        let error = Call::set_commitment(39, &[0; 129]).unwrap_err();
        assert_eq!(error, CommitmentError::TooLong { got: 129 });
    }
}
