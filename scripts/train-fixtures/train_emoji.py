#!/usr/bin/env python3
"""Trains the emoji models: VAE, text encoders and UNet, the student of five steps, the CLIP. One stage after another, each
into its own folder; a stage whose folder is there is not done again.

    scripts/train-fixtures/emoji_data.py --out data
    scripts/train-fixtures/train_emoji.py --data data --work work --out models
    scripts/train-fixtures/train_emoji.py --data data --work work --out models --stages clip

Needs torch, diffusers, transformers; an NVIDIA GPU for anything but a look (`--scale 0.001` on a processor). Seeds are
fixed, counts of steps too; on the same card and versions the same models come out but for the order of sums on the card.
`models` gets emoji-sdxl, emoji-sdxl-student (f16) and emoji-clip as fixtures/models has them.
"""
import argparse
import json
import os
import shutil
import time

import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler
from diffusers import __version__ as diffusers_version
from torch.nn import functional as F

import emoji_models as emoji
from emoji_models import DEVICE, SIGMAS, Data, Training


def ground(data, count, white):
    """A colour's index for each: white so often, else one of the others."""
    other = torch.randint(1, len(data.colours), (count,), device=DEVICE)
    return torch.where(torch.rand(count, device=DEVICE) < white, 0, other)


def all_of(data, function, size=256):
    """A function of every picture, on white."""
    with torch.no_grad():
        return torch.cat([function(data.on_white(part)) for part in torch.arange(len(data), device=DEVICE).split(size)])


def sharpness(data, model):
    """Mean PSNR of what comes back of every picture, dB."""
    square = all_of(data, lambda x: ((model.decode(model.encode(x).latent_dist.mean).sample.clamp(-1, 1) - x) / 2)
                    .pow(2).mean((1, 2, 3)))
    return (-10 * square.log10()).mean().item()


def train_vae(data, work, out, scale):
    """Encoder and decoder; the latents' mean and deviation are folded into the convolutions between, so that its
    scaling factor is 1. Then the decoder alone, on latents with some noise."""
    model = emoji.vae().to(DEVICE)

    def batch():
        x = data.on(data.draw(192, 0.35), torch.where(
            torch.rand(192, 1, device=DEVICE) < 0.5, data.colours[ground(data, 192, 0.1)], torch.rand(192, 3, device=DEVICE) * 2 - 1))
        shift = torch.randint(-4, 5, (2,)).tolist()
        x = torch.roll(x, shift, (2, 3))
        return [x.flip(3) if torch.rand(()) < 0.25 else x]

    def loss(x):
        with torch.autocast(DEVICE, torch.bfloat16, cache_enabled=False):
            seen = model.encode(x).latent_dist
            back = model.decode(seen.mean + torch.randn_like(seen.mean) * seen.std).sample
        back, mean = back.float(), seen.mean.float()
        spread = (0.5 * (mean**2 + seen.var.float() - 1 - seen.logvar.float())).mean()
        return (back - x).abs().mean() + 2 * F.mse_loss(back, x) + 0.5 * emoji.edges(x, back, 3) + 2e-4 * spread

    Training(model.parameters(), loss, batch, 1.5e-3, scale(3500), warmup=100).run("vae")
    with torch.no_grad():
        latents = all_of(data, lambda x: model.encode(x).latent_dist.mean)
        mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
        into, back = model.quant_conv, model.post_quant_conv
        back.bias += back.weight[:, :, 0, 0] @ mean
        back.weight *= deviation[None, :, None, None]
        into.weight[:4] /= deviation[:, None, None, None]
        into.bias[:4] = (into.bias[:4] - mean) / deviation
        into.bias[4:] -= 2 * deviation.log()
    for part in (model.encoder, model.quant_conv):
        part.requires_grad_(False)

    def decoded(x):
        with torch.autocast(DEVICE, torch.bfloat16, cache_enabled=False):
            with torch.no_grad():
                seen = model.encode(x).latent_dist.mean
                seen = seen + torch.randn_like(seen) * 0.06 * torch.rand(len(x), 1, 1, 1, device=DEVICE)
            back = model.decode(seen).sample
        back = back.float()
        return (back - x).abs().mean() + 2 * F.mse_loss(back, x) + 0.5 * emoji.edges(x, back, 2)

    plain = lambda: [data.on(data.draw(192, 0.35), data.colours[ground(data, 192, 0.6)])]
    Training(model.parameters(), decoded, plain, 1.2e-3, scale(2500), warmup=100, falls=lambda part: max(0.01, 1 - part)).run("decoder")
    print(f"vae: {sharpness(data, model):.1f} dB", flush=True)
    model.save_pretrained(out)


