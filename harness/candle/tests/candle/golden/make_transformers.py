#!/usr/bin/env python3
"""Makes transformers.json beside this script: what the package `transformers` computes in f32 with small models of random weights.

    pip install torch transformers
    python3 make_transformers.py

Of each layout: the configuration as transformers writes it, and one that leaves out all that may be left out; which token
begins and ends texts by it, and positions within its window; names and shapes of the tensors in order of their names, of which
number i holds torch.randn(seed i + 1), scaled as below; four prompts, greedy answers of 24 tokens, how many tokens of each
come before the two largest logits are within 1e-4 of each other for the first time; and a digest of the logits after the
first text.
"""
import json
from pathlib import Path

import torch
import transformers

HERE = Path(__file__).parent
NEW, VOCABULARY = 24, 97
COMMON = dict(vocab_size=VOCABULARY, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
              num_key_value_heads=2, max_position_embeddings=256, bos_token_id=1, eos_token_id=2, pad_token_id=0)
MODELS = {
    "qwen2": (transformers.Qwen2Config, dict(tie_word_embeddings=True)),
    "qwen2, head of its own": (transformers.Qwen2Config, dict(tie_word_embeddings=False, rope_theta=1e6)),
    "qwen3": (transformers.Qwen3Config, dict(head_dim=32, tie_word_embeddings=True)),
    "phi3": (transformers.Phi3Config, dict(tie_word_embeddings=False)),
    "gemma": (transformers.GemmaConfig, dict(head_dim=32)),
    "gemma2": (transformers.Gemma2Config, dict(head_dim=32, query_pre_attn_scalar=32, sliding_window=128)),
    "mistral": (transformers.MistralConfig, dict(sliding_window=None, tie_word_embeddings=False)),
    "qwen3, biases": (transformers.Qwen3Config, dict(head_dim=32, attention_bias=True, hidden_act="gelu")),
    "gemma, biases": (transformers.GemmaConfig, dict(head_dim=32, attention_bias=True)),
    "gemma2, biases": (transformers.Gemma2Config, dict(head_dim=32, query_pre_attn_scalar=32, attention_bias=True,
                                                       attn_logit_softcapping=None, final_logit_softcapping=None)),
}
# What config.json must say; all the rest is left out. As many heads as the class has of keys and values by itself.
SIZES = dict(vocab_size=VOCABULARY, hidden_size=64, intermediate_size=96, num_hidden_layers=2)
SPARSE = {
    "qwen2, sparse": dict(SIZES, model_type="qwen2", num_attention_heads=32),
    "qwen3, sparse": dict(SIZES, model_type="qwen3", num_attention_heads=32),
    "phi3, sparse": dict(SIZES, model_type="phi3", num_attention_heads=4, pad_token_id=0),
    "gemma, sparse": dict(SIZES, model_type="gemma", num_attention_heads=16),
    "gemma, gelu": dict(SIZES, model_type="gemma", num_attention_heads=16, hidden_act="gelu", hidden_activation=None),
    "gemma2, sparse": dict(SIZES, model_type="gemma2", num_attention_heads=8),
    "mistral, sparse": dict(SIZES, model_type="mistral", num_attention_heads=8),
}


def weights(model):
    shapes = {name: list(tensor.shape) for name, tensor in sorted(model.state_dict().items())}
    if model.config.tie_word_embeddings:
        shapes.pop("lm_head.weight", None)
    state = {}
    for seed, (name, shape) in enumerate(shapes.items(), 1):
        values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        if len(shape) == 2:
            values = values * (1.5 / shape[1] ** 0.5)
        else:
            mean = 0.0 if name.endswith("bias") or model.config.model_type.startswith("gemma") else 1.0
            values = values * 0.1 + mean
        state[name] = values
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert set(missing) <= {"lm_head.weight"} and not unexpected, (missing, unexpected)
    model.tie_weights()
    return [[name, shape] for name, shape in shapes.items()]


def answers(model):
    prompts = [[(7 * p + 13 * i * i + 5) % (VOCABULARY - 3) + 3 for i in range(12 + p)] for p in range(4)]
    said, sure = [], []
    for prompt in prompts:
        ids, narrow = list(prompt), None
        for made in range(NEW):
            top = model(torch.tensor([ids])).logits[0, -1].topk(2)
            if narrow is None and (top.values[0] - top.values[1]).item() < 1e-4:
                narrow = made
            ids.append(top.indices[0].item())
        said.append(ids[len(prompt):])
        sure.append(NEW if narrow is None else narrow)
    last = model(torch.tensor([prompts[0] + said[0]])).logits[0, -1].double()
    digest = {"shape": [len(last)], "norm": last.norm().item(), "stride": 2,
              "values": [float(f"{v:.9g}") for v in last[::2].tolist()]}
    return {"prompts": prompts, "answers": said, "sure": sure, "logits": digest}


def made(name, config, written):
    model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
    tensors = weights(model)
    ends = config.eos_token_id
    window = getattr(config, "sliding_window", None)
    return {"name": name, "config": written, "tensors": tensors, "begin": config.bos_token_id,
            "ends": [] if ends is None else [ends], "positions": min(config.max_position_embeddings, window or 1 << 30), **answers(model)}


@torch.no_grad()
def main():
    torch.set_num_threads(1)
    models = []
    for name, (config, changes) in MODELS.items():
        config = config(**{**COMMON, **changes}, attn_implementation="eager")
        written = json.loads(config.to_json_string(use_diff=False))
        written = {k: v for k, v in written.items() if not k.startswith("_") and k != "transformers_version"}
        models.append(made(name, config, written))
    for name, written in SPARSE.items():
        words = {k: v for k, v in written.items() if k != "model_type"}
        config = transformers.AutoConfig.for_model(written["model_type"], **words, attn_implementation="eager")
        models.append(made(name, config, written))
    provenance = {"torch": torch.__version__, "transformers": transformers.__version__}
    text = json.dumps({"provenance": provenance, "models": models}, separators=(",", ":"))
    (HERE / "transformers.json").write_text(text.replace('{"name"', '\n{"name"') + "\n")


main()
