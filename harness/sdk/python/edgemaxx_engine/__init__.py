"""Write an EdgeMaxx engine in Python: standard library only, protocol 2.0 (harness/docs/PROTOCOL.md).

    import edgemaxx_engine

    def load(job):                       # dict: checkpoint, replaced, threads, task, settings
        pipe = ...                       # settings of pictures: steps, guidance_scale, dtype, width, height, ...
        def generate(request):           # dict of what is asked; request.id, request.payload
            return rgb                   # of pictures: prompt, seed, ..., latents; request.torch_latents()
        return generate, {"latent_channels": 4, "vae_scale_factor": 8}    # the function, and what `ready` says

    edgemaxx_engine.serve("my-engine", "1.0", load)

`generate` returns (object, bytes): what the answer says in the task's words, and its payload. For a
picture it may return width*height*3 bytes (rows from the top), anything with `tobytes()`, such as a
uint8 numpy array or a PIL image in mode RGB, or ("png", bytes). `request.part(object, bytes)` sends a
part ahead of the answer, where the task allows it: of a text, `request.part({"ids": [token]})` for each token and ({}, b"")
at the end (examples/transformers_engine.py). An engine of texts whose `ready` says {"scores": True} is also given requests
that hold nothing but "score", and returns scores(lists). Either function may raise Refusal: the harness
records its message and goes on. Any other exception ends the process.
"""

from __future__ import annotations

import array
import json
import math
import os
import socket
import struct
import sys
import threading
import time
from typing import Any, Callable, Dict, Iterable, Optional, Protocol, Tuple, Union

# What `edgemaxx engine install` has fetched lies beside the engine.
_DEPS = os.path.join(os.path.dirname(os.path.abspath(sys.argv[0] if sys.argv else "")), "deps")
if os.path.isdir(_DEPS) and _DEPS not in sys.path:
    sys.path.insert(0, _DEPS)

MAGIC, VERSION = b"EDGEMAXX", (2, 0)
HELLO, LOAD, HEARTBEAT, READY, GENERATE, PART, ANSWER, ERROR, BYE = range(1, 10)
NAMES = "? hello load heartbeat ready generate part answer error bye".split()
MAX_HEADER, MAX_PAYLOAD = 256 << 10, 64 << 20


class Refusal(Exception):
    """This checkpoint or this request cannot be done."""


class ProtocolError(Exception):
    """The harness sent something that is not allowed."""


class Bytes(Protocol):
    """A picture as a numpy array or a PIL image holds it."""

    def tobytes(self) -> bytes: ...


Raw = Union[bytes, bytearray, memoryview]
# What `generate` returns.
Answer = Union[Tuple["dict[str, Any]", Raw], Tuple[str, Raw], Raw, Bytes]
Generate = Callable[["Request"], Answer]
# The function, and what `ready` says.
Load = Callable[["dict[str, Any]"], Tuple[Generate, "dict[str, Any]"]]
# Kind, header, payload.
Message = Tuple[int, Any, bytes]


