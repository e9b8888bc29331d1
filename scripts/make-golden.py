#!/usr/bin/env python3
"""Make the reference values that the engine and the quality metrics are tested against.

Four pictures by diffusers, float32 on two CPU threads, with every intermediate
tensor (NAME.safetensors, NAME.png, cases.json); the metrics of each pair of
them (pairs.json); and values of PyTorch's CPU generator (torch_randn.json).

Needs torch, diffusers, transformers, safetensors, scikit-image, opencv-python
and pillow; the files in fixtures/golden were made with diffusers 0.42.1,
transformers 5.23.0 and torch 2.15.0. Nothing in the project's tests runs this.

    scripts/make-golden.py                    write fixtures/golden again
    scripts/make-golden.py --only heart-student
    scripts/make-golden.py --compare          write nothing, show the differences
"""

import argparse
import itertools
import json
from pathlib import Path

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
SIZE = 64
LATENT_SHAPE = (1, 4, 16, 16)

CASES = [
    {"name": "red-apple", "prompt": "red apple", "seed": 1, "steps": 20, "guidance_scale": 5.0},
    {"name": "dog-pink", "prompt": "dog face on a pink background",
     "seed": 2, "steps": 8, "guidance_scale": 5.0},
    {"name": "house-negative", "prompt": "house with garden", "negative_prompt": "tree, blue",
     "seed": 3, "steps": 12, "guidance_scale": 7.5},
    {"name": "heart-student", "prompt": "blue heart",
     "seed": 4, "steps": 5, "guidance_scale": 1.0, "student": True},
]

RANDN = [
    (0, LATENT_SHAPE), (1, LATENT_SHAPE), (2**32 + 5, LATENT_SHAPE),
    (42, (3, 5)), (7, (17,)), (123456789, (1, 4, 128, 128)),
    (3, (1, 4, 9, 11)), (2**64 - 1, LATENT_SHAPE),
]


class Reference:
    """The fixture models as diffusers and transformers run them."""

    def __init__(self, models, student_unet):
        import torch
        from diffusers import StableDiffusionXLPipeline
        from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizer

        torch.set_num_threads(2)  # as the stored files; the last bits depend on it
        self.torch = torch
        self.pipe = StableDiffusionXLPipeline.from_pretrained(
            models / "emoji-sdxl", torch_dtype=torch.float32)
        self.pipe.set_progress_bar_config(disable=True)
        self.teacher = self.pipe.unet
        self.student = type(self.teacher).from_config(self.teacher.config).eval()
        self.student.load_state_dict(self.float_weights(student_unet))
        clip = models / "emoji-clip"
        self.clip = CLIPModel.from_pretrained(clip, torch_dtype=torch.float32).eval()
        self.clip_tokenizer = CLIPTokenizer.from_pretrained(clip)
        self.clip_processor = CLIPImageProcessor.from_pretrained(clip)

    def float_weights(self, path):
        """Weights in float32; each int8 tensor is multiplied by its NAME.scale."""
        from safetensors.torch import load_file

        stored, weights = load_file(path), {}
        for name, tensor in stored.items():
            if name.endswith(".scale") and name.removesuffix(".scale") in stored:
                continue
            scale = stored.get(f"{name}.scale")
            tensor = tensor.float()
            if scale is not None:
                tensor = tensor * scale.reshape(-1, *[1] * (tensor.ndim - 1))
            weights[name] = tensor
        return weights

    def tokens(self, tokenizer, text):
        return tokenizer(text, padding="max_length", max_length=77, truncation=True,
                         return_tensors="pt").input_ids

    def run(self, case):
        """One case: (tensors, 8-bit picture)."""
        from PIL import Image

        torch, pipe = self.torch, self.pipe
        pipe.unet = self.student if case.get("student") else self.teacher
        generator = torch.Generator("cpu").manual_seed(case["seed"])
        latents = torch.randn(LATENT_SHAPE, generator=generator)
        guided = case["guidance_scale"] > 1
        embeds, negative, pooled, negative_pooled = pipe.encode_prompt(
            case["prompt"], negative_prompt=case.get("negative_prompt"),
            do_classifier_free_guidance=guided)
        out = {
            "input_ids": self.tokens(pipe.tokenizer, case["prompt"]),
            "input_ids_2": self.tokens(pipe.tokenizer_2, case["prompt"]),
            "prompt_embeds": embeds,
            "pooled_prompt_embeds": pooled,
            "initial_latents": latents,
        }
        if guided:
            out |= {"negative_prompt_embeds": negative,
                    "negative_pooled_prompt_embeds": negative_pooled}

        forward = pipe.unet.forward

        def record(sample, timestep, *args, **kwargs):
            result = forward(sample, timestep, *args, **kwargs)
            if "unet_first_input" not in out:
                out.update(unet_first_input=sample, unet_first_output=result[0],
                           unet_first_timestep=timestep.float().reshape(1))
            return result

        def last(_pipe, _step, _timestep, values):
            out["final_latents"] = values["latents"]
            return values

        pipe.unet.forward = record
        try:
            image = pipe(
                case["prompt"], negative_prompt=case.get("negative_prompt"),
                num_inference_steps=case["steps"], guidance_scale=case["guidance_scale"],
                height=SIZE, width=SIZE, latents=latents.clone(), output_type="pt",
                callback_on_step_end=last).images[0]
        finally:
            pipe.unet.forward = forward
        out["image_hwc"] = image.permute(1, 2, 0)
        pixels = (out["image_hwc"] * 255).round().to(torch.uint8).numpy()
        out |= self.clip_embeds(case["prompt"], Image.fromarray(pixels))
        return {k: v.detach().contiguous().clone() for k, v in out.items()}, pixels

    def clip_embeds(self, text, image):
        """Projected, unnormalised embeddings by the tiny CLIP; the picture as 8-bit values."""
        with self.torch.no_grad():
            ids = self.tokens(self.clip_tokenizer, text)
            values = self.clip_processor(image, return_tensors="pt").pixel_values
            return {
                "clip_text_embeds": self.clip.text_projection(
                    self.clip.text_model(input_ids=ids).pooler_output),
                "clip_image_embeds": self.clip.visual_projection(
                    self.clip.vision_model(pixel_values=values).pooler_output),
            }


