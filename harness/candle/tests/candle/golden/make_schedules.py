#!/usr/bin/env python3
"""Reference values for the arithmetic of schedulers, by diffusers in float32, with a made-up model.

    make_schedules.py        writes schedules.json beside this file

The model answers 0.3 times its input and 0.5 times noise of the seed 900 + call. Noise on the way comes from the generator
that drew the initial latents, as in diffusers' pipelines, and a step gets η = 0 where it takes one, as from
StableDiffusionXLPipeline. A Brownian tree without a seed of its own gets the generator's, where diffusers would draw one of
no seed, and its levels come of roots, logarithms and exponentials that are rounded correctly (`rounded_right`): PyTorch's differ from
machine to machine in the last bit, which moves an end of an interval by 1e-6 and the noise by a thousandth. How far the
unchanged ones lead away is printed. Values in the repository were made with diffusers 0.42.1, torch 2.15.0 and torchsde 0.2.6 on one thread.
"""
import contextlib
import inspect
import json
import sys
import tempfile
from pathlib import Path

import diffusers
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
torch.set_num_threads(1)
HERE = Path(__file__).resolve().parent
SDXL = {"num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
LEADING = {"timestep_spacing": "leading", "steps_offset": 1}
EULER, ANCESTRAL, DPM = "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler", "DPMSolverMultistepScheduler"
SINGLE, UNIPC, SDE = "DPMSolverSinglestepScheduler", "UniPCMultistepScheduler", "DPMSolverSDEScheduler"
SPREADS = ["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"]
CASES = [
    (EULER, 8, {}),
    *[(EULER, 9, {spread: True} | LEADING) for spread in SPREADS],
    (EULER, 6, {"use_karras_sigmas": True, "sigma_min": 0.05, "sigma_max": 10.0, "timestep_spacing": "trailing"}),
    (EULER, 1, {"timestep_spacing": "trailing"}),
    (ANCESTRAL, 8, LEADING),
    (ANCESTRAL, 1, {"timestep_spacing": "trailing"}),
    (ANCESTRAL, 5, {"prediction_type": "v_prediction", "timestep_spacing": "trailing", "rescale_betas_zero_snr": True}),
    (DPM, 8, LEADING),
    (DPM, 20, {}),
    *[(DPM, 10, {spread: True}) for spread in SPREADS],
    (DPM, 8, {"use_karras_sigmas": True, "algorithm_type": "sde-dpmsolver++"} | LEADING),
    (DPM, 16, {"algorithm_type": "sde-dpmsolver++", "solver_type": "heun", "final_sigmas_type": "sigma_min"}),
    (DPM, 17, {"solver_order": 3, "timestep_spacing": "trailing"}),
    (DPM, 17, {"solver_order": 3, "algorithm_type": "sde-dpmsolver++"}),
    (DPM, 6, {"solver_order": 3, "solver_type": "heun", "final_sigmas_type": "sigma_min", "lower_order_final": False}),
    (DPM, 7, {"beta_schedule": "squaredcos_cap_v2", "lambda_min_clipped": -5.1}),
    (DPM, 6, {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}),
    (DPM, 5, {"solver_order": 1, "euler_at_final": True, "prediction_type": "sample"}),
    (DPM, 1, {}),
    (SINGLE, 8, {}),
    (SINGLE, 7, {"use_karras_sigmas": True, "algorithm_type": "sde-dpmsolver++"}),
    (SINGLE, 6, {"solver_type": "heun", "final_sigmas_type": "sigma_min"}),
    (UNIPC, 8, {}),
    (UNIPC, 9, {"solver_order": 3, "use_karras_sigmas": True} | LEADING),
    (UNIPC, 7, {"solver_type": "bh1", "disable_corrector": [0, 2], "timestep_spacing": "trailing",
               "final_sigmas_type": "sigma_min"}),
    (UNIPC, 8, {"predict_x0": False, "final_sigmas_type": "sigma_min", "use_exponential_sigmas": True}),
    (UNIPC, 6, {"prediction_type": "v_prediction", "use_beta_sigmas": True, "solver_order": 3, "solver_type": "bh1",
               "final_sigmas_type": "sigma_min"}),
    ("LCMScheduler", 4, {}),
    ("LCMScheduler", 7, {"original_inference_steps": 100, "clip_sample": True, "prediction_type": "v_prediction"}),
    ("LCMScheduler", 1, {}),
    ("TCDScheduler", 4, {}),
    ("TCDScheduler", 3, {"prediction_type": "sample", "original_inference_steps": 60}),
    ("DDPMScheduler", 8, {}),
    ("DDPMScheduler", 6, {"variance_type": "fixed_large", "clip_sample": False, "timestep_spacing": "trailing"}),
    ("DDPMScheduler", 6, {"variance_type": "fixed_small_log", "prediction_type": "v_prediction"} | LEADING),
    ("PNDMScheduler", 8, {"skip_prk_steps": True} | LEADING),
    ("PNDMScheduler", 3, {"skip_prk_steps": True, "set_alpha_to_one": True, "prediction_type": "v_prediction"}),
    ("PNDMScheduler", 1, {"skip_prk_steps": True}),
    ("LMSDiscreteScheduler", 8, {}),
    ("LMSDiscreteScheduler", 6, {"use_karras_sigmas": True, "prediction_type": "v_prediction"} | LEADING),
    ("HeunDiscreteScheduler", 6, {}),
    ("HeunDiscreteScheduler", 5, {"use_karras_sigmas": True, "clip_sample": True} | LEADING),
    ("HeunDiscreteScheduler", 1, {"timestep_spacing": "trailing"}),
    ("DDIMScheduler", 5, {"clip_sample": False, "set_alpha_to_one": False} | LEADING),
    (SDE, 8, LEADING),
    (SDE, 20, {"use_karras_sigmas": True}),
    *[(SDE, 7, {spread: True} | LEADING) for spread in SPREADS],
    (SDE, 5, {"prediction_type": "v_prediction", "timestep_spacing": "trailing", "noise_sampler_seed": 5_000_000_000}),
    (SDE, 1, {}),
]


def randn(shape, seed):
    return torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed))


