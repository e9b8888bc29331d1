"""StableDiffusionXLPipeline of diffusers behind the EdgeMaxx protocol.

Needs torch, diffusers and transformers. In a contest:

    [engine]
    command = ["python3", "diffusers_engine.py"]
"""

import copy
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import edgemaxx_engine


def load(job):
    import diffusers
    import torch

    settings = job["settings"]
    if job["task"] != "picture" or set(job["replaced"]) - {"unet"}:
        raise edgemaxx_engine.Refusal("this engine makes pictures, with another unet at most")
    torch.set_num_threads(job["threads"])
    # The same bits every time. `use_deterministic_algorithms` is not needed for it on one stream, and wants
    # CUBLAS_WORKSPACE_CONFIG, which PyTorch reads before every product: half the speed where launches are the limit.
    torch.backends.cudnn.deterministic = True
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}[settings["dtype"]]

    parts = {}
    folder = job["replaced"].get("unet")
    if folder:
        parts["unet"] = diffusers.UNet2DConditionModel.from_pretrained(
            folder, torch_dtype=dtype, use_safetensors=True
        )
    pipe = diffusers.StableDiffusionXLPipeline.from_pretrained(
        job["checkpoint"], torch_dtype=dtype, use_safetensors=True, add_watermarker=False, **parts
    ).to(device)
    pipe.set_progress_bar_config(disable=True)
    if settings.get("scheduler"):
        name = settings["scheduler"]
        if not hasattr(diffusers, name):
            raise edgemaxx_engine.Refusal("diffusers has no scheduler %r" % name)
        pipe.scheduler = getattr(diffusers, name).from_config(pipe.scheduler.config)
    if settings.get("vae_tiling"):
        pipe.vae.enable_tiling()
        # tiles of 64 x 64 latents, as the built-in engine's: diffusers' own are as large as an SDXL picture
        pipe.vae.tile_latent_min_size = 64
        pipe.vae.tile_sample_min_size = 64 * pipe.vae_scale_factor
    config = copy.deepcopy(pipe.scheduler.config)

    def generate(request):
        # a fresh scheduler for each picture: some keep state between them
        pipe.scheduler = type(pipe.scheduler).from_config(config)
        if getattr(pipe.scheduler, "noise_sampler_seed", 0) is None:
            # a Brownian tree's seed, which diffusers draws from no generator that anybody seeded
            pipe.scheduler.noise_sampler_seed = request["seed"]
        with torch.inference_mode():
            return pipe(
                prompt=request["prompt"],
                negative_prompt=request["negative_prompt"] or None,
                num_inference_steps=request["steps"],
                guidance_scale=request["guidance_scale"],
                width=request["width"],
                height=request["height"],
                # the pipeline multiplies by init_noise_sigma itself
                latents=request.torch_latents(device, dtype),
                generator=torch.Generator("cpu").manual_seed(request["seed"]),
                output_type="pil",
            ).images[0]

    return generate, {"latent_channels": pipe.unet.config.in_channels, "vae_scale_factor": pipe.vae_scale_factor}


if __name__ == "__main__":
    import importlib.metadata

    edgemaxx_engine.serve("diffusers", importlib.metadata.version("diffusers"), load)
