#!/usr/bin/env python3
"""Reference values for LoRAs merged into the tiny UNet, by diffusers and PEFT in float32.

    make_lora.py        writes lora.json beside this file

The factors are drawn from PyTorch's generator, tensor by tensor in the order of their names, from the seed 500 on, times
0.2. Values in the repository were made with diffusers 0.42.1, peft 0.21.2 and torch 2.15.0 on one thread.
"""
import json
from pathlib import Path

import torch
from diffusers import StableDiffusionXLPipeline

from make import HERE, MODEL, digest

RANK = 4


def names(pipe, kind):
    """Modules that are changed, and what their factors are called."""
    wanted = ("attn1.to_q", "attn2.to_out.0", "ff.net.0.proj", "resnets.0.conv1", "time_emb_proj", "conv_shortcut")
    for name, module in pipe.unet.named_modules():
        if name.endswith(wanted) and hasattr(module, "weight"):
            out, *inner = module.weight.shape
            down, up = (RANK, *inner), (out, RANK, *[1] * (len(inner) - 1))
            if kind == "peft":
                yield f"unet.{name}.lora_A.weight", down
                yield f"unet.{name}.lora_B.weight", up
            else:
                flat = "lora_unet_" + name.replace(".", "_")
                yield f"{flat}.lora_down.weight", down
                yield f"{flat}.lora_up.weight", up
                yield f"{flat}.alpha", ()


def draw(tensors):
    for i, (name, shape) in enumerate(sorted(tensors)):
        noise = torch.randn(shape, generator=torch.Generator("cpu").manual_seed(500 + i))
        yield name, torch.tensor(2.0) if name.endswith("alpha") else 0.2 * noise


def case(kind):
    pipe = StableDiffusionXLPipeline.from_pretrained(MODEL, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    tensors = list(names(pipe, kind))
    pipe.load_lora_weights(dict(draw(tensors)))
    pipe.fuse_lora()
    latents = torch.randn((1, 4, 16, 16), generator=torch.Generator("cpu").manual_seed(11))
    final = pipe("red apple", num_inference_steps=2, guidance_scale=5.0, width=64, height=64, latents=latents,
                 output_type="latent").images
    return {"tensors": {name: list(shape) for name, shape in sorted(tensors)}, "final_latents": digest(final)}


if __name__ == "__main__":
    torch.set_num_threads(1)
    (HERE / "lora.json").write_text(json.dumps([case("peft"), case("kohya")], separators=(",", ":")).replace("},{", "},\n{") + "\n")
