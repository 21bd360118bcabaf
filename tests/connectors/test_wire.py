"""The server of raw bytes lets go of a client that closes in the middle of its request."""

from __future__ import annotations

import socket

import pytest

from tests.connectors.wire import Wire, answer


@pytest.mark.parametrize("half", [b"", b"GET / HTT", b"PUT / HTTP/1.1\r\nContent-Length: 9\r\n\r\n{"])
def test_half_a_request_is_no_request(half: bytes) -> None:
    """Nothing of it is noted, and the next client is served."""
    with Wire([answer(200, {})]) as wire:
        port = int(wire.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.sendall(half)
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert client.recv(12) == b"HTTP/1.1 200"
        assert wire.requests == [b"GET / HTTP/1.1\r\n\r\n"]
