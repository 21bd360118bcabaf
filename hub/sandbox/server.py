"""Runs both simulated systems as real HTTP servers on loopback, on a state folder that survives a restart.

The folder holds `world.json`, the systems' state, and `sandbox.key`, from which proof tokens and client secrets come.
"""

import hashlib
import hmac
import secrets
import socket
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from types import TracebackType
from typing import Self

import uvicorn
from fastapi import FastAPI

from hub.sandbox.door import Clock, Door
from hub.sandbox.municipality import SAMSPILL_CLIENT_ID, SAMSPILL_SCOPE, VIGILO_CLIENT_ID, VISMA_TENANT_ID
from hub.sandbox.samspill import samspill_app
from hub.sandbox.vigilo import SCOPES, vigilo_app
from hub.sandbox.world import World, make_world

Ports = tuple[int, int]
"""Ports of Vigilo and of Samspill; 0 takes a free one."""

_START_SECONDS = 10.0


class SandboxNotStarted(RuntimeError):
    """A simulated system did not answer in time; another program may hold its port."""


def now_utc() -> datetime:
    """Give the present instant."""
    return datetime.now(UTC)


def open_world(folder: Path, children: int, seed: int, today: date) -> World:
    """Go on with the world in the folder, or make one there. An existing world outranks the arguments."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "world.json"
    world = World.load(path) if path.exists() else make_world(children, seed, today=today)
    world.keep_at = path
    world.keep()
    return world


def open_key(folder: Path) -> bytes:
    """Read the sandbox's key, or make one that only this user can read."""
    path = folder / "sandbox.key"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(32), encoding="ascii")
    return bytes.fromhex(path.read_text(encoding="ascii"))


class Sandbox:
    """Both systems at work until `stop`. Use as a context manager.

    `urls` gives each system's address and `credentials` what its token endpoint takes, both by "vigilo" and
    "samspill". `world` is the live state: take `world.lock` to read it while somebody writes.
    """

    def __init__(self, world: World, key: bytes, clock: Clock = now_utc, ports: Ports = (0, 0)) -> None:
        self.world = world
        self.proof_key = key
        sockets = [_listen(port) for port in ports]
        self.urls = {name: _address(sock) for name, sock in zip(("vigilo", "samspill"), sockets, strict=True)}
        vigilo = Door(self.urls["vigilo"], VIGILO_CLIENT_ID, _secret(key, "vigilo"), key)
        samspill = Door(self.urls["samspill"], SAMSPILL_CLIENT_ID, _secret(key, "samspill"), key)
        self.credentials: dict[str, dict[str, str]] = {
            "vigilo": {
                "client_id": vigilo.client_id,
                "client_secret": vigilo.client_secret,
                "scope": " ".join(sorted(SCOPES)),
            },
            "samspill": {
                "client_id": samspill.client_id,
                "client_secret": samspill.client_secret,
                "scope": SAMSPILL_SCOPE,
                "tenant_id": VISMA_TENANT_ID,
            },
        }
        apps = (vigilo_app(world, clock, vigilo), samspill_app(world, clock, samspill))
        self._running = [_Running(app, sock) for app, sock in zip(apps, sockets, strict=True)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop both servers and write the state. A second call does nothing more."""
        for running in self._running:
            running.end()
        for running in self._running:
            running.wait()
        self.world.keep()


class _Running:
    """One app on one socket in one thread."""

    def __init__(self, app: FastAPI, sock: socket.socket) -> None:
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, lifespan="off", ws="none", timeout_graceful_shutdown=2
        )
        self._server = uvicorn.Server(config)
        self._socket = sock
        self._thread = Thread(target=self._server.run, kwargs={"sockets": [sock]}, daemon=True)
        self._thread.start()
        deadline = monotonic() + _START_SECONDS
        while not self._server.started:
            if monotonic() > deadline or not self._thread.is_alive():
                raise SandboxNotStarted("a simulated system did not start; look for another program on its port")
            sleep(0.01)

    def end(self) -> None:
        self._server.should_exit = True

    def wait(self) -> None:
        self._thread.join()
        self._socket.close()


def _listen(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named, so that answers leave at once
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    return sock


def _address(sock: socket.socket) -> str:
    return f"http://127.0.0.1:{sock.getsockname()[1]}"


def _secret(key: bytes, system: str) -> str:
    return hmac.new(key, f"client-secret/{system}".encode(), hashlib.sha256).hexdigest()
