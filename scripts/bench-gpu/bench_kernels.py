"""Checks and times the kernels of harness/candle/src/cuda/kernels against PyTorch in f32, through CuPy.

usage: bench_kernels.py harness/candle/src/cuda/kernels
"""
import sys
import warnings

import cupy
import torch
import torch.nn.functional as F

warnings.simplefilter("ignore")
DEV = "cuda"
KINDS = {"f16": torch.float16, "bf16": torch.bfloat16, "f32": torch.float32}
folder = sys.argv[1]
modules = {m: cupy.RawModule(path=f"{folder}/{m}.ptx") for m in ("flash", "glue", "norm")}
worst = 0


def arg(v):
    if isinstance(v, torch.Tensor):
        return v.data_ptr()
    if isinstance(v, float):
        return cupy.float32(v)
    if isinstance(v, tuple):
        return cupy.int64(v[0])
    return cupy.int32(v) if v is not None else 0


def launch(f, grid, block, args, shared=0):
    f(grid, (block,), tuple(arg(a) if a is not None else cupy.uint64(0) for a in args), shared_mem=shared,
      stream=cupy.cuda.ExternalStream(torch.cuda.current_stream().cuda_stream))


def timed(work, n=50):
    for _ in range(5):
        work()
    torch.cuda.synchronize()
    ms = []
    for _ in range(n):
        a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        # a sleep first, so that all launches wait in the queue and none of their cost is seen
        torch.cuda._sleep(200000)
        a.record()
        for _ in range(4):
            work()
        b.record(); b.synchronize()
        ms.append(a.elapsed_time(b) * 250)
    return sorted(ms)[n // 2]


def report(name, got, want, kind, work, bytes_moved=0, flop=0, beside=None):
    global worst
    e = ((got.float() - want).norm() / want.norm()).item()
    limit = {"f16": 1e-3, "bf16": 8e-3, "f32": 1e-5}[kind]
    ok = e < limit and not got.isnan().any()
    worst += not ok
    us = timed(work)
    more = f" {bytes_moved / us / 1e6:.2f} TB/s" if bytes_moved else f" {flop / us / 1e6:.0f} TFLOP/s" if flop else ""
    print(f"{'ok  ' if ok else 'BAD '} {name:44s} error {e:.1e}  {us:8.1f} us{more}" + (f"  torch {timed(beside):.1f} us" if beside else ""), flush=True)


SHAPES = {40: (64, 64, 112), 64: (64, 64, 128), 80: (64, 64, 176), 128: (64, 32, 256)}


def flash(b, h, l, m, d, kind, causal=False, packed=False):
    t = KINDS[kind]
    torch.manual_seed(l + d)
    if packed:
        qkv = torch.randn(b, l, 3 * h * d, device=DEV, dtype=t)
        q, k, v = qkv[..., : h * d], qkv[..., h * d : 2 * h * d], qkv[..., 2 * h * d :]
        row = 3 * h * d
    else:
        q, k, v = (torch.randn(b, n, h * d, device=DEV, dtype=t) for n in (l, m, m))
        row = h * d
    o = torch.full((b, l, h * d), float("nan"), device=DEV, dtype=t)
    split = lambda x: x.reshape(b, -1, h, d).transpose(1, 2)
    want = F.scaled_dot_product_attention(split(q).float(), split(k).float(), split(v).float(), is_causal=causal).transpose(1, 2).reshape(b, l, h * d)
    long = d == 64 and l >= 2048 and m >= 512
    f = modules["flash"].get_function(f"flash_{d}{'_long' if long else ''}_{kind}")
    rows, keys, rb = SHAPES[d]
    rows *= 1 + long
    shared = max(4 * keys, rows) * rb
    f.max_dynamic_shared_size_bytes = max(shared, 1024)
    args = (q, k, v, o, l, m, h, int(causal), float(d**-0.5 * 1.4426950408889634), row, row, row, h * d)
    work = lambda: launch(f, (-(-l // rows), h, b), 128, args, shared)
    work()
    qs, ks, vs = split(q), split(k), split(v)
    report(f"flash {kind} b{b} h{h} {l}x{m} d{d}{' causal' if causal else ''}", o, want, kind, work, flop=4 * b * h * l * m * d,
           beside=lambda: F.scaled_dot_product_attention(qs, ks, vs, is_causal=causal))


def group_norm(n, hw, c, g, kind, shift, act):
    t = KINDS[kind]
    x = torch.randn(n, hw, c, device=DEV).mul_(2).add_(torch.randn(c, device=DEV) * 8).to(t)
    s = torch.randn(n, c, device=DEV).to(t) if shift else None
    w, b = (torch.randn(c, device=DEV).to(t) for _ in range(2))
    full = x.float() + (s.float()[:, None] if shift else 0)
    want = F.group_norm(full.transpose(1, 2), g, w.float(), b.float(), 1e-5)
    want = (F.silu(want) if act else want).transpose(1, 2)
    per = 16 // x.element_size()
    vectors = c // per
    most = (48 << 10) // (8 * c)
    threads = (min(max(256 // vectors, 1), most) * vectors + 31) // 32 * 32
    rows = threads // vectors
    runs = min(max(-(-hw // (rows * 8)), 1), -(-396 // n))
    part = torch.empty(n * runs * g * 2, device=DEV)
    done = torch.zeros(4096, device=DEV, dtype=torch.int32)
    stats, y = torch.empty(n, g, 2, device=DEV), torch.full_like(x, float("nan"))
    a, p = (modules["norm"].get_function(f"group_{k}_{kind}") for k in ("stats", "apply"))

    def work():
        launch(a, (runs, n, 1), threads, (x, s, part, done, stats, hw, c, g, 1e-5), rows * c * 8)
        launch(p, (min(-(-hw // (rows * 4)), -(-792 // n)), n, 1), threads, (x, s, stats, w, b, y, hw, c, g, int(act)))
    work(); work()
    report(f"group norm {kind} {n}x{hw}x{c} g{g}{' shift' if shift else ''}{' silu' if act else ''}", y, want, kind, work,
           bytes_moved=3 * x.numel() * x.element_size())
    assert not done.any()


def layer_norm(rows, c, kind):
    t = KINDS[kind]
    x, w, b = torch.randn(rows, c, device=DEV).add_(3).to(t), torch.randn(c, device=DEV).to(t), torch.randn(c, device=DEV).to(t)
    y = torch.full_like(x, float("nan"))
    want = F.layer_norm(x.float(), (c,), w.float(), b.float())
    v = -(-c * x.element_size() // 16 // 32)
    f = modules["norm"].get_function(f"layer_norm_{3 if v <= 3 else 5 if v <= 5 else 12}_{kind}")
    work = lambda: launch(f, (-(-rows // 4), 1, 1), 128, (x, w, b, y, rows, c, 1e-5))
    work()
    report(f"layer norm {kind} {rows}x{c}", y, want, kind, work, bytes_moved=2 * x.numel() * x.element_size(), beside=lambda: F.layer_norm(x, (c,), w, b))


def glue(kind):
    t, n = KINDS[kind], 16 // torch.empty(0, dtype=KINDS[kind]).element_size()
    f = lambda name: modules["glue"].get_function(f"{name}_{kind}")
    x = torch.randn(2048, 10240, device=DEV).to(t)
    y = torch.full((2048, 5120), float("nan"), device=DEV, dtype=t)
    v = y.numel() // n
    work = lambda: launch(f("geglu"), (-(-v // 256), 1, 1), 256, (x, y, (v,), 5120)); work()
    report(f"geglu {kind}", y, x[:, :5120].float() * F.gelu(x[:, 5120:].float()), kind, work, bytes_moved=3 * y.numel() * y.element_size())
    a, b = torch.randn(2, 64, 64, 640, device=DEV).to(t), torch.randn(2, 64, 64, 320, device=DEV).to(t)
    y = torch.full((2, 64, 64, 960), float("nan"), device=DEV, dtype=t); v = y.numel() // n
    work = lambda: launch(f("beside"), (-(-v // 256), 1, 1), 256, (a, b, y, (v,), 640, 320)); work()
    report(f"beside {kind}", y, torch.cat((a, b), 3).float(), kind, work, bytes_moved=2 * y.numel() * y.element_size())
    y = torch.full((2, 128, 128, 640), float("nan"), device=DEV, dtype=t); v = y.numel() // n
    work = lambda: launch(f("enlarge"), (-(-v // 256), 1, 1), 256, (a, y, (v,), 64, 64, 128, 128, 640)); work()
    report(f"enlarge {kind}", y, a.float().repeat_interleave(2, 1).repeat_interleave(2, 2), kind, work, bytes_moved=1.25 * y.numel() * y.element_size())
    for c in (640, 4):
        y0, r, bias = (torch.randn(2, 64, 64, c, device=DEV).to(t) for _ in range(2)), None, torch.randn(c, device=DEV).to(t)
        y0, r = y0; y = y0.clone(); v = y.numel() // n
        launch(f("finish"), (-(-v // 256), 1, 1), 256, (y, bias, r, (v,), c, (0,)))
        z = y.clone()
        report(f"finish {kind} c{c}", z, y0.float() + bias.float() + r.float(), kind, lambda: launch(f("finish"), (-(-v // 256), 1, 1), 256, (y, bias, r, (v,), c, (0,))), bytes_moved=3 * y.numel() * y.element_size())
    s = torch.randn(512, 16384, device=DEV) * 5
    y = torch.full((512, 16384), float("nan"), device=DEV, dtype=t)
    work = lambda: launch(f("soften"), (512, 1, 1), 512, (s, y, 16384, 0.3)); work()
    report(f"soften {kind}", y, torch.softmax(s * 0.3, 1), kind, work, bytes_moved=s.numel() * (4 + y.element_size()))


for kind in ("f16", "bf16"):
    flash(2, 10, 4096, 4096, 64, kind, packed=True)
    flash(2, 20, 1024, 1024, 64, kind, packed=True)
    flash(2, 10, 4096, 77, 64, kind)
    flash(2, 20, 1024, 77, 64, kind)
    flash(1, 20, 77, 77, 64, kind, causal=True)
    flash(3, 2, 333, 191, 64, kind)
    for d in (40, 80, 128):
        flash(2, 8, 1024, 1024, d, kind)
        flash(2, 3, 145, 77, d, kind)
        flash(1, 2, 100, 100, d, kind, causal=True)
for kind in KINDS:
    for n, hw, c, g, shift, act in ((2, 16384, 320, 32, True, True), (2, 4096, 1280, 32, False, True), (2, 1024, 2560, 32, False, False),
                                    (2, 16384, 960, 32, True, True), (1, 1048576, 128, 32, True, True), (2, 64, 64, 16, True, False), (1, 65536, 512, 32, False, True)):
        group_norm(n, hw, c, g, kind, shift, act)
    for rows, c in ((8192, 640), (2048, 1280), (77, 768), (154, 1536), (5, 64)):
        layer_norm(rows, c, kind)
    glue(kind)
print("BAD:", worst)
sys.exit(worst > 0)
