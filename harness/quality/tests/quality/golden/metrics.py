#!/usr/bin/env python3
"""Writes metrics.json: what scikit-image and OpenCV say about generated picture pairs.

The pictures come from integer formulas that `../common.rs` repeats, so none is stored.
Needs numpy, pillow, opencv-python-headless 5.0.0.93, scikit-image 0.26.0.

    python metrics.py > metrics.json
"""
import io, json
import cv2, numpy as np
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

def splitmix(z):
    with np.errstate(over="ignore"):
        z = (z + np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))

def noise(width, height, seed):
    index = np.arange(width * height * 3, dtype=np.uint64).reshape(height, width, 3)
    return splitmix(index + (np.uint64(seed) << np.uint64(32)))

def picture(width, height, seed):
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    t = (x * (3 + seed % 5) + y * (1 + seed % 3) * (c + 1) + 40 * c) % 512
    v = np.where(t < 256, t, 511 - t)
    return ((v * 7 + (noise(width, height, seed) & np.uint64(255)).astype(int)) // 8).astype(np.uint8)

def changed(a, kind, amount, seed):
    height, width, _ = a.shape
    v = a.astype(int)
    if kind == "noise":
        v = v + (noise(width, height, seed + 1000) % np.uint64(2 * amount + 1)).astype(int) - amount
    elif kind == "shift":
        v = np.roll(v, -amount, axis=1)
    elif kind == "dim":
        v = v * (255 - amount) // 255
    elif kind == "flat":
        v = np.full_like(v, amount)
    elif kind == "other":
        v = picture(width, height, seed + amount).astype(int)
    else:
        assert kind == "same"
    return np.clip(v, 0, 255).astype(np.uint8)

def through_png(a, form):
    """The picture after a trip through an opaque RGBA or a grey PNG, as PIL and OpenCV both read it."""
    if form == "rgb":
        return a
    if form == "rgba":
        alpha = np.full(a.shape[:2] + (1,), 255, np.uint8)
        image = Image.fromarray(np.concatenate([a, alpha], 2), "RGBA")
    else:
        image = Image.fromarray(np.ascontiguousarray(a[:, :, 1]), "L")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    pil = np.array(Image.open(io.BytesIO(buffer.getvalue())).convert("RGB"))
    assert (pil == cv2.imdecode(np.frombuffer(buffer.getvalue(), np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]).all()
    return pil

def score(width, height, seed, kind, amount, form):
    a = picture(width, height, seed)
    b = changed(a, kind, amount, seed)
    a, b = (through_png(p, form) for p in (a, b))
    ga, gb = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in (a, b))
    out = dict(width=width, height=height, seed=seed, kind=kind, amount=amount, form=form)
    out["ssim_gray"] = structural_similarity(ga, gb)
    out["psnr"] = None if (a == b).all() else peak_signal_noise_ratio(a, b)
    return {k: float(v) if isinstance(v, np.floating) else v for k, v in out.items()}

SIZES = [(7, 7), (7, 64), (64, 64), (64, 64), (65, 97), (96, 64), (128, 128), (200, 161), (173, 211), (256, 256),
         (256, 100), (333, 217), (384, 512), (512, 512), (640, 360), (768, 512), (1000, 64), (1024, 1024)]
KINDS = [("noise", 3), ("noise", 40), ("shift", 2), ("dim", 30), ("flat", 128), ("other", 7), ("same", 0), ("noise", 120)]
FORMS = ["rgb", "rgb", "rgba", "rgb", "grey"]
if __name__ == "__main__":
    cases = []
    for i in range(54):
        (w, h), (kind, amount) = SIZES[i % len(SIZES)], KINDS[i % len(KINDS)]
        cases.append(score(w, h, i + 1, kind, amount, FORMS[i % len(FORMS)]))
    print("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]")
