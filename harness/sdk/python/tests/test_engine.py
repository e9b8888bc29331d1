"""The engine's side: the noise of sampling and the bytes of scores are what PROTOCOL.md defines."""

import sys
import unittest
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

sys.path.append(str(Path(__file__).resolve().parent.parent))

import edgemaxx_engine

# The known answers of PROTOCOL.md: seed, position, token, noise.
KNOWN = [
    (0, 0, 0, -0.516029),
    (0, 0, 1, 1.725820),
    (7, 0, 0, -0.562415),
    (7, 3, 0, 0.932858),
    (7, 3, 2047, -0.909340),
]


class Noise(unittest.TestCase):
    def check(self):
        for seed, position, token, noise in KNOWN:
            drawn = edgemaxx_engine.gumbel_noise(seed, position, token + 1)
            self.assertEqual(len(drawn), token + 1)
            self.assertAlmostEqual(float(drawn[token]), noise, places=5)

    def test_without_numpy(self):
        with mock.patch.dict(sys.modules, {"numpy": None}):
            self.check()

    @unittest.skipIf(find_spec("numpy") is None, "missing: numpy; pip install numpy")
    def test_with_numpy(self):
        self.check()


class Scores(unittest.TestCase):
    def test_a_token_takes_eight_bytes(self):
        said, payload = edgemaxx_engine.scores(zip([[5, 1], [2**32 - 1, 0]], [[-0.5, -1.0], [0.0, -2.0]]))
        self.assertEqual(said, {})
        expected = "05000000000000bf" "01000000000080bf" "ffffffff00000000" "00000000000000c0"
        self.assertEqual(bytes(payload).hex(), expected)


if __name__ == "__main__":
    unittest.main()
