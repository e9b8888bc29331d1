#!/usr/bin/env python3
"""Makes what the emoji models are trained on: pictures, captions, tokenizers, from two packages of the npm registry.

    scripts/train-fixtures/emoji_data.py --out data

Needs `npm`, and Python's numpy, pillow and tokenizers. Writes emoji.npz (pictures, captions as tokens), labels.json, and
tokenizer/ and tokenizer_2/ (CLIP's byte pairs, 3,072 of them). The same packages give the same bytes.
"""
import argparse
import io
import json
import os
import random
import subprocess
import tarfile
import tempfile

import numpy
from PIL import Image
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

PICTURES, LABELS = "emoji-datasource-google@16.0.0", "emojibase-data@17.0.0"
COLOURS = "white black gray red orange yellow green blue purple pink brown".split()
TEMPLATES = ["an emoji of {}", "a {}", "{} emoji", "a picture of {}", "{} icon", "the {}"]
CAPTIONS, LONGEST, ENTRIES = 16, 56, 3072
START, END = "<|startoftext|>", "<|endoftext|>"
WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def package(name):
    """A package's files, read as they are asked for."""
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(["npm", "pack", "--silent", name], cwd=folder, check=True, capture_output=True, text=True)
        with open(os.path.join(folder, packed.stdout.split()[-1]), "rb") as file:
            return tarfile.open(fileobj=io.BytesIO(file.read()), mode="r:gz")


def emoji():
    """(label, tags, short name, whether it is a variant by skin tone, picture of 64 × 64 in RGBA) of each."""
    labels = package(LABELS)
    known = {}
    for entry in json.load(labels.extractfile("package/en/data.json")):
        for one in [entry, *entry.get("skins", [])]:
            known[one["hexcode"].replace("-FE0F", "")] = (one["label"].lower(), entry.get("tags", []), one is not entry)
    pictures = package(PICTURES)
    listed = json.load(pictures.extractfile("package/emoji.json"))
    files = {member.name: member for member in pictures.getmembers() if "/img/google/64/" in member.name}
    found = {}
    for entry in listed:
        for one in [entry, *entry.get("skin_variations", {}).values()]:
            file = files.get("package/img/google/64/" + one["image"])
            about = known.get(one["unified"].replace("-FE0F", ""))
            if file is None or about is None:
                continue
            picture = Image.open(pictures.extractfile(file)).convert("RGBA")
            if picture.size == (64, 64):
                found[one["unified"]] = (*about[:2], entry["short_name"].replace("_", " "), about[2], numpy.asarray(picture))
    return [found[key] for key in sorted(found)]


def byte_pairs(texts):
    """CLIP's vocabulary and merges, trained on texts: bytes, bytes that end a word, pairs, start, end."""
    trained = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token=END, continuing_subword_prefix=""))
    trained.normalizer, trained.pre_tokenizer = parts()
    trainer = trainers.BpeTrainer(vocab_size=ENTRIES, min_frequency=2, end_of_word_suffix="</w>", show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    trained.train_from_iterator(texts, trainer)
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    other = [byte for byte in range(256) if byte not in printable]
    letters = [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(other))]
    entries, merges = letters + [letter + "</w>" for letter in letters], []
    have = set(entries)
    for pair in json.loads(trained.to_str())["model"]["merges"]:
        left, right = pair if isinstance(pair, list) else pair.split(" ")
        if left + right not in have:
            if len(entries) == ENTRIES - 2:
                break
            entries.append(left + right)
            have.add(left + right)
        merges.append((left, right))
    return {entry: index for index, entry in enumerate([*entries, START, END])}, merges


def parts():
    """How CLIP cleans and splits a text."""
    clean = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    split = pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True)
    return clean, pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def tokenizer(vocabulary, merges):
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token=END, end_of_word_suffix="</w>",
                                continuing_subword_prefix=""))
    made.normalizer, made.pre_tokenizer = parts()
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, vocabulary[START]), (END, vocabulary[END])])
    made.add_special_tokens([START, END])
    return made


def save_tokenizer(folder, vocabulary, merges, pad):
    os.makedirs(folder, exist_ok=True)
    write = lambda name, text: open(os.path.join(folder, name), "w", encoding="utf-8").write(text)
    write("vocab.json", json.dumps(vocabulary, ensure_ascii=False))
    write("merges.txt", "#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in merges))
    write("tokenizer.json", tokenizer(vocabulary, merges).to_str(pretty=True))
    said = dict(backend="tokenizers", bos_token=START, eos_token=END, model_max_length=77, pad_token=pad,
                tokenizer_class="CLIPTokenizer", unk_token=END)
    write("tokenizer_config.json", json.dumps(said, indent=2) + "\n")


def captions(label, tags, short, draw):
    """What may be asked for when this one is wanted; first its label."""
    yield label
    for _ in range(CAPTIONS - 1):
        tags, kind = draw.sample(tags, len(tags)), draw.random()
        if kind < 0.40 or (not tags and kind < 0.80):
            yield label
        elif kind < 0.68:
            yield ", ".join([label, *tags[: draw.randint(1, 3)]])
        elif kind < 0.80:
            yield ", ".join(tags[: draw.randint(2, 5)]) if len(tags) > 1 else short
        elif kind < 0.84:
            yield short
        else:
            yield draw.choice(TEMPLATES).format(label)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--out", required=True, help="folder")
    out = arguments.parse_args().out
    found = emoji()
    colours = " ".join(COLOURS)
    texts = [text for label, tags, *_ in found for text in (label, " ".join(tags), f"an emoji of {label} on a {colours} background")]
    vocabulary, merges = byte_pairs(texts)
    save_tokenizer(os.path.join(out, "tokenizer"), vocabulary, merges, END)
    save_tokenizer(os.path.join(out, "tokenizer_2"), vocabulary, merges, "!")

    made, draw = tokenizer(vocabulary, merges), random.Random(0)
    padded = lambda ids, length: (ids + [0] * length)[:length]
    ids = lambda texts: [entry.ids for entry in made.encode_batch(list(texts), add_special_tokens=False)]
    tokens = [ids(captions(label, tags, short, draw)) for label, tags, short, *_ in found]
    suffixes = ids(f"on a {colour} background" for colour in COLOURS)
    numpy.savez_compressed(
        os.path.join(out, "emoji.npz"),
        pictures=numpy.stack([picture for *_, picture in found]),
        variant=numpy.array([variant for *_, variant, _ in found]),
        captions=numpy.array([[padded(ids, LONGEST) for ids in each] for each in tokens], numpy.int16),
        lengths=numpy.array([[min(len(ids), LONGEST) for ids in each] for each in tokens], numpy.int16),
        suffixes=numpy.array([padded(ids, 8) for ids in suffixes], numpy.int16),
        suffix_lengths=numpy.array([len(ids) for ids in suffixes], numpy.int16),
    )
    with open(os.path.join(out, "labels.json"), "w", encoding="utf-8") as file:
        json.dump([label for label, *_ in found], file, ensure_ascii=False, indent=0)
    print(f"{len(found)} pictures, {sum(not variant for *_, variant, _ in found)} of them no variants; {len(vocabulary)} entries")


if __name__ == "__main__":
    main()
