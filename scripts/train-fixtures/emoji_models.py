"""What the stages of train_emoji.py share: data on the device, shapes of the models, the noise schedule, a loop.

Pictures are batches of 3 × 64 × 64 in −1 … 1; latents 4 × 16 × 16; captions 77 tokens, padded with the end.
"""
import json
import math
import os

import numpy
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch.nn import functional as F
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
GRAPHS = DEVICE == "cuda"
# White, black, grey, and the rest as emoji_data.py names them.
COLOURS = [(255, 255, 255), (0, 0, 0), (128, 128, 128), (225, 45, 45), (245, 140, 30), (250, 220, 60), (60, 175, 75),
           (50, 110, 230), (140, 70, 180), (250, 150, 190), (130, 85, 50)]
torch.backends.cuda.matmul.allow_tf32 = True
torch.backends.cudnn.allow_tf32 = True


class Data:
    """Pictures and captions, on the device."""

    def __init__(self, folder):
        read = numpy.load(os.path.join(folder, "emoji.npz"))
        there = lambda name, kind=torch.long: torch.from_numpy(read[name]).to(DEVICE, kind)
        self.pictures = there("pictures", torch.uint8).permute(0, 3, 1, 2).contiguous()
        self.variant = there("variant", torch.bool)
        self.captions, self.lengths = there("captions"), there("lengths")
        self.suffixes, self.suffix_lengths = there("suffixes"), there("suffix_lengths")
        self.colours = torch.tensor(COLOURS, dtype=torch.float32, device=DEVICE) / 127.5 - 1
        with open(os.path.join(folder, "tokenizer", "vocab.json"), encoding="utf-8") as file:
            self.entries = len(json.load(file))
        with open(os.path.join(folder, "labels.json"), encoding="utf-8") as file:
            self.labels = json.load(file)
        self.start, self.end = self.entries - 2, self.entries - 1

    def __len__(self):
        return len(self.pictures)

    def draw(self, count, of_variants):
        """Indices, variants by skin tone rarer than the others."""
        share = torch.where(self.variant, of_variants, 1.0).cumsum(0)
        return torch.searchsorted(share, torch.rand(count, device=DEVICE) * share[-1]).clamp(max=len(self) - 1)

    def on(self, indices, ground):
        """Pictures on grounds (one colour each)."""
        layers = self.pictures[indices]
        colour, alpha = layers[:, :3].float() / 127.5 - 1, layers[:, 3:].float() / 255
        return colour * alpha + ground[:, :, None, None] * (1 - alpha)

    def on_white(self, indices):
        return self.on(indices, self.colours[:1].expand(len(indices), 3))

    def caption(self, indices, colour, which=None, named=None):
        """Tokens of captions; the ground is named where it is not white, and a fifth of the times where it is."""
        count = len(indices)
        which = torch.randint(self.captions.shape[1], (count,), device=DEVICE) if which is None else which
        named = (colour > 0) | (torch.rand(count, device=DEVICE) < 0.2) if named is None else named
        length = self.lengths[indices, which][:, None]
        both = torch.cat([self.captions[indices, which], self.suffixes[colour]], 1)
        place = torch.arange(77, device=DEVICE)[None] - 1
        source = torch.where(place < length, place, self.captions.shape[2] + place - length).clamp(0, both.shape[1] - 1)
        whole = length + torch.where(named, self.suffix_lengths[colour], 0)[:, None]
        tokens = torch.where(place < whole, both.gather(1, source), self.end)
        tokens[:, 0] = self.start
        return tokens

    def padded_with_zero(self, tokens):
        """As tokenizer_2 pads: with entry 0 after the first end."""
        first = (tokens == self.end).int().argmax(1)[:, None]
        return torch.where(torch.arange(77, device=DEVICE)[None] > first, 0, tokens)


def vae():
    return AutoencoderKL(
        in_channels=3, out_channels=3, down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(32, 64, 64), layers_per_block=1, latent_channels=4, norm_num_groups=16, sample_size=64,
        scaling_factor=1.0)


def text_encoders(data):
    words = dict(vocab_size=data.entries, max_position_embeddings=77, bos_token_id=data.start, eos_token_id=data.end)
    narrow = CLIPTextConfig(hidden_size=96, intermediate_size=384, num_hidden_layers=3, num_attention_heads=3,
                            hidden_act="quick_gelu", projection_dim=96, pad_token_id=data.end, **words)
    wide = CLIPTextConfig(hidden_size=160, intermediate_size=640, num_hidden_layers=3, num_attention_heads=5,
                          hidden_act="gelu", projection_dim=160, pad_token_id=0, **words)
    return CLIPTextModel(narrow), CLIPTextModelWithProjection(wide)


