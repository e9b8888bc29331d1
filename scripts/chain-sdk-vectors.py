#!/usr/bin/env python3
"""Recompute the known answers that harness/chain takes from the official SDK.

Run it in an environment with PyPI `bittensor` 11.3:

    python -m venv /tmp/sdk && /tmp/sdk/bin/pip install bittensor==11.3
    /tmp/sdk/bin/python scripts/chain-sdk-vectors.py normalize   # digest in src/weights/normalize.rs
    /tmp/sdk/bin/python scripts/chain-sdk-vectors.py epochs      # table in tests/data/reveal-blocks.txt
"""

import argparse
import hashlib


class Draw:
    """SplitMix64, as in the Rust test."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        mask = (1 << 64) - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)


def normalize_digest():
    from bittensor.intents.weights import normalize

    draw, digest = Draw(39), hashlib.sha256()
    for _ in range(10_000):
        n = draw.next() % 64 + 1
        weights = []
        for _ in range(n):
            kind, bits = draw.next() % 8, draw.next()
            unit = (bits >> 11) / (1 << 53)
            weights.append(
                {0: 0.0, 1: unit / 65536.0, 2: (2 * (bits % 65535) + 1) / 131070.0, 3: 1.0}.get(kind, unit)
            )
        for uid, value in zip(*normalize(list(range(n)), weights)):
            digest.update(f"{uid},{value};".encode())
        digest.update(b"\n")
    print(digest.hexdigest())


def reveal_blocks():
    """Blocks at which the core expects the reveal, found with three-second blocks (one drand round each)."""
    import time

    from bittensor_core import get_encrypted_commit_v2

    draw = Draw(8)
    print("# last_epoch pending tempo current period -> blocks until reveal")
    print("# bittensor-core 0.1.5 get_encrypted_commit_v2, block_time 3: round(now + 3 blocks) subtracted")
    for _ in range(300):
        tempo = [1, 2, 10, 99, 360, 360, 360, 1000][draw.next() % 8]
        current = 1000 + draw.next() % 100_000
        last = current - draw.next() % (tempo + 2)
        pending = 0 if draw.next() % 3 else current + draw.next() % (2 * tempo + 1)
        since = current - last if draw.next() % 4 else draw.next() % (tempo + 2)
        index, period = draw.next() % 1000, draw.next() % 4 + 1
        while True:
            before = time.time()
            _, rounds = get_encrypted_commit_v2(
                [1], [65535], 0, last, pending, index, tempo, since, current, period, 3.0, bytes(32)
            )
            after = time.time()
            if int(before) // 3 == int(after) // 3:
                break
        base = (int(before) - 1692803367) // 3
        print(last, pending, tempo, current, period, rounds - base - 3)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["normalize", "epochs"])
    {"normalize": normalize_digest, "epochs": reveal_blocks}[parser.parse_args().what]()
