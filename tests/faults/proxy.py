"""A proxy that stands between the hub and a system and does to them what networks and servers do on bad days.

Rules say which request meets which fault: by number, by a share with a seed, by method and path. Everything that
came is written down with its time, so that attempts are counted outside the hub.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Self

Fault = Callable[["Exchange"], None]
"""What is done with one request."""


@dataclass
class Seen:
    """One request that came: when (seconds that only grow), what, with which key, and which fault it met."""

    at: float
    method: str
    target: str
    key: str
    fault: str = ""


@dataclass
class Exchange:
    """One request on one connection: what came from the client, and how the server is reached."""

    client: socket.socket
    request: bytes
    upstream: tuple[str, int]
    stopping: Event

    def answer(self) -> bytes:
        """Hand the request on and give the server's whole answer, the last on its connection."""
        head, _, body = self.request.partition(b"\r\n\r\n")
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
        with socket.create_connection(self.upstream, timeout=60) as server:
            server.sendall(b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n" + body)
            first, _, rest = b"".join(iter(lambda: server.recv(65536), b"")).partition(b"\r\n")
        return first + b"\r\nConnection: close\r\n" + rest

    def send(self, data: bytes) -> None:
        """Send bytes to the client."""
        self.client.sendall(data)


@dataclass(frozen=True)
class Rule:
    """Which requests meet a fault: those of a method, a path and numbers (from 1), or a share of them by chance."""

    fault: Fault
    name: str
    method: str = ""
    path: str = ""
    numbers: frozenset[int] = frozenset()
    share: float = 1.0
    seed: int = 1
    _random: Random = field(default_factory=Random, compare=False)
    _count: list[int] = field(default_factory=lambda: [0], compare=False)

    def __post_init__(self) -> None:
        self._random.seed(self.seed)

    def meets(self, method: str, target: str) -> bool:
        """Tell whether a request meets the fault. To be asked once a request."""
        if not (method.startswith(self.method) and self.path in target):
            return False
        self._count[0] += 1
        if self.numbers:
            return self._count[0] in self.numbers
        return self._random.random() < self.share


def hand_on(exchange: Exchange) -> None:
    """Do nothing bad."""
    exchange.send(exchange.answer())


def delay(seconds: float) -> Fault:
    """Hand on after a while."""

    def late(exchange: Exchange) -> None:
        exchange.stopping.wait(seconds)
        hand_on(exchange)

    return late


def cut(exchange: Exchange) -> None:
    """Break the connection off (TCP reset) before anything is handed on."""
    exchange.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    exchange.client.close()


def lose_answer(exchange: Exchange) -> None:
    """Hand the request on, throw the answer away, and break off."""
    exchange.answer()
    cut(exchange)


def hold(received: Event, freed: Event) -> Fault:
    """Hand the request on, tell that it was taken in, and keep its answer back until it is freed."""

    def kept(exchange: Exchange) -> None:
        answer = exchange.answer()
        received.set()
        freed.wait(60)
        exchange.send(answer)

    return kept


def twice(exchange: Exchange) -> None:
    """Hand the request on twice, as a network that repeats; the first answer counts."""
    answer = exchange.answer()
    exchange.answer()
    exchange.send(answer)


def half_body(exchange: Exchange) -> None:
    """Send the head and half of the body, and close."""
    head, _, body = exchange.answer().partition(b"\r\n\r\n")
    exchange.send(head + b"\r\n\r\n" + body[: len(body) // 2])


def shortened(exchange: Exchange) -> None:
    """Send half of the body as if it were the whole: a proxy that cut it off and mended the length."""
    body = exchange.answer().partition(b"\r\n\r\n")[2]
    exchange.send(_raw(200, {}, body[: len(body) // 2]))


def drip(seconds: float) -> Fault:
    """Send the answer one byte at a time."""

    def slowly(exchange: Exchange) -> None:
        answer = exchange.answer()
        for at in range(len(answer)):
            if exchange.stopping.wait(seconds):
                return
            exchange.send(answer[at : at + 1])

    return slowly


def status(code: int, headers: Mapping[str, str], body: bytes = b"", kind: str = "application/json") -> Fault:
    """Answer with a status, without asking the server."""
    return lambda exchange: exchange.send(_raw(code, headers, body, kind))


def _raw(code: int, headers: Mapping[str, str], body: bytes, kind: str = "application/json") -> bytes:
    lines = {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close", **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {code} X\r\n{head}\r\n".encode() + body


class Proxy:
    """Listens on loopback before one server. `seen` holds every request. Use as a context manager.

    `rules` may be set anew at any time; the first that a request meets counts.
    """

    def __init__(self, port: int, rules: Iterable[Rule] = ()) -> None:
        self.rules = tuple(rules)
        self.seen: list[Seen] = []
        self._upstream = ("127.0.0.1", port)
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._socket.getsockname()[1]
        self._stopping = Event()
        self._lock = Lock()
        self._thread = Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def met(self, name: str) -> list[Seen]:
        """Give the requests that met a fault."""
        return [each for each in self.seen if each.fault == name]

    def _listen(self) -> None:
        while not self._stopping.is_set():
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        client.settimeout(60)
        with client, suppress(OSError):
            request = _read(client)
            method, target, _ = request.split(b"\r\n", 1)[0].decode().split(" ", 2)
            seen = Seen(time.monotonic(), method, target, _header(request, b"idempotency-key"))
            with self._lock:
                self.seen.append(seen)
                rule = next((rule for rule in self.rules if rule.meets(method, target)), None)
            seen.fault = rule.name if rule else ""
            (rule.fault if rule else hand_on)(Exchange(client, request, self._upstream, self._stopping))


def _read(client: socket.socket) -> bytes:
    """Read one request; each connection carries one, as every answer says `Connection: close`."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(client)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(_header(head, b"content-length") or 0)
    while len(body) < length:
        body += _more(client)
    return head + b"\r\n\r\n" + body


def _more(client: socket.socket) -> bytes:
    chunk = client.recv(65536)
    if not chunk:
        raise ConnectionResetError
    return chunk


def _header(request: bytes, name: bytes) -> str:
    head = request.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    return next((line.partition(b":")[2].strip().decode() for line in head if line.lower().startswith(name + b":")), "")
