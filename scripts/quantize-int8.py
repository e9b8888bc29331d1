#!/usr/bin/env python3
"""Store the weights of a safetensors file as int8 per output channel.

Every floating tensor with at least two dimensions and at least 2048 elements
becomes two tensors: NAME (I8, same shape) and NAME.scale (F32, one value per
output channel, that is per index of dimension 0):

    scale[c] = max |w[c, ...]| / 127            in float32
    q[c, ...] = round_half_even(w[c, ...] / scale[c])
    w'[c, ...] = float32(q[c, ...]) * scale[c]  what a reader gets back

A channel of zeros has scale 0. Every other floating tensor is stored as F16,
integer tensors as they are. The bytes depend on nothing but the input: tensors
lie in the file widest type first, then by name, so that each starts aligned.

Needs numpy. Example:

    scripts/quantize-int8.py unet-f16.safetensors diffusion_pytorch_model.safetensors
"""

import argparse
import json
import struct
import sys

import numpy as np

MIN_ELEMENTS = 2048
METADATA = {"edgemaxx.quantization": "int8-per-channel", "format": "pt"}
DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8",
    "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1",
}
NAMES = {np.dtype(code): name for name, code in DTYPES.items()}


def read(path):
    """The tensors of a safetensors file, as a dict of numpy arrays; BF16 becomes F32."""
    with open(path, "rb") as file:
        blob = file.read()
    (length,) = struct.unpack("<Q", blob[:8])
    header = json.loads(blob[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        if entry["dtype"] == "BF16":
            words = np.frombuffer(blob[begin:end], "<u2").astype("<u4") << 16
            array = words.view("<f4")
        elif entry["dtype"] in DTYPES:
            array = np.frombuffer(blob[begin:end], DTYPES[entry["dtype"]])
        else:
            sys.exit(f"{path}: tensor {name}: dtype {entry['dtype']} is not supported")
        tensors[name] = array.reshape(entry["shape"])
    return tensors


def write(path, tensors):
    """Write tensors in a fixed order behind a header padded to eight bytes."""
    header, offset = {"__metadata__": METADATA}, 0
    order = sorted(tensors, key=lambda name: (-tensors[name].itemsize, name))
    for name in order:
        array = tensors[name]
        end = offset + array.nbytes
        header[name] = {
            "dtype": NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in order:
            file.write(np.ascontiguousarray(tensors[name]).tobytes())


def quantize(weight):
    """Symmetric int8 per index of dimension 0: (q, scale)."""
    weight = weight.astype(np.float32)
    rows = weight.reshape(weight.shape[0], -1)
    scale = np.abs(rows).max(axis=1) / np.float32(127)
    divisor = np.where(scale > 0, scale, np.float32(1))
    q = np.clip(np.rint(rows / divisor[:, None]), -127, 127).astype(np.int8)
    return q.reshape(weight.shape), scale


def dequantize(tensors):
    """What a reader makes of a quantised file: every pair is one float32 tensor."""
    plain = {}
    for name, array in tensors.items():
        if array.dtype == np.int8 and f"{name}.scale" in tensors:
            scale = tensors[f"{name}.scale"].reshape(-1, *[1] * (array.ndim - 1))
            plain[name] = array.astype(np.float32) * scale
        elif not (name.endswith(".scale") and name.removesuffix(".scale") in tensors):
            plain[name] = array
    return plain


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input", help="safetensors file with F64, F32, F16 or BF16 weights")
    parser.add_argument("output", help="safetensors file to write")
    args = parser.parse_args()

    source, out = read(args.input), {}
    for name, array in source.items():
        if array.dtype.kind != "f":
            out[name] = array
        elif array.ndim >= 2 and array.size >= MIN_ELEMENTS:
            out[name], out[f"{name}.scale"] = quantize(array)
        else:
            out[name] = array.astype(np.float16)
    write(args.output, out)

    back = dequantize(read(args.output))
    error = sum(np.square(back[n].astype(np.float64) - a).sum() for n, a in source.items())
    norm = sum(np.square(a.astype(np.float64)).sum() for a in source.values())
    quantized = sum(f"{n}.scale" in out for n in source)
    print(f"{quantized} of {len(source)} tensors as int8, relative error {(error / norm) ** 0.5:.2e}")


if __name__ == "__main__":
    main()
