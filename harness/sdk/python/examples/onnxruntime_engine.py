"""SDXL on ONNX Runtime behind the EdgeMaxx protocol.

First, where torch, diffusers and onnx are installed, write the models beside the checkpoint:

    python onnxruntime_engine.py --export CHECKPOINT        # makes CHECKPOINT/onnx

The engine itself needs numpy, onnxruntime and tokenizers only. In the candidate's edgemaxx.toml:

    [engine]
    command = ["python3", "onnxruntime_engine.py"]
    files = ["onnx"]
"""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import edgemaxx_engine


def config(folder, part, name="config.json"):
    with open(os.path.join(folder, part, name)) as file:
        return json.load(file)


def schedule(settings, config):
    """Time steps, and one more sigma than steps, as diffusers' EulerDiscreteScheduler."""
    import numpy as np

    name = settings.get("scheduler") or config["_class_name"]
    if name != "EulerDiscreteScheduler" or config["prediction_type"] != "epsilon" or config["use_karras_sigmas"]:
        raise edgemaxx_engine.Refusal("this engine samples by plain Euler only, not %s" % name)
    if config["beta_schedule"] != "scaled_linear" or config["timestep_spacing"] not in ("trailing", "leading"):
        raise edgemaxx_engine.Refusal("this engine knows scaled_linear betas, spaced trailing or leading")
    total, steps = config["num_train_timesteps"], settings["steps"]
    betas = np.linspace(config["beta_start"] ** 0.5, config["beta_end"] ** 0.5, total, dtype=np.float32) ** 2
    kept = np.cumprod(1 - betas, dtype=np.float32)
    trailing = config["timestep_spacing"] == "trailing"
    if trailing:
        times = np.round(np.arange(total, 0, -total / steps)).astype(np.float32) - 1
    else:
        times = (np.arange(steps) * (total // steps)).round()[::-1].astype(np.float32) + config["steps_offset"]
    sigmas = np.interp(times, np.arange(total), ((1 - kept) / kept) ** 0.5)
    first = sigmas.max() if trailing else (sigmas.max() ** 2 + 1) ** 0.5
    return times, np.append(sigmas, 0).astype(np.float32), np.float32(first)


def tokenizer(folder, part):
    from tokenizers import Tokenizer

    found = Tokenizer.from_file(os.path.join(folder, part, "tokenizer.json"))
    pad = config(folder, part, "tokenizer_config.json")["pad_token"]
    pad = pad if isinstance(pad, str) else pad["content"]
    found.enable_truncation(77)
    found.enable_padding(length=77, pad_id=found.token_to_id(pad), pad_token=pad)
    return found


def load(job):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # the pinned OMP_NUM_THREADS does not reach this pool, and its threads must not wait actively
    options.intra_op_num_threads = job["threads"]
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")

    def compiled(path):
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        names = [put.name for put in session.get_inputs()]
        return lambda *values: session.run(None, dict(zip(names, values)))

    return pipeline(job, compiled)


def pipeline(job, compiled):
    """SDXL of the exported models; `compiled` makes a function of arrays of an ONNX file."""
    import numpy as np

    folder, settings = job["checkpoint"], job["settings"]
    if job["task"] != "picture" or job["replaced"] or settings["dtype"] != "f32":
        raise edgemaxx_engine.Refusal("this engine makes pictures with the checkpoint's own parts in f32")

    def model(name):
        path = os.path.join(folder, "onnx", name + ".onnx")
        if not os.path.exists(path):
            raise edgemaxx_engine.Refusal("no onnx/%s.onnx in the checkpoint; write it with --export" % name)
        return compiled(path)

    encoders = [model("text_encoder"), model("text_encoder_2")]
    unet, vae = model("unet"), model("vae_decoder")
    tokenizers = [tokenizer(folder, "tokenizer"), tokenizer(folder, "tokenizer_2")]
    vae_config, index = config(folder, "vae"), config(folder, "", "model_index.json")
    times, sigmas, first = schedule(settings, config(folder, "scheduler", "scheduler_config.json"))

    def encode(prompt):
        ids = [np.array([one.encode(prompt).ids], np.int64) for one in tokenizers]
        (states,), (states_2, pooled) = (encoder(tokens) for encoder, tokens in zip(encoders, ids))
        return np.concatenate([states, states_2], axis=-1), pooled

    def generate(request):
        states, pooled = encode(request["prompt"])
        width, height, scale = request["width"], request["height"], request["guidance_scale"]
        if scale > 1:
            empty = not request["negative_prompt"] and index.get("force_zeros_for_empty_prompt", True)
            no = (states * 0, pooled * 0) if empty else encode(request["negative_prompt"])
            states, pooled = np.concatenate([no[0], states]), np.concatenate([no[1], pooled])
        size = np.array([[height, width, 0, 0, height, width]] * len(states), np.float32)
        latents = request.latents() * first
        for step, time in enumerate(times):
            sigma = sigmas[step]
            scaled = np.repeat(latents / (sigma**2 + 1) ** 0.5, len(states), axis=0).astype(np.float32)
            noise = unet(scaled, np.array([time], np.float32), states, pooled, size)[0]
            if scale > 1:
                noise = noise[:1] + np.float32(scale) * (noise[1:] - noise[:1])
            latents = latents + noise * (sigmas[step + 1] - sigma)
        picture = vae((latents / np.float32(vae_config["scaling_factor"])).astype(np.float32))[0][0]
        picture = np.clip(picture / 2 + 0.5, 0, 1).transpose(1, 2, 0)
        return (picture * 255).round().astype(np.uint8)

    factor = 2 ** (len(vae_config["block_out_channels"]) - 1)
    return generate, {"latent_channels": config(folder, "unet")["in_channels"], "vae_scale_factor": factor}


def export(folder):
    """CHECKPOINT/onnx from the checkpoint, for batches of 1 (no guidance) and 2, sizes free."""
    import diffusers
    import torch

    pipe = diffusers.StableDiffusionXLPipeline.from_pretrained(folder, torch_dtype=torch.float32, use_safetensors=True)

    class Encoder(torch.nn.Module):
        def __init__(self, encoder, pooled):
            super().__init__()
            self.encoder, self.pooled = encoder, pooled

        def forward(self, ids):
            out = self.encoder(ids, output_hidden_states=True)
            return (out.hidden_states[-2], out.text_embeds) if self.pooled else out.hidden_states[-2]

    class Unet(torch.nn.Module):
        def forward(self, sample, time, states, pooled, size):
            more = {"text_embeds": pooled, "time_ids": size}
            return pipe.unet(sample, time[0], states, added_cond_kwargs=more, return_dict=False)[0]

    class Decoder(torch.nn.Module):
        def forward(self, latents):
            return pipe.vae.decode(latents, return_dict=False)[0]

    unet, decoder = Unet(), Decoder()
    unet.unet, decoder.vae = pipe.unet, pipe.vae
    side, channels = pipe.unet.config.sample_size, pipe.unet.config.in_channels
    wide = pipe.unet.config.cross_attention_dim
    pooled = pipe.text_encoder_2.config.projection_dim
    ids = torch.full((1, 77), 5, dtype=torch.int64)
    sample = torch.zeros(2, channels, side, side)
    image = {0: "batch", 2: "height", 3: "width"}
    batch = {0: "batch"}
    models = [
        ("text_encoder", Encoder(pipe.text_encoder, False), (ids,), {}),
        ("text_encoder_2", Encoder(pipe.text_encoder_2, True), (ids,), {}),
        (
            "unet",
            unet,
            (sample, torch.ones(1), torch.zeros(2, 77, wide), torch.zeros(2, pooled), torch.zeros(2, 6)),
            {"sample": image, "states": batch, "pooled": batch, "size": batch},
        ),
        ("vae_decoder", decoder, (sample[:1],), {"latents": {2: "height", 3: "width"}}),
    ]
    inputs = {"unet": ["sample", "time", "states", "pooled", "size"], "vae_decoder": ["latents"]}
    os.makedirs(os.path.join(folder, "onnx"), exist_ok=True)
    for name, module, example, axes in models:
        path = os.path.join(folder, "onnx", name + ".onnx")
        torch.onnx.export(
            module.eval(), example, path, input_names=inputs.get(name, ["ids"]), dynamic_axes=axes, dynamo=False
        )
        print(path)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--export"]:
        export(sys.argv[2])
    else:
        edgemaxx_engine.serve("onnxruntime", "1.0", load)