class Connection:
    """Frames over the socket that the harness opened for this process."""

    def __init__(self, sock: Optional[socket.socket] = None) -> None:
        if sock is None:
            where = os.environ.get("EDGEMAXX_SOCKET", "")
            if not where.startswith("fd:"):
                sys.exit("EDGEMAXX_SOCKET is not set: an engine is started by the harness (edgemaxx engine check CMD)")
            sock = socket.socket(fileno=int(where[3:]))
        self.sock, self.lock = sock, threading.Lock()
        self.send_raw(MAGIC + struct.pack("<HH", *VERSION))
        self.greeted = False

    def send_raw(self, data: bytes) -> None:
        with self.lock:
            self.sock.sendall(data)

    def send(self, kind: int, header: dict[str, Any], payload: Raw = b"") -> None:
        self.send_raw(frame(kind, header, payload))

    def read(self, count: int) -> bytes:
        """Exactly `count` bytes; fewer only if the harness is gone."""
        data = bytearray(count)
        view, filled = memoryview(data), 0
        while filled < count:
            got = self.sock.recv_into(view[filled:])
            if got == 0:
                return bytes(data[:filled])
            filled += got
        return bytes(data)

    def receive(self) -> Optional[Message]:
        """(kind, header, payload), or None if the harness is gone."""
        if not self.greeted:
            hello = self.read(12)
            if len(hello) < 12:
                return None
            if hello[:8] != MAGIC or struct.unpack("<H", hello[8:10])[0] != VERSION[0]:
                raise ProtocolError("the harness speaks %r, this engine EDGEMAXX %d.%d" % ((hello,) + VERSION))
            self.greeted = True
        prefix = self.read(9)
        if len(prefix) < 9:
            return None
        length, kind, header = struct.unpack("<IBI", prefix)
        payload = length - 5 - header
        if kind not in (LOAD, GENERATE, BYE) or header > MAX_HEADER or not 0 <= payload <= MAX_PAYLOAD:
            raise ProtocolError("frame of kind %d, %d bytes, header %d" % (kind, length, header))
        return kind, json.loads(self.read(header)), self.read(payload)


def frame(kind: int, header: dict[str, Any], payload: Raw = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<IBI", 5 + len(text) + len(payload), kind, len(text)) + text + bytes(payload)


class Request(Dict[str, Any]):
    """A request: what is asked are its items; with its `id` and its `payload`."""

    def __init__(self, header: dict[str, Any], payload: bytes, connection: Connection) -> None:
        super().__init__(header["ask"])
        self.id, self.payload, self.connection = header["id"], payload, connection

    def part(self, part: dict[str, Any], payload: Raw = b"") -> None:
        """Sends a part of the answer ahead of its end."""
        self.connection.send(PART, {"id": self.id, "part": part}, payload)

    def latents(self) -> Any:
        """Of a picture: standard normal noise before any scaling, a float32 numpy array of the shape
        self["latents"], [1, channels, height, width]; without numpy an array('f'), row-major."""
        try:
            import numpy
        except ImportError:
            values = array.array("f", self.payload)
            if sys.byteorder == "big":
                values.byteswap()
            return values
        return numpy.frombuffer(self.payload, "<f4").reshape(self["latents"]).copy()

    def torch_latents(self, device: Any = "cpu", dtype: Any = None) -> Any:
        """The same as a torch tensor."""
        import torch

        return torch.from_numpy(self.latents()).to(device=device, dtype=dtype or torch.float32)


def scores(lists: Iterable[Tuple[Iterable[int], Iterable[float]]]) -> Answer:
    """The answer to request["score"]: for each of its "ids", the "top" most likely tokens in its place, the most likely
    first, and the natural logarithms of their probabilities, computed in float32 or better."""
    payload = bytearray()
    for tokens, likely in lists:
        for token, logarithm in zip(tokens, likely):
            payload += struct.pack("<If", token, logarithm)
    return {}, payload


def gumbel_noise(seed: int, position: int, tokens: int) -> Any:
    """The noise of sampling at a position of an answer, for the tokens from 0 on, as PROTOCOL.md defines it: a float32
    numpy array, or without numpy an array('f')."""
    blocks = (tokens + 15) // 16
    start: list[Any] = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574, seed & 0xFFFFFFFF, seed >> 32] + [0] * 6
    nonce = [position & 0xFFFFFFFF, position >> 32]
    try:
        import numpy
    except ImportError:
        words = [w for block in range(blocks) for w in _chacha8(start + [block, 0] + nonce)]
        return array.array("f", (-math.log(-math.log((w + 0.5) / 2**32)) for w in words[:tokens]))
    # All blocks at once: a column each.
    state: Any = numpy.zeros((16, blocks), numpy.uint32)
    state[:] = numpy.array(start + [0, 0] + nonce, numpy.uint32)[:, None]
    state[12] = numpy.arange(blocks, dtype=numpy.uint32)
    with numpy.errstate(over="ignore"):
        drawn = numpy.array(_chacha8(list(state)), numpy.uint32).T.reshape(-1)[:tokens]
    return (-numpy.log(-numpy.log((drawn.astype(numpy.float64) + 0.5) / 2**32))).astype(numpy.float32)