def latents_of(data, folder):
    """Latents of every picture on every ground."""
    model = AutoencoderKL.from_pretrained(folder).to(DEVICE).eval()
    on = lambda part, colour: data.on(part, data.colours[colour].expand(len(part), 3))
    parts = torch.arange(len(data), device=DEVICE).split(512)
    with torch.no_grad():
        return torch.stack([torch.cat([model.encode(on(part, colour)).latent_dist.mean for part in parts])
                            for colour in range(len(data.colours))], 1)


def train_unet(data, work, out, scale):
    """Text encoders and UNet at once: the noise of latents, weighed by min-SNR (γ = 5), a tenth of captions left out."""
    latents = latents_of(data, work + "/vae")
    encoders, model = [part.to(DEVICE) for part in emoji.text_encoders(data)], emoji.unet().to(DEVICE)
    alphas = emoji.ALPHAS.float().to(DEVICE)
    ratio = alphas / (1 - alphas)
    weight = ratio.clamp(max=5) / ratio

    def batch(count=512):
        indices, colour = data.draw(count, 0.3), ground(data, count, 0.62)
        noise, step = torch.randn(count, 4, 16, 16, device=DEVICE), torch.randint(0, 1000, (count,), device=DEVICE)
        kept = (torch.rand(count, device=DEVICE) >= 0.1).float()
        return [latents[indices, colour], noise, step, data.caption(indices, colour), kept]

    def loss(clean, noise, step, tokens, kept):
        with torch.autocast(DEVICE, torch.bfloat16, cache_enabled=False):
            states, pooled = emoji.encode(encoders, data, tokens)
            said = dict(text_embeds=pooled * kept[:, None].to(pooled.dtype), time_ids=emoji.TIME_IDS.expand(len(clean), -1))
            alpha = alphas[step][:, None, None, None]
            seen = model(clean * alpha.sqrt() + noise * (1 - alpha).sqrt(), step,
                         states * kept[:, None, None].to(states.dtype), added_cond_kwargs=said).sample
        return (((seen.float() - noise) ** 2).mean((1, 2, 3)) * weight[step]).mean()

    parameters = [p for part in (model, *encoders) for p in part.parameters()]
    falls = lambda part: max(0.01, 1 - part)
    Training(parameters, loss, batch, 1e-3, scale(6300), decay=0.01, average=0.9985, falls=falls).run("unet")
    for part, name in ((model, "unet"), (encoders[0], "text_encoder"), (encoders[1], "text_encoder_2")):
        part.half().save_pretrained(f"{out}/{name}")


def load_teacher(data, folder):
    encoders, model = emoji.text_encoders(data), emoji.unet()
    encoders = [type(part).from_pretrained(f"{folder}/{name}") for part, name in zip(encoders, ("text_encoder", "text_encoder_2"))]
    model = type(model).from_pretrained(folder + "/unet")
    return [part.float().to(DEVICE).eval() for part in encoders], model.float().to(DEVICE)


