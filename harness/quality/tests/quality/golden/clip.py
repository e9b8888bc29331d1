#!/usr/bin/env python3
"""Writes clip.json: digests of pictures resized by Pillow, and cosines of the tiny CLIP by transformers.

Needs what metrics.py needs, and transformers 5.23.0 with torch 2.15.0, Pillow 13.0.0.

    python clip.py ../../../../fixtures/models/emoji-clip > clip.json
"""
import hashlib, json, sys
import numpy as np, torch
from PIL import Image
from transformers import CLIPModel, CLIPTokenizerFast
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from metrics import changed, picture

resizes = []
for seed, (w, h, to_w, to_h) in enumerate([(64, 64, 224, 224), (100, 37, 64, 64), (1024, 1024, 224, 224), (333, 517, 224, 347),
                                           (517, 333, 31, 333), (300, 200, 300, 64), (7, 9, 50, 3), (640, 480, 1, 1),
                                           # on both sides of where Pillow 13 swaps the passes
                                           (500, 2000, 224, 896), (40, 60, 30, 40), (40, 60, 30, 39), (29, 29, 37, 31)]):
    for number in (1, 2, 3):
        out = np.array(Image.fromarray(picture(w, h, seed)).resize((to_w, to_h), number))
        resizes.append(dict(width=w, height=h, seed=seed, to_width=to_w, to_height=to_h, filter=number,
                            sha256=hashlib.sha256(out.tobytes()).hexdigest()))

folder = sys.argv[1]
model = CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()
tokenizer = CLIPTokenizerFast.from_pretrained(folder)
processor = CLIPImageProcessorPil.from_pretrained(folder)

def embed(p):
    pixels = processor(Image.fromarray(p), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        out = model.visual_projection(model.vision_model(pixel_values=pixels).pooler_output)
    return torch.nn.functional.normalize(out, dim=-1)[0]

def text(prompt):
    ids = tokenizer(prompt, padding="max_length", truncation=True, max_length=77, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        out = model.text_projection(model.text_model(input_ids=ids).pooler_output)
    return torch.nn.functional.normalize(out, dim=-1)[0]

cosines = []
sizes = [(64, 64), (65, 97), (96, 64), (200, 161), (173, 211), (512, 512), (640, 360), (1024, 1024), (60, 200), (31, 40)]
prompts = ["a red apple", "dog face on a pink background", "", "Émoji Ünïcode 12345 !?", "word " * 120]
for i in range(50):
    w, h = sizes[i % len(sizes)]
    kind, amount = [("noise", 40), ("shift", 9), ("dim", 90), ("other", 7)][i % 4]
    a = picture(w, h, i)
    b = changed(a, kind, amount, i)
    ea, eb, t = embed(a), embed(b), text(prompts[i % 5])
    cosines.append(dict(width=w, height=h, seed=i, kind=kind, amount=amount, prompt=prompts[i % 5],
                        image=float(ea @ eb), text_a=float(ea @ t), text_b=float(eb @ t)))
lines = lambda rows: "[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]"
print('{"resizes": ' + lines(resizes) + ',\n"cosines": ' + lines(cosines) + "}")