def _chacha8(start: list[Any]) -> list[Any]:
    """ChaCha's block function with 8 rounds, on 16 words, which may be arrays of uint32."""
    x = list(start)

    def turned(value: Any, by: int) -> Any:
        return (value << by | value >> (32 - by)) & 0xFFFFFFFF

    def quarter(a: int, b: int, c: int, d: int) -> None:
        x[a] = x[a] + x[b] & 0xFFFFFFFF
        x[d] = turned(x[d] ^ x[a], 16)
        x[c] = x[c] + x[d] & 0xFFFFFFFF
        x[b] = turned(x[b] ^ x[c], 12)
        x[a] = x[a] + x[b] & 0xFFFFFFFF
        x[d] = turned(x[d] ^ x[a], 8)
        x[c] = x[c] + x[d] & 0xFFFFFFFF
        x[b] = turned(x[b] ^ x[c], 7)

    for _ in range(4):
        for i in range(4):
            quarter(i, i + 4, i + 8, i + 12)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return [a + b & 0xFFFFFFFF for a, b in zip(x, start)]


def with_heartbeats(connection: Connection, work: Callable[[], Any]) -> Any:
    """Runs `work` while a thread tells the harness every two seconds that loading goes on."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(2):
            connection.send(HEARTBEAT, {})

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        return work()
    finally:
        done.set()
        thread.join()


def encoded(answer: Answer, request: Request) -> tuple[dict[str, Any], Raw]:
    """(object, bytes) of what `generate` returned."""
    if isinstance(answer, tuple):
        said, payload = answer
        if isinstance(said, dict):
            return said, payload
        return {"width": request["width"], "height": request["height"], "encoding": said}, payload
    size: dict[str, Any] = {key: request[key] for key in ("width", "height")}
    data = answer if isinstance(answer, (bytes, bytearray, memoryview)) else answer.tobytes()
    expected = size["width"] * size["height"] * 3
    if len(data) != expected:
        raise ValueError("a picture of %d bytes; width*height*3 is %d" % (len(data), expected))
    return dict(size, encoding="rgb8"), data


def expect(message: Optional[Message], kinds: tuple[int, ...]) -> Optional[Message]:
    if message is None or message[0] == BYE:
        return None
    if message[0] not in kinds:
        raise ProtocolError("%s at the wrong time" % NAMES[message[0]])
    return message


def serve(name: str, version: str, load: Load, connection: Optional[Connection] = None) -> None:
    """Serves the harness until it says bye."""
    connection = connection or Connection()
    connection.send(HELLO, {"engine": name, "version": version})
    message = expect(connection.receive(), (LOAD,))
    if message is None:
        return
    job = dict(message[1])
    job.setdefault("replaced", {})
    try:
        generate, ready = with_heartbeats(connection, lambda: load(job))
    except Refusal as problem:
        connection.send(ERROR, {"message": str(problem)[:4000]})
        sys.exit(1)
    connection.send(READY, {"ready": ready})
    while True:
        message = expect(connection.receive(), (GENERATE,))
        if message is None:
            return
        request, start = Request(message[1], message[2], connection), time.perf_counter_ns()
        try:
            answer, data = encoded(generate(request), request)
        except Refusal as problem:
            connection.send(ERROR, {"id": request.id, "message": str(problem)[:4000]})
            continue
        spent = time.perf_counter_ns() - start
        connection.send(ANSWER, {"id": request.id, "engine_ns": spent, "answer": answer}, data)
