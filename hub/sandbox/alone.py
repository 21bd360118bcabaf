"""`hub sandbox`: the simulated systems by themselves, for trying the hub's own commands against them."""

from __future__ import annotations

import signal
import sys
from datetime import date
from pathlib import Path
from threading import Event

from hub.sandbox.environment import FILES, environment, write_environment
from hub.sandbox.fileservices import FileServices
from hub.sandbox.server import Ports, Sandbox, now_utc, open_key, open_world

_EVERY_SECONDS = 1.0


def run_sandbox(folder: Path, children: int, seed: int, ports: Ports, today: date) -> None:
    """Run until SIGINT or SIGTERM. Prints one line for each system and where the variables lie. Main thread only."""
    ended = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    state = folder / "sandbox"
    with Sandbox(open_world(state, children, seed, today), open_key(state), ports=ports) as sandbox:
        variables = folder / "sandbox.env"
        write_environment(environment(sandbox, folder), variables)
        for name, url in sandbox.urls.items():
            sys.stdout.write(f"{name} {url}\n")
        sys.stdout.write(f"In another shell: set -a; . {variables}; set +a; hub check\nCtrl-C stops.\n")
        sys.stdout.flush()
        with FileServices(sandbox.world, folder / FILES, now_utc).at_work(_EVERY_SECONDS):
            ended.wait()
