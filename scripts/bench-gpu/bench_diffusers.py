"""Times diffusers on what checkpoint.py made: one JSON object a line, as examples/gpu.rs prints them.

usage: bench_diffusers.py CHECKPOINT PICTURE.npy [compile | vae]
compile: torch.compile too; vae: the decoder in f32 and nothing else
"""
import json
import os
import sys
import time

os.environ["HF_HUB_OFFLINE"] = "1"
import diffusers
import torch
from diffusers import StableDiffusionXLPipeline
from safetensors.torch import load_file


def times(work, n=20):
    ms = []
    for i in range(n + 3):
        torch.cuda.synchronize()
        t = time.perf_counter()
        work()
        torch.cuda.synchronize()
        if i >= 3:
            ms.append((time.perf_counter() - t) * 1e3)
    return sorted(ms)


def say(what, dtype, ms, **more):
    print(json.dumps(dict(what="diffusers " + what, dtype=dtype, median_ms=round(ms[len(ms) // 2], 3), min_ms=round(ms[0], 3),
                          max_ms=round(ms[-1], 3), runs=len(ms), **more)), flush=True)


def error(a, b):
    return ((a.float() - b).norm() / b.norm()).item()


def decoder(pipe, vio):
    pipe.vae.float()
    decode = lambda: pipe.vae.decode(vio["z"]).sample
    with torch.inference_mode():
        wrong = error(decode(), vio["image"])
        say("vae" if os.environ.get("NVIDIA_TF32_OVERRIDE") == "0" else "vae, TF32", "F32", times(decode, 10), error=wrong)


def main():
    root, out = sys.argv[1:3]
    began = time.time()
    pipe = StableDiffusionXLPipeline.from_pretrained(root, torch_dtype=torch.float16, add_watermarker=False).to("cuda")
    pipe.set_progress_bar_config(disable=True)
    print(json.dumps(dict(what="versions", diffusers=diffusers.__version__, torch=torch.__version__,
                          cudnn=torch.backends.cudnn.version(), gpu=torch.cuda.get_device_name(0),
                          load_s=round(time.time() - began, 1))), flush=True)
    vio = {k: v.cuda() for k, v in load_file(os.path.join(root, "vae.safetensors")).items()}
    if "vae" in sys.argv[3:]:
        return decoder(pipe, vio)
    io = {k: v.cuda() for k, v in load_file(os.path.join(root, "step.safetensors")).items()}
    x, ctx, te = io["x"].half(), io["ctx"].half(), io["te"].half()
    added = dict(text_embeds=te, time_ids=io["ids"].repeat(2, 1).half())
    unet = pipe.unet
    step = lambda t=801: unet(x, t, encoder_hidden_states=ctx, added_cond_kwargs=added).sample
    with torch.inference_mode():
        wrong = error(step(), io["y"])
        say("step, eager", "F16", times(step), error=wrong)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        t = torch.full((1,), 801, device="cuda", dtype=torch.int64)
        with torch.cuda.stream(side):
            for _ in range(3):
                step(t)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step(t)
        say("step, graph", "F16", times(graph.replay))
        del graph
        z = vio["z"].half()
        decode = lambda: pipe.vae.decode(z).sample
        wrong = error(decode(), vio["image"])
        say("vae", "F16", times(decode, 10), error=wrong)
        say("step, eager, again", "F16", times(step))
    latents = torch.randn((1, 4, 128, 128), generator=torch.Generator("cpu").manual_seed(1))
    picture = lambda kind="np": pipe("red apple", negative_prompt="blue", num_inference_steps=20, guidance_scale=5.0,
                                     height=1024, width=1024, latents=latents.cuda().half(), output_type=kind).images
    import numpy
    numpy.save(out, (picture()[0] * 255).round().astype("uint8"))
    say("picture", "F16", times(lambda: picture("pil"), 5))
    decoder(pipe, vio)
    if "compile" in sys.argv[3:]:
        unet.to(memory_format=torch.channels_last)
        unet.fuse_qkv_projections()
        began = time.time()
        fast = torch.compile(unet, mode="reduce-overhead", fullgraph=True)
        run = lambda: fast(x, t, encoder_hidden_states=ctx, added_cond_kwargs=added).sample
        with torch.inference_mode():
            run()
            say("step, compiled", "F16", times(run), compile_s=round(time.time() - began, 1))


main()
