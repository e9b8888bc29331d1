#!/usr/bin/env python3
"""Writes an LPIPS folder (config.json, model.safetensors) that `edgemaxx` reads.

The heads come from PyPI `lpips` 0.1.4 (BSD), the backbone from torchvision's ImageNet weights or from a
state dict you name. Neither is shipped with EdgeMaxx: mind the backbone's licence.

    pip install torch torchvision lpips safetensors
    scripts/convert-lpips.py --net alex --out lpips-alex
"""
import argparse
import json
import os


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", choices=["alex", "vgg"], default="alex", help="backbone (default: alex)")
    parser.add_argument("--backbone", metavar="FILE", help="torchvision state dict (.pth) of alexnet or vgg16; default: download")
    parser.add_argument("--random", type=int, metavar="SEED", help="random backbone instead, for tests")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write")
    args = parser.parse_args()

    import lpips
    import torch
    import torchvision
    from safetensors.torch import save_file

    build = {"alex": torchvision.models.alexnet, "vgg": torchvision.models.vgg16}[args.net]
    if args.random is not None:
        torch.manual_seed(args.random)
        state = build(weights=None).state_dict()
    elif args.backbone:
        state = torch.load(args.backbone, map_location="cpu", weights_only=True)
    else:
        state = build(weights="IMAGENET1K_V1").state_dict()

    heads = os.path.join(os.path.dirname(lpips.__file__), "weights", "v0.1", args.net + ".pth")
    heads = torch.load(heads, map_location="cpu", weights_only=True)
    tensors = {k: v.float().contiguous() for k, v in state.items() if k.startswith("features.")}
    for i in range(5):
        tensors[f"lin{i}.weight"] = heads[f"lin{i}.model.1.weight"].float().flatten().contiguous()
    os.makedirs(args.out, exist_ok=True)
    save_file(tensors, os.path.join(args.out, "model.safetensors"))
    with open(os.path.join(args.out, "config.json"), "w") as f:
        json.dump({"net": args.net, "version": "0.1"}, f)
        f.write("\n")


if __name__ == "__main__":
    main()
