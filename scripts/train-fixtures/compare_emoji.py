#!/usr/bin/env python3
"""What emoji models are worth: the sharpness of the VAE, how often the CLIP names the right emoji among all, what the
teacher draws and the student makes of it, as the CLIP sees them. One line for each folder of models, read as fixtures/models.

    scripts/train-fixtures/compare_emoji.py --data data fixtures/models models
"""
import argparse
import json

import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch.nn import functional as F
from transformers import CLIPModel

import emoji_models as emoji
from emoji_models import DEVICE, SIGMAS, Data
from train_emoji import load_teacher, sharpness

LABELS = 240


def unet_of(folder):
    """A UNet, whose tensors may be int8 with a scale for each index of the first dimension."""
    model = emoji.unet()
    stored = load_file(folder + "/diffusion_pytorch_model.safetensors")
    weights = {}
    for name, tensor in stored.items():
        if name + ".scale" in stored:
            tensor = tensor.float() * stored[name + ".scale"].view(-1, *[1] * (tensor.dim() - 1))
        if not name.endswith(".scale"):
            weights[name] = tensor.float()
    model.load_state_dict(weights)
    return model.to(DEVICE).eval()


@torch.no_grad()
def drawn(data, vae, encoders, model, tokens, steps, guidance):
    """Pictures by Euler's steps, from one set of latents."""
    states, pooled = emoji.encode(encoders, data, tokens)
    noise = torch.randn(len(tokens), 4, 16, 16, generator=torch.Generator().manual_seed(3)).to(DEVICE)
    times = torch.tensor(emoji.trailing(steps), device=DEVICE)
    sigmas = torch.cat([SIGMAS[times], torch.zeros(1, device=DEVICE)])
    x = noise * (sigmas[0] ** 2 + 1).sqrt()
    for step in range(steps):
        each = lambda value: value.expand(len(x))
        x = x + (sigmas[step + 1] - sigmas[step]) * emoji.noise_of(model, x, each(sigmas[step]), each(times[step]), states, pooled, guidance)
    return vae.decode(x).sample.clamp(-1, 1)


def tokens_of(data, tokenizer):
    """Labels in a vocabulary of the models' own."""
    made = Tokenizer.from_file(tokenizer)
    ids = [entry.ids[:75] for entry in made.encode_batch(data.labels, add_special_tokens=False)]
    rows = [[data.start, *each, *[data.end] * (76 - len(each))] for each in ids]
    return torch.tensor(rows, device=DEVICE)


def figures(data, folder):
    vae = AutoencoderKL.from_pretrained(folder + "/emoji-sdxl/vae").float().to(DEVICE).eval()
    encoders, teacher = load_teacher(data, folder + "/emoji-sdxl")
    student = unet_of(folder + "/emoji-sdxl-student/unet")
    clip = CLIPModel.from_pretrained(folder + "/emoji-clip").float().to(DEVICE).eval()
    unit = lambda x: F.normalize(x, dim=-1)
    seen = lambda x: unit(clip.visual_projection(clip.vision_model(pixel_values=x).pooler_output))
    read = lambda tokens: unit(clip.text_projection(clip.text_model(input_ids=tokens).pooler_output))
    plain = torch.nonzero(~data.variant)[:, 0]
    labels = tokens_of(data, folder + "/emoji-sdxl/tokenizer/tokenizer.json")
    with torch.no_grad():
        names = torch.cat([read(labels[part]) for part in plain.split(256)])
        which = plain[torch.randperm(len(plain), generator=torch.Generator().manual_seed(5))[:LABELS].to(DEVICE)]
        own = (plain[None] == which[:, None]).int().argmax(1)
        first = lambda pictures: (seen(pictures) @ names.T).argmax(1).eq(own).float().mean().item()
        tokens = labels[which]
        by_teacher = drawn(data, vae, encoders, teacher.eval(), tokens, 20, 5.0)
        by_student = drawn(data, vae, encoders, student, tokens, 5, None)
        alike = lambda a, b: (seen(a) * seen(b)).sum(1).mean().item()
        fits = lambda pictures: (seen(pictures) * names[own]).sum(1).mean().item()
    return {
        "folder": folder,
        "vae_db": round(sharpness(data, vae), 2),
        "clip_names_originals": round(first(data.on_white(which)), 3),
        "clip_names_teacher": round(first(by_teacher), 3),
        "clip_names_student": round(first(by_student), 3),
        "teacher_to_text": round(fits(by_teacher), 3),
        "student_to_text": round(fits(by_student), 3),
        "student_to_teacher": round(alike(by_student, by_teacher), 3),
    }, by_teacher


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="what emoji_data.py wrote")
    parser.add_argument("--show", help="a PNG of some pictures, a row for each folder")
    parser.add_argument("folders", nargs="+")
    a = parser.parse_args()
    rows = []
    data = Data(a.data)
    for folder in a.folders:
        found, pictures = figures(data, folder)
        rows.append(pictures[:16])
        print(json.dumps(found), flush=True)
    if a.show:
        from PIL import Image
        wide = torch.cat([torch.cat(list(row), 2) for row in rows], 1)
        pixels = ((wide + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()
        Image.fromarray(pixels).save(a.show)


if __name__ == "__main__":
    main()
