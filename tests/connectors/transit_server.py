"""A key service for tests: a small server that answers as the Transit engine of Vault and OpenBao, sealing for real.

What it says to a wrong token, an unknown path and a ciphertext of another key, or when sealed, is what they publish.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TOKEN = "hvs.token-that-is-never-shown"
PREFIX = "vault:v1:"


class TransitServer:
    """Listens on loopback with one key, `stafetthub`, under `transit/`. Use as a context manager.

    `asked` holds method and path of every request; `sealed` closes it as its keepers would.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.sealed = False
        self.key = AESGCM(os.urandom(32))
        self._server = _Listening(("127.0.0.1", 0), self)
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, path: str, token: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Give status and JSON of one request."""
        if self.sealed:
            return 503, {"errors": ["Vault is sealed"]}
        if not path.startswith("/v1/transit/"):
            return 404, {"errors": [f"no handler for route '{path}'"]}
        if token != TOKEN:
            return 403, {"errors": ["permission denied"]}
        if path == "/v1/transit/encrypt/stafetthub":
            return 200, _data(ciphertext=self._encrypted(body["plaintext"]), key_version=1)
        if path == "/v1/transit/decrypt/stafetthub":
            try:
                return 200, _data(plaintext=self._decrypted(body["ciphertext"]))
            except (InvalidTag, ValueError):
                return 400, {"errors": ["cipher: message authentication failed"]}
        return 400, {"errors": ["encryption key not found"]}

    def _encrypted(self, plaintext: str) -> str:
        nonce = os.urandom(12)
        return PREFIX + b64encode(nonce + self.key.encrypt(nonce, b64decode(plaintext), None)).decode()

    def _decrypted(self, ciphertext: str) -> str:
        blob = b64decode(ciphertext.removeprefix(PREFIX))
        return b64encode(self.key.decrypt(blob[:12], blob[12:], None)).decode()


def _data(**data: object) -> dict[str, Any]:
    return {"request_id": "0", "lease_id": "", "renewable": False, "lease_duration": 0, "data": data, "auth": None}


class _Listening(ThreadingHTTPServer):
    """A server that knows the engine behind it."""

    def __init__(self, address: tuple[str, int], transit: TransitServer) -> None:
        super().__init__(address, _Answering)
        self.transit = transit


class _Answering(BaseHTTPRequestHandler):
    server: _Listening

    def do_POST(self) -> None:
        """Answer as the engine does."""
        self.server.transit.asked.append(f"POST {self.path}")
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, tree = self.server.transit.answer(self.path, self.headers.get("X-Vault-Token", ""), body)
        data = json.dumps(tree).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_arguments: object) -> None:
        """Print nothing."""
