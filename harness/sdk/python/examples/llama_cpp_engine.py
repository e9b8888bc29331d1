"""llama.cpp behind the EdgeMaxx protocol, through its library: greedy and sampled, a part a token.

Needs numpy and llama.cpp's shared libraries (libllama, libggml*), such as the npm package @node-llama-cpp/linux-x64 holds
prebuilt. In a contest of `task = "text"` whose checkpoint is a GGUF file:

    [engine]
    command = ["python3", "llama_cpp_engine.py", "FOLDER OF THE LIBRARIES"]

Weights stay as the file has them. It refuses what llama.cpp cannot be asked for: positions brought nearer, tokens guessed
ahead, a rounded cache.
"""

import ctypes
import glob
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import edgemaxx_engine

pointer, i32, u32 = ctypes.c_void_p, ctypes.c_int32, ctypes.c_uint32


class Parameters(ctypes.Structure):
    """Parameters, whose layout is the library's affair: more room than they take."""

    _fields_ = [("words", ctypes.c_uint64 * 128)]


class Batch(ctypes.Structure):
    _fields_ = [("count", i32), ("tokens", pointer)] + [("more%d" % i, pointer) for i in range(5)]


FUNCTIONS = [
    ("llama_model_default_params", Parameters, []),
    ("llama_context_default_params", Parameters, []),
    ("llama_model_load_from_file", pointer, [ctypes.c_char_p, Parameters]),
    ("llama_init_from_model", pointer, [pointer, Parameters]),
    ("llama_n_ctx", u32, [pointer]),
    ("llama_n_batch", u32, [pointer]),
    ("llama_set_n_threads", None, [pointer, i32, i32]),
    ("llama_get_memory", pointer, [pointer]),
    ("llama_memory_clear", None, [pointer, ctypes.c_bool]),
    ("llama_batch_get_one", Batch, [pointer, i32]),
    ("llama_decode", i32, [pointer, Batch]),
    ("llama_get_logits_ith", ctypes.POINTER(ctypes.c_float), [pointer, i32]),
    ("llama_model_get_vocab", pointer, [pointer]),
    ("llama_vocab_n_tokens", i32, [pointer]),
    ("llama_model_n_ctx_train", i32, [pointer]),
]


def library(folder):
    """llama.cpp's functions, its back ends loaded."""

    def open_one(name):
        found = glob.glob(os.path.join(folder, name))
        if not found:
            raise edgemaxx_engine.Refusal("%s holds no %s" % (folder, name))
        return ctypes.CDLL(found[0], mode=ctypes.RTLD_GLOBAL)

    open_one("libggml-base.so*")
    ggml, llama = open_one("libggml.*so*"), open_one("libllama.*so*")
    library.quiet = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, pointer)(lambda *_: None)
    llama.llama_log_set(library.quiet, None)
    ggml.ggml_backend_load_all_from_path(folder.encode())
    llama.llama_backend_init()
    for name, result, arguments in FUNCTIONS:
        function = getattr(llama, name)
        function.restype, function.argtypes = result, arguments
    return llama


def load(job):
    import numpy

    settings = job["settings"]
    if job["task"] != "text" or job["replaced"]:
        raise edgemaxx_engine.Refusal("this engine writes texts, with nothing replaced")
    if settings["weights"] != "stored" or set(settings) - {"weights", "context"}:
        raise edgemaxx_engine.Refusal('llama.cpp takes a file as it is: expected weights = "stored" and nothing else')
    place = job["checkpoint"]
    files = glob.glob(os.path.join(place, "*.gguf")) if os.path.isdir(place) else [place]
    if len(files) != 1:
        raise edgemaxx_engine.Refusal("%s holds %d GGUF files; expected one" % (place, len(files)))
    llama = library(os.path.abspath(sys.argv[1]))
    model = llama.llama_model_load_from_file(files[0].encode(), llama.llama_model_default_params())
    parameters = llama.llama_context_default_params()
    # The first three are positions, and tokens of a batch as asked for and as computed.
    sizes = (u32 * 3).from_buffer(parameters)
    sizes[0] = sizes[1] = settings["context"]
    context = model and llama.llama_init_from_model(model, parameters)
    if not context or llama.llama_n_ctx(context) < settings["context"] or llama.llama_n_batch(context) < settings["context"]:
        raise edgemaxx_engine.Refusal("llama.cpp did not load %s with %d positions" % (files[0], settings["context"]))
    llama.llama_set_n_threads(context, job["threads"], job["threads"])
    vocabulary = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))

    def logits(tokens):
        ids = (i32 * len(tokens))(*tokens)
        if llama.llama_decode(context, llama.llama_batch_get_one(ctypes.addressof(ids), len(tokens))):
            raise edgemaxx_engine.Refusal("llama_decode failed")
        return numpy.ctypeslib.as_array(llama.llama_get_logits_ith(context, -1), (vocabulary,))

    def generate(request):
        decoding, ends = request["decoding"], set(request["end_ids"])
        sampled = decoding["sampled"] if isinstance(decoding, dict) else None
        llama.llama_memory_clear(llama.llama_get_memory(context), True)
        read = request["prompt_ids"]
        for position in range(request["max_new_tokens"]):
            scores = logits(read)
            if sampled:
                noise = edgemaxx_engine.gumbel_noise(sampled["seed"], position, vocabulary)
                scores = scores / numpy.float32(sampled["temperature"]) + noise
            token = int(scores.argmax())
            request.part({"ids": [token]})
            if token in ends and not request["ignore_eos"]:
                break
            read = [token]
        return {}, b""

    # Once through everything, so that the first request finds it warm.
    logits([0])
    return generate, {"vocabulary": vocabulary, "positions": llama.llama_model_n_ctx_train(model)}


if __name__ == "__main__":
    edgemaxx_engine.serve("llama.cpp", "1.0", load)
