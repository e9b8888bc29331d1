#!/usr/bin/env python3
"""Reference values for schedulers, sizes, prompts and another UNet, by diffusers in float32.

    make.py [CASE …]    writes pipelines.json, unet.json and unet_guided.json beside this file

Values in the repository were made with diffusers 0.42.1, transformers 5.23.0 and torch 2.15.0 on one thread. Tensors
are kept as their norm and every n-th value.
"""
import json
import math
import sys
import tempfile
from pathlib import Path

import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel

torch.set_num_threads(1)
HERE = Path(__file__).resolve().parent
MODEL = HERE.parents[4] / "fixtures/models/emoji-sdxl"
LONG = "red apple and green pear on a blue background, " * 12
BASE = {"num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
CASES = [
    {"name": "euler-leading", "class": "EulerDiscreteScheduler", "steps": 7,
     "scheduler": {"timestep_spacing": "leading", "steps_offset": 1}},
    {"name": "euler-linspace-velocity", "class": "EulerDiscreteScheduler", "steps": 6,
     "scheduler": {"timestep_spacing": "linspace", "prediction_type": "v_prediction"}},
    {"name": "euler-trailing-sigma-min", "class": "EulerDiscreteScheduler", "steps": 7,
     "scheduler": {"timestep_spacing": "trailing", "final_sigmas_type": "sigma_min", "beta_schedule": "linear"}},
    {"name": "ddim-defaults", "class": "DDIMScheduler", "steps": 6, "scheduler": {}},
    {"name": "ddim-leading", "class": "DDIMScheduler", "steps": 7,
     "scheduler": {"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}},
    {"name": "ddim-trailing-velocity-zero-snr", "class": "DDIMScheduler", "steps": 6,
     "scheduler": {"timestep_spacing": "trailing", "prediction_type": "v_prediction", "clip_sample": False,
                   "rescale_betas_zero_snr": True}},
    {"name": "ddim-linspace-sample", "class": "DDIMScheduler", "steps": 3,
     "scheduler": {"timestep_spacing": "linspace", "prediction_type": "sample", "clip_sample": False}},
    {"name": "wide", "width": 96, "height": 56, "steps": 3, "negative_prompt": "blue"},
    {"name": "odd", "width": 40, "height": 72, "steps": 3, "guidance_scale": 1.0},
    {"name": "long-prompt", "prompt": LONG, "steps": 2},
    {"name": "empty-prompt", "prompt": "", "negative_prompt": "", "steps": 2},
    {"name": "special-characters", "prompt": "  Ünïcode CAFÉ №5, it's 100% “quoted”!!! <|endoftext|> 日本 🍎\n\ttail ",
     "negative_prompt": "!", "steps": 2},
    {"name": "tiled", "width": 388, "height": 268, "steps": 1, "vae_tiling": True},
]


def digest(tensor, count=48):
    flat = tensor.detach().double().flatten()
    stride = max(1, len(flat) // count)
    return {"shape": list(tensor.shape), "norm": flat.norm().item(), "stride": stride,
            "values": [float(f"{v:.8g}") for v in flat[::stride].tolist()]}


def pipelines(wanted):
    pipe = StableDiffusionXLPipeline.from_pretrained(MODEL, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    own = pipe.scheduler
    for case in CASES:
        if wanted and case["name"] not in wanted:
            continue
        case = {"prompt": "red apple", "negative_prompt": None, "guidance_scale": 5.0, "width": 64, "height": 64,
                "seed": 11} | case
        pipe.scheduler = own
        if "class" in case:
            kind = {c.__name__: c for c in (EulerDiscreteScheduler, DDIMScheduler)}[case["class"]]
            pipe.scheduler = kind(**(BASE | case["scheduler"]))
            with tempfile.TemporaryDirectory() as folder:
                pipe.scheduler.save_pretrained(folder)
                case["scheduler"] = json.loads((Path(folder) / "scheduler_config.json").read_text())
        shape = (1, 4, case["height"] // 4, case["width"] // 4)
        latents = torch.randn(shape, generator=torch.Generator("cpu").manual_seed(case["seed"]))
        pipe.vae.use_tiling = case.get("vae_tiling", False)
        pipe.vae.tile_latent_min_size, pipe.vae.tile_sample_min_size = 64, 256
        last = {}
        keep = lambda p, i, t, kw: last.update(latents=kw["latents"]) or kw
        embeds = pipe.encode_prompt(case["prompt"], do_classifier_free_guidance=False)
        image = pipe(case["prompt"], negative_prompt=case["negative_prompt"], num_inference_steps=case["steps"],
                     guidance_scale=case["guidance_scale"], width=case["width"], height=case["height"],
                     latents=latents, output_type="pt", callback_on_step_end=keep).images[0]
        case["times"] = [float(t) for t in pipe.scheduler.timesteps]
        case["prompt_embeds"] = digest(embeds[0])
        case["pooled_prompt_embeds"] = digest(embeds[2], 8)
        case["final_latents"] = digest(last["latents"])
        case["image_hwc"] = digest(image.permute(1, 2, 0))
        yield case


def unet(**more):
    """Another architecture, its weights drawn tensor by tensor in the order of their names."""
    config = more | {
        "sample_size": 12, "in_channels": 4, "out_channels": 4, "block_out_channels": [32, 64, 96],
        "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        "layers_per_block": [1, 2, 1], "transformer_layers_per_block": [1, 1, 2], "attention_head_dim": [2, 4, 3],
        "cross_attention_dim": 24, "norm_num_groups": 32, "norm_eps": 1e-5, "use_linear_projection": False,
        "addition_embed_type": "text_time", "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 20 + 6 * 8, "flip_sin_to_cos": False, "freq_shift": 1,
    }
    model = UNet2DConditionModel(**config).eval()
    tensors = sorted(model.state_dict().items())
    draw = lambda seed, shape: torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed))
    with torch.no_grad():
        for i, (name, tensor) in enumerate(tensors):
            z = draw(1000 + i, tensor.shape)
            if tensor.dim() > 1:
                z = z / math.sqrt(tensor[0].numel())
            elif "norm" in name and name.endswith("weight"):
                z = 1 + 0.1 * z
            else:
                z = 0.05 * z
            tensor.copy_(z)
        sizes = torch.tensor([[48.0, 40.0, 0.0, 0.0, 48.0, 40.0]])
        width = config.get("time_cond_proj_dim")
        scale = StableDiffusionXLPipeline.get_guidance_scale_embedding(None, torch.tensor([7.5 - 1]), width) if width else None
        out = model(draw(1, (1, 4, 13, 10)), 301, encoder_hidden_states=draw(2, (1, 7, 24)), timestep_cond=scale,
                    added_cond_kwargs={"text_embeds": draw(3, (1, 20)), "time_ids": sizes}).sample
    return {"config": config, "tensors": {n: list(t.shape) for n, t in tensors}, "output": digest(out, 64)}


def write(name, value):
    (HERE / name).write_text(json.dumps(value, separators=(",", ":")).replace('},"', '},\n"').replace('},{', '},\n{') + "\n")


if __name__ == "__main__":
    write("pipelines.json", list(pipelines(sys.argv[1:])))
    write("unet.json", unet())
    write("unet_guided.json", unet(time_cond_proj_dim=20))
