"""Joins the lines of both sides into a table in Markdown. usage: table.py LINES.jsonl [OURS.ppm THEIRS.npy]"""
import json
import sys

import numpy

rows = []
for line in open(sys.argv[1]):
    try:
        rows.append(json.loads(line))
    except ValueError:
        pass
known = {(r["what"], r.get("dtype")): r for r in rows if "median_ms" in r}
eager = known.get(("diffusers step, eager", "F16"), {}).get("median_ms")
base = {"step": eager, "vae F16": known.get(("diffusers vae", "F16"), {}).get("median_ms"),
        "vae F32": known.get(("diffusers vae", "F32"), {}).get("median_ms"),
        "vae, TF32": known.get(("diffusers vae, TF32", "F32"), {}).get("median_ms"),
        "picture": known.get(("diffusers picture", "F16"), {}).get("median_ms")}
print("| what | type | median ms | min–max | ÷ diffusers eager | relative error | bits |\n|---|---|---|---|---|---|---|")
for r in rows:
    if "median_ms" not in r:
        continue
    name = r["what"].replace("diffusers ", "")
    kind = name.split(",")[0]
    against = base.get(name) or base.get(kind) or base.get(f"{kind} {r.get('dtype')}")
    ratio = f"{r['median_ms'] / against:.2f}" if against else "—"
    wrong = f"{r['error']:.1e}" if "error" in r else "—"
    print(f"| {r['what']} | {r['dtype'].lower()} | {r['median_ms']:.1f} | {r['min_ms']:.1f}–{r['max_ms']:.1f} | {ratio} | {wrong} | {r.get('hash', '—')} |")
if len(sys.argv) > 3:
    data = open(sys.argv[2], "rb").read()
    head, body = data.split(b"\n", 1)
    w, h = map(int, head.split()[1:3])
    ours = numpy.frombuffer(body, "uint8").reshape(h, w, 3).astype(float)
    theirs = numpy.load(sys.argv[3]).astype(float)
    mse = ((ours - theirs) ** 2).mean()
    print(f"\nPSNR of the final pictures: {10 * numpy.log10(255**2 / mse) if mse else float('inf'):.1f} dB; standard deviation of the picture: {theirs.std():.1f}")
