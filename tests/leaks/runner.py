"""Runs many commands of the hub fast: a process that has loaded everything once, and for each command a copy of it.

Each copy is a process of its own that goes through the hub's real entry, and writes to files that the order names.
"""

from __future__ import annotations

import gc
import json
import os
import pkgutil
import subprocess
import sys
import traceback
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

import hub
from hub import cli
from tests.faults.house import ROOT

LEFT_OUT = ("hub.__main__", "hub.store.migrations")


class Runner:
    """The process that waits for orders. Use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self._files = [folder / name for name in ("stdin", "stdout", "stderr")]
        command = [sys.executable, "-m", "tests.leaks.runner"]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=60)

    def run(self, arguments: tuple[str, ...], environ: dict[str, str], typed: str = "") -> tuple[int, bytes, bytes]:
        """Run a command to its end; give its exit code, and what it wrote on its two ways out."""
        assert self._process.stdin
        assert self._process.stdout
        self._files[0].write_text(typed, encoding="utf-8")
        order = {"arguments": arguments, "environ": environ, "files": list(map(str, self._files))}
        self._process.stdin.write(f"{json.dumps(order)}\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return code, self._files[1].read_bytes(), self._files[2].read_bytes()


def _serve() -> None:
    for module in pkgutil.walk_packages(hub.__path__, "hub."):
        if not module.name.startswith(LEFT_OUT):
            import_module(module.name)
    gc.freeze()  # a copy shares what it does not touch
    for line in iter(sys.stdin.readline, ""):
        child = os.fork()
        if not child:
            _become(json.loads(line))
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()


def _become(order: dict[str, Any]) -> NoReturn:
    """Be the command that was ordered, and end as it does."""
    for number, name in enumerate(order["files"]):
        how = os.O_WRONLY | os.O_CREAT | os.O_TRUNC if number else os.O_RDONLY
        os.dup2(os.open(name, how, 0o600), number)
    os.environ.update(order["environ"])
    sys.argv = ["hub", *order["arguments"]]
    code: object = 0
    try:
        cli.main()
    except SystemExit as ended:
        code = ended.code
    except BaseException:  # noqa: BLE001 - what leaves the entry is printed as Python would
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    _serve()