def train_student(data, work, out, scale, steps=5, teacher_steps=4, guidance=4.0):
    """One step of the student is what four of the teacher with guidance make; it needs no guidance."""
    encoders, teacher = load_teacher(data, work + "/unet")
    student = load_teacher(data, work + "/unet")[1]
    teacher.requires_grad_(False)
    latents = latents_of(data, work + "/vae")
    times = torch.tensor(emoji.trailing(steps * teacher_steps), device=DEVICE)
    sigmas = torch.cat([SIGMAS[times], torch.zeros(1, device=DEVICE)])
    wide = lambda x: x[:, None, None, None]

    @torch.no_grad()
    def batch(count=512):
        indices, colour = data.draw(count, 0.3), ground(data, count, 0.62)
        with torch.autocast(DEVICE, torch.bfloat16):
            states, pooled = emoji.encode(encoders, data, data.caption(indices, colour))
        states, pooled = states.float(), pooled.float()
        at = torch.randint(0, steps, (count,), device=DEVICE) * teacher_steps
        begin, noise = sigmas[at], torch.randn(count, 4, 16, 16, device=DEVICE)
        first = torch.where(wide(at == 0), noise * wide((begin**2 + 1).sqrt()), latents[indices, colour] + noise * wide(begin))
        x = first
        for step in range(teacher_steps):
            sigma, after = sigmas[at + step], sigmas[at + step + 1]
            x = x + wide(after - sigma) * emoji.noise_of(teacher, x, sigma, times[(at + step).clamp(max=len(times) - 1)],
                                                         states, pooled, guidance)
        end = sigmas[at + teacher_steps]
        weight = ((begin - end) ** 2 / (end**2 + 0.25)).clamp(max=20)
        return [first, begin, times[at], states, pooled, (x - first) / wide(end - begin), weight]

    def loss(first, begin, time, states, pooled, target, weight):
        return (wide(weight) * (emoji.noise_of(student, first, begin, time, states, pooled) - target) ** 2).mean()

    falls = lambda part: max(0.03, 1 - part)
    Training(student.parameters(), loss, batch, 3e-4, scale(400), warmup=50, decay=0, average=0.99, falls=falls).run("student", 100)
    student.half().save_pretrained(out + "/unet")


def disturbed(x):
    """Another view: turned, moved, scaled, recoloured, blurred, noisy, with a patch over it."""
    count = len(x)
    draw = lambda *shape: torch.rand(*shape, device=DEVICE)
    angle, size, move = (draw(count) - 0.5) * 0.35, 1 + (draw(count) - 0.5) * 0.4, (draw(count, 2) - 0.5) * 0.3
    turn = torch.stack([torch.stack([angle.cos() * size, -angle.sin() * size, move[:, 0]], -1),
                        torch.stack([angle.sin() * size, angle.cos() * size, move[:, 1]], -1)], 1)
    x = F.grid_sample(x, F.affine_grid(turn, x.shape, align_corners=False), padding_mode="border", align_corners=False)
    x = x * (1 + (draw(count, 1, 1, 1) - 0.5) * 0.4) + (draw(count, 1, 1, 1) - 0.5) * 0.3 + (draw(count, 3, 1, 1) - 0.5) * 0.12
    blurred = F.interpolate(F.interpolate(x, scale_factor=0.5, mode="area"), size=64, mode="bilinear")
    share = draw(count, 1, 1, 1) * (draw(count, 1, 1, 1) < 0.5)
    x = x * (1 - share) + blurred * share + torch.randn_like(x) * 0.15 * draw(count, 1, 1, 1)
    middle, place = torch.randint(0, 64, (count, 2), device=DEVICE), torch.arange(64, device=DEVICE)
    rows, columns = ((place[None] - middle[:, axis, None]).abs() < 8 for axis in (0, 1))
    patch = rows[:, :, None] & columns[:, None, :] & (draw(count, 1, 1) < 0.3)
    return torch.where(patch[:, None], draw(count, 3, 1, 1) * 2 - 1, x)


def told_apart(a, b, scale):
    """InfoNCE, both ways."""
    scores, own = scale * a @ b.T, torch.arange(len(a), device=DEVICE)
    return 0.5 * (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own))


def train_clip(data, work, out, scale):
    """Two views of a picture and its caption belong together, and no two of others."""
    model = emoji.clip(data).to(DEVICE)
    between = torch.nn.Parameter(torch.tensor(2.3, device=DEVICE))
    share = torch.where(data.variant, 0.35, 1.0)
    unit = lambda x: F.normalize(x.float(), dim=-1)

    def batch(count=768):
        indices = torch.multinomial(share, count, replacement=False)
        colour = ground(data, count, 0.6)
        x = data.on(indices, data.colours[colour])
        return [torch.cat([disturbed(x), disturbed(x)]), data.caption(indices, colour)]

    def loss(views, tokens):
        with torch.autocast(DEVICE, torch.bfloat16, cache_enabled=False):
            seen = unit(model.visual_projection(model.vision_model(pixel_values=views).pooler_output))
            read = unit(model.text_projection(model.text_model(input_ids=tokens).pooler_output))
        one, other = seen.chunk(2)
        with_text, among = model.logit_scale.clamp(max=4.6).exp(), between.clamp(max=4.6).exp()
        return 0.5 * (told_apart(one, read, with_text) + told_apart(other, read, with_text)) + 0.5 * told_apart(one, other, among)

    Training([*model.parameters(), between], loss, batch, 1.2e-3, scale(1920), decay=0.05, average=0.99).run("clip")
    model.half().save_pretrained(out)


