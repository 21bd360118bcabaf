"""How fast records are taken in, beside peers on the same server and data, each in a process of its own.

Nothing is asserted of the clock. `make bench` prints the table; `docs/performance.md` shows it with its command. dlt
has an environment of its own, which `make bench` makes; where it is missing its row is left out, and that is said.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
DLT = ROOT / ".venv" / "dlt" / "bin" / "python"
PEERS = Path(__file__).parent / "peers"


@contextmanager
def serving(count: int) -> Iterator[str]:
    """Serve so many records from a process of its own."""
    command = [sys.executable, "-m", "tests.bench.peers.pages", str(count)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin
        assert server.stdout
        try:
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.stdin.close()
            server.wait(timeout=10)


def ran(python: Path | str, what: list[str], url: str, folder: Path) -> list[dict[str, Any]]:
    """Run one peer and return what it printed."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        [str(python), *what, url, str(folder)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=1800
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def row(name: str, taken: dict[str, Any], count: int) -> str:
    """Return one line of the table."""
    assert taken["records"] == count
    seconds, cpu = taken["seconds"], taken["cpu"]
    return f"| {name} | {count / seconds:,.0f} | {cpu / count * 1e6:.0f} | {taken['mib']:.0f} |"


def test_pull_beside_peers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """10,000 records and 100,000: how many a second, what CPU each takes, and what memory."""
    lines = []
    with serving(10_000) as url:
        (bare,) = ran(sys.executable, ["-m", "tests.bench.peers.bare"], url, tmp_path / "bare")
        lines.append(row("httpx + pydantic, inserts only", bare, 10_000))
        if DLT.exists():
            (dlt,) = ran(DLT, [str(PEERS / "with_dlt.py")], url, tmp_path / "dlt")
            lines.append(row("dlt, JSON columns, merge", dlt, 10_000))
        else:
            lines.append("| dlt: not installed, see `make bench` | | | |")
        first, again = ran(sys.executable, ["-m", "tests.bench.peers.with_hub"], url, tmp_path / "hub")
        lines += [row("hub, whole", first, 10_000), row("hub, nothing changed", again, 10_000)]
    with serving(100_000) as url:
        first, again = ran(sys.executable, ["-m", "tests.bench.peers.with_hub"], url, tmp_path / "large")
        lines += [row("hub, whole", first, 100_000), row("hub, nothing changed", again, 100_000)]
    with capsys.disabled():
        sys.stdout.write("\n\n| 45 leaves, pages of 100, SQLite | records/s | CPU a record, µs | peak MiB |\n")
        sys.stdout.write("|---|---|---|---|\n" + "\n".join(lines) + "\n")