@contextlib.contextmanager
def rounded_right():
    """Square roots, and logarithms and exponentials of single numbers, to the last bit."""
    own = {name: getattr(torch.Tensor, name) for name in ["log", "exp", "__pow__"]}
    for name in ["log", "exp"]:
        setattr(torch.Tensor, name, lambda t, f=own[name]: f(t.double()).float() if t.ndim == 0 else f(t))
    power = own["__pow__"]
    torch.Tensor.__pow__ = lambda t, e: t.double().sqrt().float() if e == 0.5 else power(t, e)
    try:
        yield
    finally:
        for name, function in own.items():
            setattr(torch.Tensor, name, function)


def way(name, steps, own, shape):
    scheduler = getattr(diffusers, name)(**(SDXL | own))
    scheduler.set_timesteps(steps)
    generator = torch.Generator("cpu").manual_seed(21)
    x = torch.randn(shape, generator=generator) * scheduler.init_noise_sigma
    takes = inspect.signature(scheduler.step).parameters
    if getattr(scheduler, "noise_sampler_seed", 0) is None:
        scheduler.noise_sampler_seed = 21
    extra = {key: value for key, value in {"eta": 0.0, "generator": generator}.items() if key in takes}
    for call, t in enumerate(scheduler.timesteps):
        output = 0.3 * scheduler.scale_model_input(x, t) + 0.5 * randn(shape, 900 + call)
        x = scheduler.step(output, t, x, return_dict=False, **extra)[0]
    return scheduler, x


def run(name, steps, own, shape):
    with rounded_right() if name == SDE else contextlib.nullcontext():
        scheduler, x = way(name, steps, own, shape)
    if name == SDE:
        plain = way(name, steps, own, shape)[1]
        print(name, steps, own, f"unchanged: {((plain - x).norm() / x.norm()).item():.1e}")
    with tempfile.TemporaryDirectory() as folder:
        scheduler.save_pretrained(folder)
        config = (Path(folder) / "scheduler_config.json").read_text()
    flat = x.flatten()
    assert flat.isfinite().all(), (name, own)
    stride = max(1, len(flat) // 12)
    return {"steps": steps, "shape": list(shape), "config": config,
            "scale": float(scheduler.init_noise_sigma), "times": [float(t) for t in scheduler.timesteps],
            "norm": flat.double().norm().item(), "stride": stride,
            "values": [float(f"{v:.8g}") for v in flat[::stride].tolist()]}


if __name__ == "__main__":
    # the second shape's size is no multiple of 16, where PyTorch draws the tail anew
    cases = [run(*case, shape) for i, case in enumerate(CASES) for shape in [(1, 4, 6, 6) if i % 2 else (1, 4, 5, 3)]]
    text = json.dumps(cases, separators=(",", ":")).replace('},{"steps"', '},\n{"steps"')
    (HERE / "schedules.json").write_text(text + "\n")
