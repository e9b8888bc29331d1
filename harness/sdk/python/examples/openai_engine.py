"""A server that speaks OpenAI's completions, or llama-server's own, behind the EdgeMaxx protocol: greedy, token ids only.

Starts the server itself, since an engine has no network but its own loopback. In a contest of `task = "text"`:

    [engine]
    command = ["python3", "openai_engine.py", "openai", "vllm", "serve", "{checkpoint}", "--port", "{port}"]
    command = ["python3", "openai_engine.py", "llama-server", "llama-server", "-m", "{checkpoint}", "-t", "{threads}", "-c", "{context}", "--port", "{port}"]

The first word is the dialect: `openai` asks `/v1/completions` with `return_token_ids` (vLLM), `llama-server` asks
`/completion` with `return_tokens`. A server that takes or gives text only, such as Ollama or `transformers serve`, is refused: text that is
tokenised again need not be the tokens that were made. Sampling is refused: servers draw noise of their own. Prefix caches are
switched off where the dialect has a word for it; for vLLM add `--no-enable-prefix-caching`.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import edgemaxx_engine

Refusal = edgemaxx_engine.Refusal
TEXT_ONLY = (
    "the server gives text without token ids, and text that is tokenised again need not be the tokens that were made (Ollama, "
    "transformers serve and hosted services are so; vLLM and llama-server give them)"
)


class OpenAi:
    """vLLM's completions."""

    ready = "/v1/models"

    def __init__(self):
        self.model = None

    def known(self, answer):
        models = answer.get("data") or []
        self.model = models[0].get("id") if models else None

    def ask(self, ids, count):
        body = {"model": self.model, "prompt": ids, "max_tokens": count, "temperature": 0, "stream": True}
        return "/v1/completions", dict(body, return_token_ids=True, add_special_tokens=False)

    def read(self, chunk):
        """(ids or None, whether a text ended)"""
        choice = (chunk.get("choices") or [{}])[0]
        return choice.get("token_ids"), choice.get("finish_reason") == "stop", bool(choice.get("text"))


class LlamaServer:
    """llama-server's own."""

    ready = "/health"

    def known(self, answer):
        pass

    def ask(self, ids, count):
        body = {"prompt": ids, "n_predict": count, "temperature": 0, "top_k": 1, "stream": True}
        return "/completion", dict(body, return_tokens=True, cache_prompt=False)

    def read(self, chunk):
        return chunk.get("tokens"), chunk.get("stop_type") == "eos", bool(chunk.get("content"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A child that answers on loopback."""

    def __init__(self, dialect, words, job):
        self.dialect, self.port = dialect, free_port()
        place = job["checkpoint"]
        files = [f for f in os.listdir(place) if f.endswith(".gguf")] if os.path.isdir(place) else []
        if len(files) == 1 and not os.path.exists(os.path.join(place, "config.json")):
            place = os.path.join(place, files[0])
        known = {"checkpoint": place, "port": self.port, "threads": job["threads"], "context": job["settings"]["context"]}
        command = [word.format(**known) for word in words]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
        while True:
            if self.process.poll() is not None:
                raise Refusal("%s ended with %d before it answered" % (command[0], self.process.returncode))
            try:
                status, answer = self.get(dialect.ready)
                if status == 200:
                    break
            except (OSError, http.client.HTTPException, ValueError):
                pass
            time.sleep(0.1)
        dialect.known(answer)

    def connect(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def get(self, path):
        connection = self.connect()
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"{}")

    def tokens(self, ids, count):
        """Lists of ids as they come; None at an end of a text."""
        path, body = self.dialect.ask(ids, count)
        connection = self.connect()
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            said = "%s: %d %s" % (path, response.status, response.read(500).decode(errors="replace"))
            raise Refusal("%s (%s)" % (TEXT_ONLY, said) if "return_token_ids" in said else said)
        ended = False
        for line in response:
            if not line.startswith(b"data:") or line.strip() == b"data: [DONE]":
                continue
            new, stopped, said = self.dialect.read(json.loads(line[5:]))
            if new is None and said:
                raise Refusal(TEXT_ONLY)
            ended = ended or stopped
            if new:
                yield new
        if ended:
            yield None


def load(job):
    settings = job["settings"]
    if job["task"] != "text" or job["replaced"]:
        raise Refusal("this engine writes texts, with nothing replaced")
    if settings["weights"] != "stored" or set(settings) - {"weights", "context"}:
        raise Refusal('a server keeps weights as its own command says: expected weights = "stored" and nothing else')
    dialects = {"openai": OpenAi, "llama-server": LlamaServer}
    if len(sys.argv) < 3 or sys.argv[1] not in dialects:
        raise Refusal("usage: openai_engine.py openai|llama-server COMMAND ...")
    server = Server(dialects[sys.argv[1]](), sys.argv[2:], job)

    def generate(request):
        if request["decoding"] != "greedy":
            raise Refusal("servers draw noise of their own: only greedy decoding can be asked of them")
        ends, most, made = request["end_ids"], request["max_new_tokens"], []
        while len(made) < most:
            before = len(made)
            for new in server.tokens(request["prompt_ids"] + made, most - len(made)):
                if new is None:
                    # The end itself is not always among the ids.
                    if made and made[-1] in ends:
                        continue
                    if len(ends) != 1:
                        raise Refusal("the server does not say which of %d ends it chose" % len(ends))
                    new = ends
                made += new
                request.part({"ids": list(new)})
            if made and made[-1] in ends and not request["ignore_eos"]:
                break
            if len(made) == before:
                raise Refusal("the server made no token")
        return {}, b""

    # A server without token ids is found out here, not at the first request.
    if not [ids for ids in server.tokens([1], 1) if ids]:
        raise Refusal("the server gave no token ids")
    return generate, {"vocabulary": (1 << 32) - 1, "positions": settings["context"]}


if __name__ == "__main__":
    edgemaxx_engine.serve("openai", "1.0", load)
