"""Language models of transformers behind the EdgeMaxx protocol: greedy and sampled, a part a token.

Needs torch, transformers and numpy. In a contest of `task = "text"`:

    [engine]
    command = ["python3", "transformers_engine.py"]

Reads checkpoints in transformers' own layout; weights that `scripts/quantize-int8.py` stored as int8 are widened.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import edgemaxx_engine


def widened(folder, dtype):
    """The weights of a folder, int8 tensors multiplied by their scales; None where it has none of those."""
    import safetensors.torch

    path = os.path.join(folder, "model.safetensors")
    if not os.path.isfile(path):
        return None
    stored = safetensors.torch.load_file(path)
    if not any(name.endswith(".scale") for name in stored):
        return None
    weights = {}
    for name, tensor in stored.items():
        scale = stored.get(name + ".scale")
        if scale is not None:
            tensor = tensor.float() * scale.reshape([-1] + [1] * (tensor.dim() - 1))
        if not name.endswith(".scale"):
            weights[name] = tensor.to(dtype)
    return weights


def load(job):
    import torch
    import transformers

    settings = job["settings"]
    if job["task"] != "text" or job["replaced"]:
        raise edgemaxx_engine.Refusal("this engine writes texts, with nothing replaced")
    dtypes = {"stored": torch.float32, "f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
    if settings["weights"] not in dtypes or settings.get("rope_factor", 1) != 1:
        raise edgemaxx_engine.Refusal("this engine keeps weights as %s, at their positions" % ", ".join(dtypes))
    dtype = dtypes[settings["weights"]]
    torch.set_num_threads(job["threads"])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    config = transformers.AutoConfig.from_pretrained(job["checkpoint"])
    weights = widened(job["checkpoint"], dtype)
    if weights is None:
        model = transformers.AutoModelForCausalLM.from_pretrained(job["checkpoint"], torch_dtype=dtype)
    else:
        model = transformers.AutoModelForCausalLM.from_config(config, torch_dtype=dtype)
        missing = model.load_state_dict(weights, strict=False).missing_keys
        if set(missing) - {"lm_head.weight"}:
            raise edgemaxx_engine.Refusal("tensors that are missing: %s" % missing)
        model.tie_weights()
    model = model.to(device).eval()

    def score(asked):
        """One pass over all of it: the logits of a token are those at the one before."""
        ids, answer = asked["prompt_ids"], asked["ids"]
        with torch.inference_mode():
            read = torch.tensor([ids + answer[:-1]], device=device)
            logits = model(input_ids=read, use_cache=False, logits_to_keep=len(answer)).logits[0]
            likely, tokens = logits.float().log_softmax(-1).topk(asked["top"])
        return edgemaxx_engine.scores(zip(tokens.tolist(), likely.tolist()))

    def generate(request):
        if "score" in request:
            return score(request["score"])
        decoding, ends = request["decoding"], set(request["end_ids"])
        sampled = decoding["sampled"] if isinstance(decoding, dict) else None
        ids = torch.tensor([request["prompt_ids"]], device=device)
        past = None
        with torch.inference_mode():
            for position in range(request["max_new_tokens"]):
                out = model(input_ids=ids, past_key_values=past, use_cache=True, logits_to_keep=1)
                past, logits = out.past_key_values, out.logits[0, -1].float()
                if sampled:
                    noise = edgemaxx_engine.gumbel_noise(sampled["seed"], position, len(logits))
                    logits = logits / sampled["temperature"] + torch.tensor(noise, device=device)
                token = int(logits.argmax())
                request.part({"ids": [token]})
                if token in ends and not request["ignore_eos"]:
                    break
                ids = torch.tensor([[token]], device=device)
        return {}, b""

    # Once through everything, so that the first request finds it warm.
    with torch.inference_mode():
        model(input_ids=torch.tensor([[0, 1, 2]], device=device))
    ready = {"vocabulary": config.vocab_size, "positions": config.max_position_embeddings, "scores": True}
    return generate, ready


if __name__ == "__main__":
    edgemaxx_engine.serve("transformers", "1.0", load)