def unet():
    channels = (64, 128, 128)
    return UNet2DConditionModel(
        sample_size=16, in_channels=4, out_channels=4, block_out_channels=channels, layers_per_block=1, norm_num_groups=16,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=tuple(width // 32 for width in channels), cross_attention_dim=256, transformer_layers_per_block=1,
        use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=32,
        projection_class_embeddings_input_dim=32 * 6 + 160)


def clip(data):
    text = dict(vocab_size=data.entries, hidden_size=128, intermediate_size=512, num_hidden_layers=3, num_attention_heads=4,
                max_position_embeddings=77, hidden_act="quick_gelu", projection_dim=128, bos_token_id=data.start,
                eos_token_id=data.end, pad_token_id=data.end)
    sight = dict(hidden_size=160, intermediate_size=640, num_hidden_layers=4, num_attention_heads=5, image_size=64,
                 patch_size=8, hidden_act="quick_gelu", projection_dim=128)
    return CLIPModel(CLIPConfig(text_config=text, vision_config=sight, projection_dim=128))


ALPHAS = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2, 0)
SIGMAS = ((1 - ALPHAS) / ALPHAS).sqrt().float().to(DEVICE)
TIME_IDS = torch.tensor([[64.0, 64, 0, 0, 64, 64]], device=DEVICE)


def trailing(steps):
    """Time steps as EulerDiscreteScheduler spaces them with `trailing`."""
    return [round(1000 - index * 1000 / steps) - 1 for index in range(steps)]


def encode(encoders, data, tokens):
    """What the UNet reads of captions: hidden states and the pooled embedding."""
    narrow, wide = encoders
    first = narrow(tokens, output_hidden_states=True).hidden_states[-2]
    second = wide(data.padded_with_zero(tokens), output_hidden_states=True)
    return torch.cat([first, second.hidden_states[-2]], -1), second.text_embeds


def noise_of(model, latents, sigma, step, states, pooled, guidance=None):
    """The noise that the UNet sees in latents at `sigma` (one each), with classifier-free guidance where it is given."""
    scaled = latents / (sigma[:, None, None, None] ** 2 + 1).sqrt()
    if guidance is not None:
        scaled, step = torch.cat([scaled] * 2), torch.cat([step] * 2)
        states, pooled = (torch.cat([torch.zeros_like(x), x]) for x in (states, pooled))
    said = dict(text_embeds=pooled, time_ids=TIME_IDS.expand(len(scaled), -1))
    with torch.autocast(DEVICE, torch.bfloat16, cache_enabled=False):
        noise = model(scaled, step, states, added_cond_kwargs=said).sample.float()
    if guidance is None:
        return noise
    without, wanted = noise.chunk(2)
    return without + guidance * (wanted - without)


class Training:
    """AdamW with a running average of the weights; on a GPU a step is one CUDA graph over a batch that is copied in."""

    def __init__(self, parameters, loss, batch, rate, steps, warmup=200, decay=1e-4, average=0.998, falls=None):
        self.parameters = [p for p in parameters if p.requires_grad]
        self.loss, self.batch, self.steps, self.rate, self.warmup = loss, batch, steps, rate, warmup
        self.falls = falls or (lambda part: 0.5 * (1 + math.cos(math.pi * part)) + 0.01)
        self.average = [p.detach().clone() for p in self.parameters]
        self.share = torch.tensor(0.0, device=DEVICE)
        self.kept, self.seen = average, torch.zeros((), device=DEVICE)
        self.optimizer = torch.optim.AdamW(self.parameters, torch.tensor(rate, device=DEVICE), betas=(0.9, 0.99),
                                           weight_decay=decay, fused=GRAPHS, capturable=GRAPHS)

    def step(self):
        loss = self.loss(*self.held)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0, foreach=True)
        self.optimizer.step()
        for mean, now in zip(self.average, self.parameters):
            mean.lerp_(now.detach(), self.share)
        self.seen.add_(loss.detach())

    def record(self):
        """Warms up beside the others' stream, as capturing asks for, then captures one step."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(4):
                self.optimizer.zero_grad(set_to_none=True)
                self.step()
        torch.cuda.current_stream().wait_stream(side)
        self.optimizer.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.step()
        return graph

    def run(self, name, every=500):
        """Trains, and leaves the averages in the parameters."""
        rate = self.optimizer.param_groups[0]["lr"]
        rate.fill_(1e-6)
        self.held = [part.clone() for part in self.batch()]
        graph = self.record() if GRAPHS else None
        self.seen.zero_()
        for mean, now in zip(self.average, self.parameters):
            mean.copy_(now.detach())
        for step in range(self.steps):
            rate.fill_(self.rate * min(1, (step + 1) / self.warmup) * self.falls(step / self.steps))
            self.share.fill_(1 - min(self.kept, (1 + step) / (10 + step)))
            for held, new in zip(self.held, self.batch()):
                held.copy_(new)
            if graph:
                graph.replay()
            else:
                self.optimizer.zero_grad(set_to_none=True)
                self.step()
            if (step + 1) % every == 0:
                print(f"{name} {step + 1} of {self.steps}: loss {self.seen.item() / every:.4f}", flush=True)
                self.seen.zero_()
        for now, mean in zip(self.parameters, self.average):
            now.data.copy_(mean)


def edges(a, b, scales):
    """Mean absolute difference of gradients, at several scales."""
    found = 0
    for scale in range(scales):
        if scale:
            a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
        d = a - b
        found = found + (d[..., 1:] - d[..., :-1]).abs().mean() + (d[:, :, 1:] - d[:, :, :-1]).abs().mean()
    return found
