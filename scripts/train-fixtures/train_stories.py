#!/usr/bin/env python3
"""Trains the tiny LLaMA that tells stories (fixtures/models/stories-llama) on a file of stories, one a line.

    scripts/train-fixtures/train_stories.py --stories stories.txt --out stories-llama --seconds 240

Writes config.json, tokenizer.json and model.safetensors (f16) as transformers would, and the losses to training.json. With
`--tokenizer` the vocabulary of an earlier run is used, as a draft model needs. The shape is set by the options.
"""
import argparse
import json
import math
import multiprocessing
import os
import time

import numpy
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from torch.nn import functional as F

END = "<|endoftext|>"


class Block(nn.Module):
    def __init__(self, a):
        super().__init__()
        width, narrow = a.heads * a.head_width, a.kv_heads * a.head_width
        linear = lambda i, o: nn.Linear(i, o, bias=False)
        self.self_attn = nn.ModuleDict({"q_proj": linear(a.width, width), "k_proj": linear(a.width, narrow),
                                        "v_proj": linear(a.width, narrow), "o_proj": linear(width, a.width)})
        self.mlp = nn.ModuleDict({"gate_proj": linear(a.width, a.inner), "up_proj": linear(a.width, a.inner),
                                  "down_proj": linear(a.inner, a.width)})
        self.input_layernorm = nn.RMSNorm(a.width, eps=1e-5)
        self.post_attention_layernorm = nn.RMSNorm(a.width, eps=1e-5)
        self.head_width = a.head_width

    def forward(self, x, cos, sin):
        y = self.input_layernorm(x)
        split = lambda n: self.self_attn[n](y).unflatten(-1, (-1, self.head_width)).transpose(1, 2)
        turn = lambda t: t * cos + torch.cat((-t[..., t.shape[-1] // 2:], t[..., : t.shape[-1] // 2]), -1) * sin
        q, k, v = turn(split("q_proj")), turn(split("k_proj")), split("v_proj")
        mixed = F.scaled_dot_product_attention(q, k.to(v.dtype), v, is_causal=True, enable_gqa=True)
        x = x + self.self_attn["o_proj"](mixed.transpose(1, 2).flatten(2))
        y = self.post_attention_layernorm(x)
        return x + self.mlp["down_proj"](F.silu(self.mlp["gate_proj"](y)) * self.mlp["up_proj"](y))


class Llama(nn.Module):
    def __init__(self, a):
        super().__init__()
        self.embed_tokens = nn.Embedding(a.vocabulary, a.width)
        self.layers = nn.ModuleList([Block(a) for _ in range(a.layers)])
        self.norm = nn.RMSNorm(a.width, eps=1e-5)
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02 if p is self.embed_tokens.weight else p.shape[1] ** -0.5)
        for layer in self.layers:
            for p in (layer.self_attn["o_proj"].weight, layer.mlp["down_proj"].weight):
                p.data /= math.sqrt(2 * a.layers)
        angles = torch.arange(a.context)[:, None] * 10000.0 ** (-torch.arange(0, a.head_width, 2) / a.head_width)
        self.register_buffer("cos", angles.cos().repeat(1, 2), persistent=False)
        self.register_buffer("sin", angles.sin().repeat(1, 2), persistent=False)

    def forward(self, ids):
        x = self.embed_tokens(ids)
        cos, sin = self.cos[: ids.shape[1]].to(x.dtype), self.sin[: ids.shape[1]].to(x.dtype)
        for layer in self.layers:
            x = layer(x, cos, sin)
        return self.norm(x) @ self.embed_tokens.weight.T


def tells(story):
    """Whether a story gets on: most runs of four words are new."""
    words = story.split()
    return len({tuple(words[i:i + 4]) for i in range(len(words) - 3)}) > 0.75 * (len(words) - 3)


def tokenizer_of(a, lines):
    if a.tokenizer:
        return Tokenizer.from_file(a.tokenizer)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=a.vocabulary, special_tokens=[END], show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(lines[:60000], trainer)
    return tokenizer


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--stories", required=True)
    arguments.add_argument("--out", required=True)
    arguments.add_argument("--tokenizer")
    arguments.add_argument("--seconds", type=float, default=240)
    for name, value in [("vocabulary", 2048), ("width", 192), ("inner", 512), ("layers", 7), ("heads", 6), ("kv-heads", 2),
                        ("head-width", 32), ("context", 512), ("batch", 128)]:
        arguments.add_argument("--" + name, type=int, default=value)
    arguments.add_argument("--rate", type=float, default=3e-3)
    a = arguments.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(1)
    torch.set_float32_matmul_precision("high")
    lines = open(a.stories).read().splitlines()
    with multiprocessing.Pool() as pool:
        lines = [line for line, good in zip(lines, pool.map(tells, lines, 1000)) if good]
    tokenizer = tokenizer_of(a, lines)
    os.makedirs(a.out, exist_ok=True)
    tokenizer.save(os.path.join(a.out, "tokenizer.json"))
    end = tokenizer.token_to_id(END)
    ids = [i for e in tokenizer.encode_batch(lines) for i in (*e.ids, end)]
    ids = torch.from_numpy(numpy.array(ids, dtype=numpy.int16))
    held, ids = ids[: a.batch * a.context], ids[a.batch * a.context:].to(device)
    held = held.to(device).long().view(a.batch, a.context)
    print(f"{len(lines)} stories, {len(ids)} tokens", flush=True)
    model = Llama(a).to(device)
    count = sum(p.numel() for p in model.parameters())
    matrices = [p for p in model.parameters() if p.dim() == 2]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=a.rate, betas=(0.9, 0.95), fused=device == "cuda")
    run = torch.compile(model) if device == "cuda" else model

    def loss_of(batch):
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            logits = run(batch)
        return F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), batch[:, 1:].flatten())

    offsets = torch.arange(a.context, device=device)
    begin, step, seen, losses = None, 0, 0, []
    while True:
        # the clock starts when everything is compiled
        gone = 0.0 if begin is None else (time.time() - begin) / a.seconds
        if gone >= 1:
            break
        rate = a.rate * min(1, (step + 1) / 200) * (0.5 + 0.5 * math.cos(math.pi * gone))
        for group in optimizer.param_groups:
            group["lr"] = max(rate, a.rate * 1e-3)
        starts = torch.randint(len(ids) - a.context, (a.batch, 1), device=device)
        loss = loss_of(ids[starts + offsets].long())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step, seen = step + 1, seen + a.batch * a.context
        if begin is None:
            loss.item()
            begin = time.time()
        if step % 200 == 0 or device == "cpu":
            losses.append((step, seen, round(loss.item(), 4)))
            print(f"{time.time() - begin:.0f} s, step {step}: {seen / 1e6:.0f} M tokens, loss {loss.item():.4f}", flush=True)
    with torch.no_grad():
        final = loss_of(held).item()
    print(f"{count} parameters; held-back loss {final:.4f}", flush=True)
    state = {"model." + k.removeprefix("_orig_mod."): v.detach().half().cpu().contiguous()
             for k, v in model.state_dict().items()}
    save_file(state, os.path.join(a.out, "model.safetensors"), {"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": a.vocabulary, "hidden_size": a.width,
        "intermediate_size": a.inner, "num_hidden_layers": a.layers, "num_attention_heads": a.heads,
        "num_key_value_heads": a.kv_heads, "head_dim": a.head_width, "max_position_embeddings": a.context,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "rope_scaling": None, "tie_word_embeddings": True,
        "hidden_act": "silu", "attention_bias": False, "mlp_bias": False, "bos_token_id": end, "eos_token_id": end,
        "torch_dtype": "float16",
    }
    with open(os.path.join(a.out, "config.json"), "w") as file:
        json.dump(config, file, indent=2)
        file.write("\n")
    with open(os.path.join(a.out, "training.json"), "w") as file:
        json.dump({"parameters": count, "tokens": seen, "stories": len(lines), "held_back_loss": final, "losses": losses}, file)
    context = [end]
    model.eval()
    for text in ("Once upon a time, there was a brave little mouse", "One day, Lily found a key"):
        context = [end] + tokenizer.encode(text).ids
        for _ in range(120):
            with torch.no_grad():
                logits = model(torch.tensor([context], device=device))[0, -1].float()
            context.append(torch.multinomial((logits / 0.7).softmax(-1), 1).item())
            if context[-1] == end:
                break
        print(tokenizer.decode(context[1:]), flush=True)


main()
