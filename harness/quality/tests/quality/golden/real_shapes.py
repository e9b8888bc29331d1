#!/usr/bin/env python3
"""Writes CLIPs of real shapes with random weights, and their cosines by transformers, for ../real_shapes.rs.

    python real_shapes.py FOLDER [b32 l14 bigg ...]
    EDGEMAXX_REAL_SHAPES=FOLDER cargo test --release -p edgemaxx-quality --test quality real_shapes -- --ignored

The tokenizer is the tiny fixture's. Not committed: 0.3, 0.9 and 5 GB in f16.
"""
import json, os, shutil, sys
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPModel, CLIPTokenizerFast
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from metrics import changed, picture

FIXTURE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../../../fixtures/models/emoji-clip")
SHAPES = {  # text (width, mlp, layers, heads), vision (same), patch, projection, activation
    "b32": ((512, 2048, 12, 8), (768, 3072, 12, 12), 32, 512, "quick_gelu"),
    "l14": ((768, 3072, 12, 12), (1024, 4096, 24, 16), 14, 768, "quick_gelu"),
    "bigg": ((1280, 5120, 32, 20), (1664, 8192, 48, 16), 14, 1280, "gelu"),
}
PAIRS = [(224, 224, 1, "noise", 60), (512, 384, 2, "other", 7), (300, 640, 3, "shift", 40)]
PROMPT = "a dog face on a pink background"

def side(shape, act, projection, **more):
    width, mlp, layers, heads = shape
    return dict(hidden_size=width, intermediate_size=mlp, num_hidden_layers=layers, num_attention_heads=heads,
                hidden_act=act, projection_dim=projection, **more)

for name in sys.argv[2:] or SHAPES:
    text, vision, patch, projection, act = SHAPES[name]
    folder = os.path.join(sys.argv[1], name)
    torch.manual_seed(1)
    config = CLIPConfig(text_config=side(text, act, projection, bos_token_id=3070, eos_token_id=3071, pad_token_id=3071),
                        vision_config=side(vision, act, projection, patch_size=patch, image_size=224), projection_dim=projection)
    model = CLIPModel(config).half()
    model.save_pretrained(folder, max_shard_size="2GB")
    model = model.float().eval()
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(os.path.join(FIXTURE, file), folder)
    settings = json.load(open(os.path.join(FIXTURE, "preprocessor_config.json")))
    settings.update(crop_size=224, size={"shortest_edge": 224})
    json.dump(settings, open(os.path.join(folder, "preprocessor_config.json"), "w"))
    processor, tokenizer = CLIPImageProcessorPil.from_pretrained(folder), CLIPTokenizerFast.from_pretrained(folder)
    normal = torch.nn.functional.normalize
    rows = []
    with torch.no_grad():
        ids = tokenizer(PROMPT, padding="max_length", max_length=77, return_tensors="pt")["input_ids"]
        t = normal(model.text_projection(model.text_model(input_ids=ids).pooler_output))[0]
        for w, h, seed, kind, amount in PAIRS:
            a = picture(w, h, seed)
            pixels = processor([Image.fromarray(a), Image.fromarray(changed(a, kind, amount, seed))], return_tensors="pt")
            e = normal(model.visual_projection(model.vision_model(pixel_values=pixels["pixel_values"]).pooler_output))
            rows.append(dict(width=w, height=h, seed=seed, kind=kind, amount=amount, prompt=PROMPT,
                             image=float(e[0] @ e[1]), text_a=float(e[0] @ t), text_b=float(e[1] @ t)))
    json.dump(rows, open(os.path.join(folder, "reference.json"), "w"))
    print(name, rows)
