#!/usr/bin/env python3
"""Ask the tiny CLIP whether the tiny SDXL draws what each caption names.

Every caption ("LABEL" or "LABEL on a COLOUR background") is drawn once by the
teacher in float32 on the CPU, from the latents of its line's number plus
--seed. A caption counts as drawn when the CLIP names the right label first
among all labels of the vocabulary (with the same background in every text) and,
where a background is asked for, the four corners of the picture are closer to
that colour than to the ten others.

Prints one line per caption (verdict, cosine, what the CLIP named, caption),
then the rates. Needs torch, diffusers and transformers, and two npm packages
unpacked: emojibase-data 17 and emoji-datasource-google 16.0.0. Example:

    scripts/score-emoji-prompts.py prompts/emoji-v1.txt \\
        --emojibase emojibase/en/data.json --datasource google/emoji.json
"""

import argparse
import json
import re
from pathlib import Path

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
COLOURS = {
    "white": (255, 255, 255), "black": (0, 0, 0), "gray": (128, 128, 128),
    "red": (225, 45, 45), "orange": (245, 140, 30), "yellow": (250, 220, 60),
    "green": (60, 175, 75), "blue": (50, 110, 230), "purple": (140, 70, 180),
    "pink": (250, 150, 190), "brown": (130, 85, 50),
}
CAPTION = re.compile(r"(.+?)(?: on a (\w+) background)?")


def vocabulary(emojibase, datasource):
    """Labels of the emoji the models were trained on, skin-tone variants apart."""
    plain = lambda code: re.sub("-?FE0F", "", code.upper())
    drawn = {plain(e["unified"]) for e in json.loads(datasource.read_text()) if e["has_img_google"]}
    return [e["label"] for e in json.loads(emojibase.read_text()) if plain(e["hexcode"]) in drawn]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captions", type=Path)
    parser.add_argument("--emojibase", type=Path, required=True, metavar="FILE")
    parser.add_argument("--datasource", type=Path, required=True, metavar="FILE")
    parser.add_argument("--models", type=Path, default=FIXTURES / "models", metavar="DIR")
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance-scale", type=float, default=5.0)
    parser.add_argument("--batch", type=int, default=16)
    args = parser.parse_args()

    import torch
    from diffusers import StableDiffusionXLPipeline
    from torch.nn.functional import normalize
    from transformers import CLIPModel

    pipe = StableDiffusionXLPipeline.from_pretrained(
        args.models / "emoji-sdxl", torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    clip = CLIPModel.from_pretrained(args.models / "emoji-clip", torch_dtype=torch.float32).eval()
    labels = vocabulary(args.emojibase, args.datasource)
    row = {label.lower(): i for i, label in enumerate(labels)}
    palette = torch.tensor(list(COLOURS.values())) / 255

    @torch.no_grad()
    def texts(background):
        suffix = f" on a {background} background" if background else ""
        parts = []
        for i in range(0, len(labels), 256):
            ids = pipe.tokenizer([label + suffix for label in labels[i : i + 256]],
                                 padding=True, return_tensors="pt").input_ids
            parts.append(clip.text_projection(clip.text_model(input_ids=ids).pooler_output))
        return normalize(torch.cat(parts), dim=-1)

    embedded = {}
    captions = args.captions.read_text().splitlines()
    good = {False: [], True: []}
    for start in range(0, len(captions), args.batch):
        batch = captions[start : start + args.batch]
        latents = torch.cat([
            torch.randn((1, 4, 16, 16), generator=torch.Generator("cpu").manual_seed(args.seed + i))
            for i in range(start, start + len(batch))])
        images = pipe(batch, num_inference_steps=args.steps, guidance_scale=args.guidance_scale,
                      height=64, width=64, latents=latents, output_type="pt").images
        with torch.no_grad():
            seen = normalize(clip.visual_projection(
                clip.vision_model(pixel_values=images * 2 - 1).pooler_output), dim=-1)
        for caption, image, vector in zip(batch, images, seen):
            label, background = CAPTION.fullmatch(caption).groups()
            if background not in embedded:
                embedded[background] = texts(background)
            scores = embedded[background] @ vector
            named = int(scores.argmax())
            right = row[label.lower()]
            verdict = named == right
            if background:
                corners = image[:, [[2], [61]], [[2, 61]]].reshape(3, -1).median(dim=1).values
                nearest = list(COLOURS)[int((palette - corners).norm(dim=1).argmin())]
                verdict = verdict and nearest == background
            good[background is not None].append(verdict)
            print(f"{'yes' if verdict else 'no '} {float(scores[right]):.3f} "
                  f"{labels[named]!r:40} {caption}", flush=True)
    for coloured, name in ((False, "plain"), (True, "on a background")):
        if good[coloured]:
            print(f"{name}: {sum(good[coloured])} of {len(good[coloured])} drawn as named")


if __name__ == "__main__":
    main()
