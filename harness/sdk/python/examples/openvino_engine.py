"""SDXL on OpenVINO behind the EdgeMaxx protocol: the models and the way through them are ONNX Runtime's example's.

Export first, as onnxruntime_engine.py says. The engine needs numpy, openvino and tokenizers, and both files:

    [engine]
    command = ["python3", "openvino_engine.py"]
    files = ["onnx", "onnxruntime_engine.py"]
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import edgemaxx_engine
import onnxruntime_engine


def load(job):
    import openvino

    core = openvino.Core()
    # in f32 whatever the processor offers, for the contest's sake; and no more threads than it allows
    settings = {
        "INFERENCE_NUM_THREADS": job["threads"],
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }

    def compiled(path):
        request = core.compile_model(path, "CPU", settings).create_infer_request()

        def run(*values):
            # copies: the next run writes where this one's answers lie
            found = request.infer(dict(enumerate(values)))
            return [found[output].copy() for output in found]

        return run

    return onnxruntime_engine.pipeline(job, compiled)


if __name__ == "__main__":
    import importlib.metadata

    edgemaxx_engine.serve("openvino", importlib.metadata.version("openvino"), load)
