"""Makes a full-size SDXL with seeded random weights in the diffusers layout, and inputs and answers to compare engines by.

usage: checkpoint.py FOLDER TOKENIZERS
FOLDER      where the checkpoint goes (7 GB), with step.safetensors and vae.safetensors beside it
TOKENIZERS  a checkpoint whose tokenizers are copied, e.g. fixtures/models/emoji-sdxl

Answers are diffusers' own in f32 without TF32, from the weights as they are stored (f16).
"""
import json
import os
import shutil
import sys
import time

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

UNET = dict(sample_size=128, in_channels=4, out_channels=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            block_out_channels=(320, 640, 1280), layers_per_block=2, cross_attention_dim=2048,
            transformer_layers_per_block=(1, 2, 10), attention_head_dim=(5, 10, 20),
            addition_embed_type="text_time", addition_time_embed_dim=256,
            projection_class_embeddings_input_dim=2816, use_linear_projection=True)
VAE = dict(in_channels=3, out_channels=3, down_block_types=("DownEncoderBlock2D",) * 4,
           up_block_types=("UpDecoderBlock2D",) * 4, block_out_channels=(128, 256, 512, 512), layers_per_block=2,
           latent_channels=4, sample_size=1024, scaling_factor=0.13025, force_upcast=True)
CLIP_L = dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, hidden_act="quick_gelu",
              projection_dim=768)
CLIP_G = dict(hidden_size=1280, intermediate_size=5120, num_hidden_layers=32, num_attention_heads=20, hidden_act="gelu",
              projection_dim=1280)


def randomise(model, seed):
    """Norms near one, biases small: as trained networks have them, so that no term vanishes."""
    g = torch.Generator("cuda").manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 1:
                r = torch.randn(p.shape, generator=g, device="cuda", dtype=torch.float32)
                p.copy_(1 + 0.1 * r if "norm" in name and name.endswith("weight") else 0.05 * r)
    return model.half().eval().requires_grad_(False)


def main():
    out, tokenizers = sys.argv[1:3]
    began = time.time()
    os.makedirs(out, exist_ok=True)
    for name in ("tokenizer", "tokenizer_2"):
        shutil.copytree(os.path.join(tokenizers, name), os.path.join(out, name), dirs_exist_ok=True)
    eos = json.load(open(os.path.join(tokenizers, "text_encoder_2", "config.json"))).get("eos_token_id", 49407)
    torch.manual_seed(42)
    with torch.device("cuda"):
        clip = dict(vocab_size=49408, max_position_embeddings=77, eos_token_id=eos, bos_token_id=0)
        parts = {
            "text_encoder": CLIPTextModel(CLIPTextConfig(**CLIP_L, **clip)),
            "text_encoder_2": CLIPTextModelWithProjection(CLIPTextConfig(**CLIP_G, **clip)),
            "unet": UNet2DConditionModel(**UNET),
            "vae": AutoencoderKL(**VAE),
        }
    for i, (name, model) in enumerate(parts.items()):
        randomise(model, i).save_pretrained(os.path.join(out, name))
    EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1,
                           timestep_spacing="leading").save_pretrained(os.path.join(out, "scheduler"))
    index = dict(_class_name="StableDiffusionXLPipeline", _diffusers_version="0.30.0", force_zeros_for_empty_prompt=True,
                 scheduler=["diffusers", "EulerDiscreteScheduler"], unet=["diffusers", "UNet2DConditionModel"],
                 vae=["diffusers", "AutoencoderKL"], text_encoder=["transformers", "CLIPTextModel"],
                 text_encoder_2=["transformers", "CLIPTextModelWithProjection"],
                 tokenizer=["transformers", "CLIPTokenizer"], tokenizer_2=["transformers", "CLIPTokenizer"])
    json.dump(index, open(os.path.join(out, "model_index.json"), "w"), indent=1)
    print("made in %.0f s" % (time.time() - began), flush=True)

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    g = torch.Generator("cuda").manual_seed(1)
    draw = lambda *s: torch.randn(*s, generator=g, device="cuda").half().float()
    with torch.inference_mode():
        x, ctx, te = draw(2, 4, 128, 128), draw(2, 77, 2048), draw(2, 1280)
        ids = torch.tensor([[1024.0, 1024.0, 0, 0, 1024.0, 1024.0]] * 2, device="cuda")
        unet = parts["unet"].float()
        y = unet(x, 801, encoder_hidden_states=ctx, added_cond_kwargs=dict(text_embeds=te, time_ids=ids)).sample
        save_file(dict(x=x, ctx=ctx, te=te, ids=ids[0].contiguous(), t=torch.tensor([801.0]), y=y.contiguous()),
                  os.path.join(out, "step.safetensors"))
        print("step: std %.4f" % y.std(), flush=True)
        z = draw(1, 4, 128, 128)
        image = parts["vae"].float().decode(z).sample
        save_file(dict(z=z, image=image.contiguous()), os.path.join(out, "vae.safetensors"))
        # Written for their owner alone; engines run as users who own nothing.
        for name in ("step.safetensors", "vae.safetensors"):
            os.chmod(os.path.join(out, name), 0o644)
        print("vae: std %.4f; all in %.0f s" % (image.std(), time.time() - began), flush=True)


main()
