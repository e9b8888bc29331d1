//! The layouts that are read from folders, and what transformers takes where a `config.json` leaves something out.
use serde_json::{Map, Value, json};

/// Which of candle-transformers' models a checkpoint is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Qwen2,
    Qwen3,
    Phi3,
    Gemma,
    Gemma2,
    Mistral,
}

impl Family {
    pub(super) const ALL: [(&'static str, Self); 6] = [
        ("qwen2", Self::Qwen2),
        ("qwen3", Self::Qwen3),
        ("phi3", Self::Phi3),
        ("gemma", Self::Gemma),
        ("gemma2", Self::Gemma2),
        ("mistral", Self::Mistral),
    ];

    /// Values of absent keys, from the configuration classes of transformers 5.24. The sizes of a model's matrices are not
    /// among them, but for those that checkpoints leave out; nor is `rope_theta`, which may stand in two places.
    fn usual(self) -> Value {
        match self {
            Self::Qwen2 => json!({
                "num_key_value_heads": 32, "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "hidden_act": "silu",
                "tie_word_embeddings": false, "use_sliding_window": false, "sliding_window": 4096, "max_window_layers": 28,
            }),
            Self::Qwen3 => json!({
                "num_key_value_heads": 32, "head_dim": 128, "max_position_embeddings": 32768, "rms_norm_eps": 1e-6,
                "hidden_act": "silu", "tie_word_embeddings": false, "attention_bias": false,
                "use_sliding_window": false, "sliding_window": 4096, "max_window_layers": 28,
            }),
            Self::Phi3 => json!({
                "num_key_value_heads": null, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "hidden_act": "silu",
                "tie_word_embeddings": false, "sliding_window": null, "bos_token_id": 1, "eos_token_id": 32000,
            }),
            Self::Gemma => json!({
                "num_key_value_heads": 16, "head_dim": 256, "max_position_embeddings": 8192, "rms_norm_eps": 1e-6,
                "tie_word_embeddings": true, "attention_bias": false, "bos_token_id": 2, "eos_token_id": 1,
            }),
            Self::Gemma2 => json!({
                "num_key_value_heads": 4, "head_dim": 256, "max_position_embeddings": 8192, "rms_norm_eps": 1e-6,
                "tie_word_embeddings": true, "attention_bias": false, "bos_token_id": 2, "eos_token_id": 1,
                "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 256, "sliding_window": 4096,
                "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0,
            }),
            Self::Mistral => json!({
                "num_key_value_heads": 8, "max_position_embeddings": 131072, "rms_norm_eps": 1e-6, "hidden_act": "silu",
                "tie_word_embeddings": false, "sliding_window": 4096, "bos_token_id": 1, "eos_token_id": 2,
            }),
        }
    }

    /// Puts in what a file leaves out. A key that it sets to null stays, but for one that means the same: as many heads of keys
    /// and values as of queries.
    pub(super) fn filled(self, config: &mut Map<String, Value>) {
        let Value::Object(usual) = self.usual() else { return };
        for (key, value) in usual {
            config.entry(key).or_insert(value);
        }
        let alone = matches!(self, Self::Gemma | Self::Gemma2);
        if let (false, Some(Value::Null)) = (alone, config.get("num_key_value_heads")) {
            let heads = config.get("num_attention_heads").cloned().unwrap_or_default();
            config.insert("num_key_value_heads".to_owned(), heads);
        }
    }
}