def cosine(a, b):
    return float((a @ b.T) / (a.norm() * b.norm()))


def pair(a, b, tensors, pixels):
    """Metrics of two pictures; SSIM on grey 8-bit pictures, as OpenCV converts them."""
    import cv2
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    grey = [cv2.cvtColor(pixels[name], cv2.COLOR_RGB2GRAY) for name in (a, b)]
    ssim = float(structural_similarity(*grey, data_range=255))
    clip = cosine(*(tensors[name]["clip_image_embeds"] for name in (a, b)))
    return {
        "a": a, "b": b, "ssim_gray": ssim,
        "psnr": float(peak_signal_noise_ratio(pixels[a], pixels[b], data_range=255)),
        "clip_image_cosine": clip,
        "wombo_2025": 0.35 * clip + 0.65 * ssim,
    }


def randn(torch, seed, shape):
    values = torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed)).flatten()
    return {"first": values[:20].tolist(), "last": values[-4:].tolist(),
            "sum": values.double().sum().item()}


def show_difference(out, case, tensors):
    """Relative error of every tensor against the stored ones."""
    from safetensors.torch import load_file

    for name, old in sorted(load_file(out / f"{case['name']}.safetensors").items()):
        new = tensors[name]
        norm = float(old.double().norm()) or 1.0
        print(f"{case['name']:16} {name:30} {float((new.double() - old.double()).norm()) / norm:.1e}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=FIXTURES / "models", metavar="DIR")
    parser.add_argument("--student", type=Path, metavar="FILE",
                        help="UNet weights of the student, instead of the ones in --models")
    parser.add_argument("--out", type=Path, default=FIXTURES / "golden", metavar="DIR")
    parser.add_argument("--only", metavar="NAME", help="write the tensors of this case alone")
    parser.add_argument("--compare", action="store_true", help="compare with --out, write nothing")
    args = parser.parse_args()

    from PIL import Image
    from safetensors.torch import save_file

    student = args.student or (
        args.models / "emoji-sdxl-student/unet/diffusion_pytorch_model.safetensors")
    reference = Reference(args.models, student)
    tensors, pixels, cases = {}, {}, []
    for case in CASES:
        name = case["name"]
        tensors[name], pixels[name] = reference.run(case)
        score = cosine(*(tensors[name][f"clip_{side}_embeds"] for side in ("text", "image")))
        cases.append(case | {"clip_text_image_cosine": score})
        if args.compare:
            show_difference(args.out, case, tensors[name])
        elif args.only in (None, name):
            save_file(tensors[name], args.out / f"{name}.safetensors")
            Image.fromarray(pixels[name]).save(args.out / f"{name}.png")
    if args.compare:
        return
    tables = {
        "cases": cases,
        "pairs": [pair(a, b, tensors, pixels) for a, b in itertools.combinations(tensors, 2)],
        "torch_randn": {f"{seed}:{'x'.join(map(str, shape))}": randn(reference.torch, seed, shape)
                        for seed, shape in RANDN},
    }
    for name, table in tables.items():
        (args.out / f"{name}.json").write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
