"""How fast records are taken in and sent, beside peers on the same server and data, each in a process of its own.

Nothing is asserted of the clock. `make bench` prints the table; `docs/performance.md` shows it with its command. dlt
has an environment of its own, which `make bench` makes; where it is missing its row is left out, and that is said.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.house import OtherSide
from tests.stores import PostgresServer

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


def ran(python: Path | str, what: list[str], folder: Path, *more: str) -> list[dict[str, Any]]:
    """Run one peer and return what it printed."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        [str(python), *what, str(folder), *more], cwd=ROOT, capture_output=True, text=True, check=False, timeout=1800
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
        (bare,) = ran(sys.executable, ["-m", "tests.bench.peers.bare", url], tmp_path / "bare")
        lines.append(row("httpx + pydantic, inserts only", bare, 10_000))
        if DLT.exists():
            (dlt,) = ran(DLT, [str(PEERS / "with_dlt.py"), url], tmp_path / "dlt")
            lines.append(row("dlt, JSON columns, merge", dlt, 10_000))
        else:
            lines.append("| dlt: not installed, see `make bench` | | | |")
        first, again = ran(sys.executable, ["-m", "tests.bench.peers.with_hub", url], tmp_path / "hub")
        lines += [row("hub, whole", first, 10_000), row("hub, nothing changed", again, 10_000)]
    with serving(100_000) as url:
        first, again = ran(sys.executable, ["-m", "tests.bench.peers.with_hub", url], tmp_path / "large")
        lines += [row("hub, whole", first, 100_000), row("hub, nothing changed", again, 100_000)]
    show(capsys, "| 45 leaves, pages of 100, SQLite | records/s | CPU a record, µs | peak MiB |", lines)


def test_deliveries_one_by_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """1,000 changes to a sink on this machine: routed, sent, answered and agreed on, one at a time."""
    with OtherSide(tmp_path / "bare-other", 1_000) as other:
        (bare,) = ran(sys.executable, ["-m", "tests.bench.peers.bare_delivering", str(other.port)], tmp_path / "bare")
    with OtherSide(tmp_path / "other", 1_000) as other:
        what = ["-m", "tests.bench.peers.delivering", str(other.port)]
        routed, delivered = ran(sys.executable, what, tmp_path / "hub")
    lines = [
        row("httpx and two commits, nothing else", bare, 1_000),
        row("hub: routed", routed, 1_000),
        row("hub: delivered", delivered, 1_000),
    ]
    show(capsys, "| one by one, SQLite | a second | CPU each, µs | peak MiB |", lines)


def test_one_worker_and_two_on_postgresql(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], postgresql: PostgresServer
) -> None:
    """5,000 records a worker into the same tables: what a second worker adds on two cores."""
    lines = []
    for workers in (1, 2):
        with serving(5_000) as url, postgresql.database("migrated") as database, ThreadPoolExecutor(workers) as pool:
            what = ["-m", "tests.bench.peers.with_hub", url]
            folders = [tmp_path / f"worker-{workers}{number}" for number in range(workers)]
            begun = [pool.submit(ran, sys.executable, what, folder, database) for folder in folders]
            taken = [each.result()[0] for each in begun]
        seconds = max(first["seconds"] for first in taken)
        cpu = sum(first["cpu"] for first in taken) / workers / 5_000 * 1e6
        lines.append(f"| {workers} | {5_000 * workers / seconds:,.0f} | {cpu:.0f} | {taken[0]['mib']:.0f} |")
    show(capsys, "| workers, PostgreSQL | records/s | CPU a record, µs | peak MiB each |", lines)


def show(capsys: pytest.CaptureFixture[str], head: str, lines: list[str]) -> None:
    """Print a table."""
    with capsys.disabled():
        sys.stdout.write(f"\n\n{head}\n|---|---|---|---|\n" + "\n".join(lines) + "\n")
