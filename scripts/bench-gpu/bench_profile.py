"""Sums ncu's kernel times by what they are for. usage: profile.py NCU.csv (from --metrics gpu__time_duration.sum --csv)"""
import csv
import sys
from collections import defaultdict

GROUPS = [("flash", "attention"), ("group_", "group norm"), ("layer_norm", "layer norm"), ("geglu", "gated GELU"), ("beside", "concatenation"),
          ("enlarge", "enlargement"), ("finish", "bias and residual"), ("soften", "softmax"), ("activate", "activation"),
          ("fprop", "convolution"), ("conv", "convolution"), ("implicit", "convolution"), ("gemm", "product"), ("nvjet", "product"),
          ("cutlass", "product"), ("splitk", "product"), ("copy", "copies"), ("cast", "casts")]
lines = [l for l in open(sys.argv[1]) if l.startswith('"')]
kernels, groups = defaultdict(lambda: [0, 0.0]), defaultdict(lambda: [0, 0.0])
for r in csv.DictReader(lines):
    if r.get("Metric Name") != "gpu__time_duration.sum":
        continue
    us = float(r["Metric Value"].replace(",", "")) * {"ns": 1e-3, "us": 1, "usecond": 1, "nsecond": 1e-3, "ms": 1e3, "msecond": 1e3}[r["Metric Unit"]]
    name = r["Kernel Name"]
    group = next((g for k, g in GROUPS if k in name.lower()), "other")
    for table, key in ((kernels, name[:100]), (groups, group)):
        table[key][0] += 1
        table[key][1] += us
for table in (groups, kernels):
    total = sum(t for _, t in table.values())
    print(f"{'total':100s} {sum(n for n, _ in table.values()):6d} {total / 1e3:9.3f} ms")
    for key, (n, us) in sorted(table.items(), key=lambda i: -i[1][1])[:40]:
        print(f"{key:100s} {n:6d} {us / 1e3:9.3f} ms  {us / n:8.1f} us each")
    print()