STAGES = {"vae": train_vae, "unet": train_unet, "student": train_student, "clip": train_clip}


def assemble(data_folder, work, out):
    """Folders as diffusers and transformers write them, in half precision."""
    put = lambda source, target: shutil.copytree(source, os.path.join(out, target), dirs_exist_ok=True)
    if all(os.path.isdir(os.path.join(work, name)) for name in ("vae", "unet")):
        AutoencoderKL.from_pretrained(f"{work}/vae").half().save_pretrained(f"{out}/emoji-sdxl/vae")
        for name in ("unet", "text_encoder", "text_encoder_2"):
            put(f"{work}/unet/{name}", f"emoji-sdxl/{name}")
        for name in ("tokenizer", "tokenizer_2"):
            put(f"{data_folder}/{name}", f"emoji-sdxl/{name}")
        EulerDiscreteScheduler(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
                               prediction_type="epsilon", timestep_spacing="trailing").save_pretrained(f"{out}/emoji-sdxl/scheduler")
        part = lambda library, name: [library, name]
        index = {
            "_class_name": "StableDiffusionXLPipeline", "_diffusers_version": diffusers_version,
            "feature_extractor": [None, None], "force_zeros_for_empty_prompt": True, "image_encoder": [None, None],
            "scheduler": part("diffusers", "EulerDiscreteScheduler"), "text_encoder": part("transformers", "CLIPTextModel"),
            "text_encoder_2": part("transformers", "CLIPTextModelWithProjection"), "tokenizer": part("transformers", "CLIPTokenizer"),
            "tokenizer_2": part("transformers", "CLIPTokenizer"), "unet": part("diffusers", "UNet2DConditionModel"),
            "vae": part("diffusers", "AutoencoderKL"),
        }
        with open(f"{out}/emoji-sdxl/model_index.json", "w") as file:
            json.dump(index, file, indent=2)
    if os.path.isdir(f"{work}/student"):
        put(f"{work}/student/unet", "emoji-sdxl-student/unet")
    if os.path.isdir(f"{work}/clip"):
        put(f"{work}/clip", "emoji-clip")
        for name in ("vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json"):
            shutil.copy(f"{data_folder}/tokenizer/{name}", f"{out}/emoji-clip/{name}")
        mean = dict.fromkeys(("image_mean", "image_std"), [0.5] * 3)
        resize = dict(do_resize=True, size={"shortest_edge": 64}, do_center_crop=True, crop_size=64, do_rescale=True)
        said = dict(resize, rescale_factor=1 / 255, do_normalize=True, do_convert_rgb=True, resample=3, **mean)
        with open(f"{out}/emoji-clip/preprocessor_config.json", "w") as file:
            json.dump(dict(said, image_processor_type="CLIPImageProcessor"), file, indent=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="what emoji_data.py wrote")
    parser.add_argument("--work", required=True, help="a folder for the stages")
    parser.add_argument("--out", required=True, help="a folder for the models")
    parser.add_argument("--stages", default=",".join(STAGES), help="which, by commas (all)")
    parser.add_argument("--scale", type=float, default=1.0, help="so many times the usual steps")
    a = parser.parse_args()
    data = Data(a.data)
    for name in a.stages.split(","):
        folder = os.path.join(a.work, name)
        if os.path.isdir(folder):
            print(f"{name}: {folder} is there")
            continue
        torch.manual_seed(7)
        begun = time.time()
        unfinished = folder + ".part"
        shutil.rmtree(unfinished, ignore_errors=True)
        os.makedirs(unfinished)
        STAGES[name](data, a.work, unfinished, lambda steps: max(2, round(steps * a.scale)))
        os.rename(unfinished, folder)
        print(f"{name}: {time.time() - begun:.0f} s", flush=True)
    assemble(a.data, a.work, a.out)


if __name__ == "__main__":
    main()
