#!/usr/bin/env python3
"""What the tiny UNet's tensors are called in a single file, by diffusers' own conversion.

    make_single_file.py        writes single_file_names.json beside this file

All names that a single file can have are given to `convert_ldm_unet_checkpoint`, each with itself as its tensor, and what
diffusers calls them is turned round. Made with diffusers 0.42.1.
"""
import json
from pathlib import Path

from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
from safetensors import safe_open

from make import HERE, MODEL


class Name(str):
    """A tensor that is its name."""

    shape = (1,)


def candidates(config):
    """Every name that code of Stability's kind could have at this depth."""
    levels, layers = len(config["block_out_channels"]), config["layers_per_block"]
    depth = config["transformer_layers_per_block"]
    depth = depth if isinstance(depth, int) else max(depth)
    heads = ["time_embed.0", "time_embed.2", "label_emb.0.0", "label_emb.0.2", "input_blocks.0.0", "out.0", "out.2"]
    resnet = ["in_layers.0", "in_layers.2", "emb_layers.1", "out_layers.0", "out_layers.3", "skip_connection"]
    block = ["norm1", "norm2", "norm3", "ff.net.0.proj", "ff.net.2"]
    block += [f"attn{i}.{part}" for i in (1, 2) for part in ("to_q", "to_k", "to_v", "to_out.0")]
    attention = ["norm", "proj_in", "proj_out"]
    attention += [f"transformer_blocks.{i}.{part}" for i in range(depth) for part in block]
    for i in range(1, levels * (layers + 1)):
        heads += [f"input_blocks.{i}.0.op"] if i % (layers + 1) == 0 else [f"input_blocks.{i}.0.{r}" for r in resnet]
        heads += [f"input_blocks.{i}.1.{a}" for a in attention]
    heads += [f"middle_block.{i}.{r}" for i in (0, 2) for r in resnet] + [f"middle_block.1.{a}" for a in attention]
    for i in range(levels * (layers + 1)):
        heads += [f"output_blocks.{i}.0.{r}" for r in resnet] + [f"output_blocks.{i}.1.{a}" for a in attention]
        heads += [f"output_blocks.{i}.{j}.conv" for j in (1, 2)]
    return [f"{head}.{kind}" for head in heads for kind in ("weight", "bias")]


if __name__ == "__main__":
    config = json.loads((Path(MODEL) / "unet/config.json").read_text())
    with safe_open(Path(MODEL) / "unet/diffusion_pytorch_model.safetensors", "pt") as file:
        ours = {name for name in file.keys() if not name.endswith(".scale")}
    given = {f"model.diffusion_model.{name}": Name(name) for name in candidates(config)}
    converted = convert_ldm_unet_checkpoint(given, config)
    names = {name: str(converted[name]) for name in sorted(ours)}
    (HERE / "single_file_names.json").write_text(json.dumps(names, indent=0) + "\n")
