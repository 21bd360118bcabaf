"""A server of raw bytes, encrypted or not: it answers, keeps silent, drips or breaks off exactly as a test says."""

from __future__ import annotations

import json
import socket
import ssl
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Event, Thread
from time import sleep
from types import TracebackType
from typing import Self

Script = Callable[[socket.socket, bytes], None]
"""What happens on one connection after its request was read."""


class Wire:
    """Listens on loopback; the first connection gets the first script, the last script serves all that follow.

    `requests` holds what came in, head and body; a connection that `tls` could not agree on brings none and takes no
    script. Use as a context manager.
    """

    def __init__(self, scripts: Iterable[Script], tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self._scripts = list(scripts)
        self._tls = tls
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.05)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._socket.getsockname()[1]}"
        self._stopping = Event()
        self._thread = Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()
        self._socket.close()

    def header(self, name: str) -> list[str]:
        """Give one header of every request, "" where it was absent."""
        lines = [request.partition(b"\r\n\r\n")[0].decode().splitlines() for request in self.requests]
        found = [dict(line.lower().split(": ", 1) for line in head[1:]) for head in lines]
        return [head.get(name.lower(), "") for head in found]

    def _serve(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            connection.settimeout(5)
            with suppress(OSError), self._spoken(connection) as spoken:
                self.requests.append(_read(spoken))
                script = self._scripts[min(len(self.requests), len(self._scripts)) - 1]
                script(spoken, self.requests[-1])

    def _spoken(self, connection: socket.socket) -> socket.socket:
        """Give a connection as it is spoken on; where no encryption is agreed on, it is closed."""
        return self._tls.wrap_socket(connection, server_side=True) if self._tls else connection


def _read(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().splitlines() if line.startswith(b"content-length:")), 0)
    while len(body) < length:
        body += _more(connection)
    return head + b"\r\n\r\n" + body


def _more(connection: socket.socket) -> bytes:
    """Give what comes next. A client that closes in the middle of its request has none, and breaks this off."""
    data = connection.recv(65536)
    if not data:
        raise ConnectionResetError
    return data


def raw(status: int, body: bytes = b"", kind: str = "application/json", **headers: str) -> bytes:
    """Give the bytes of an answer, the last on its connection."""
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{more}"
    return head.encode() + b"\r\n" + body


def answer(status: int, tree: object = None, **headers: str) -> Script:
    """Answer with JSON, or with nothing."""
    body = b"" if tree is None else json.dumps(tree).encode()
    return sending(raw(status, body, **headers))


def sending(data: bytes) -> Script:
    """Send bytes and close."""
    return lambda connection, _request: connection.sendall(data)


def hang_up(_connection: socket.socket, _request: bytes) -> None:
    """Close without a word."""


def reset(connection: socket.socket, _request: bytes) -> None:
    """Break the connection off, as a machine that went down does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def dripping(data: bytes, after: int, seconds: float) -> Script:
    """Send so many bytes at once, and the rest one at a time with a pause after each."""

    def drip(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(data[:after])
        for at in range(after, len(data)):
            sleep(seconds)
            connection.sendall(data[at : at + 1])

    return drip


def handing_on(url: str, *, losing: bytes, instead: bytes = b"") -> Script:
    """Hand every request on to the server at a URL; the first with this method gets other bytes, or none, as answer."""
    host, _, port = url.removeprefix("http://").partition(":")
    lost: list[bytes] = []

    def hand_on(connection: socket.socket, request: bytes) -> None:
        with socket.create_connection((host, int(port)), timeout=5) as upstream:
            upstream.sendall(request.replace(b"Connection: keep-alive", b"Connection: close", 1))
            reply = b"".join(iter(lambda: upstream.recv(65536), b""))
        if request.startswith(losing) and not lost:
            lost.append(request)
            connection.sendall(instead)
        else:
            connection.sendall(reply)

    return hand_on
