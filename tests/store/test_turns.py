"""Turns: writers of one process stand in line, and one process leaves room for another."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from hub.store.database import open_database
from hub.store.turns import GAP, STRETCH, NotYet, Turns


class Clock:
    """Seconds as told, and the pauses that were made."""

    def __init__(self) -> None:
        self.at = 100.0
        self.pauses: list[float] = []

    def now(self) -> float:
        """Give the time."""
        return self.at

    def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        self.pauses.append(seconds)
        self.at += seconds


def _until(seen: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not seen():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_writers_have_their_turns_in_the_order_of_asking() -> None:
    """Five that ask while a sixth writes are let in one by one as they came, and one that comes back is the last."""
    turns, order = Turns(20), list[str]()

    def write(name: str) -> None:
        with turns.turn():
            order.append(name)

    threads = []
    with turns.turn():
        for number in range(5):
            threads.append(threading.Thread(target=write, args=(str(number),)))
            threads[-1].start()
            _until(lambda number=number: turns.waiting == number + 1)  # type: ignore[misc]
    write("again")
    for thread in threads:
        thread.join(20)
    assert order == ["0", "1", "2", "3", "4", "again"]


def test_a_turn_that_does_not_come_in_time_is_given_up() -> None:
    """Whoever gives up leaves the line, and those behind have their turns; so does the next after an error."""
    turns, came = Turns(20), list[str]()
    patient = threading.Thread(target=lambda: _write(turns, came))
    with turns.turn():
        turns._patience = 0.01
        with pytest.raises(NotYet), turns.turn():
            came.append("never")
        turns._patience = 20
        patient.start()
        _until(lambda: turns.waiting == 1)
    patient.join(20)
    with pytest.raises(RuntimeError), turns.turn():
        raise RuntimeError
    _write(turns, came)
    assert came == ["wrote", "wrote"]


def _write(turns: Turns, came: list[str]) -> None:
    with turns.turn():
        came.append("wrote")


def test_who_writes_without_a_gap_leaves_one_now_and_then() -> None:
    """After five seconds of one transaction after another there is a pause, and none where there were gaps anyway."""
    clock = Clock()
    turns = Turns(20, clock.now, clock.sleep)
    for _ in range(100):
        with turns.turn():
            clock.at += STRETCH / 20
    assert clock.pauses == [GAP] * 4
    clock.pauses.clear()
    for _ in range(100):
        clock.at += GAP
        with turns.turn():
            clock.at += STRETCH / 20
    assert clock.pauses == []


def test_a_turn_that_never_comes_is_told_as_a_locked_database(tmp_path: Path) -> None:
    """In a process as between two: the store is in trouble, which is known to pass."""
    with closing(open_database(f"sqlite:///{tmp_path}/hub.db")) as db:
        assert db._turns
        db._turns._patience = 0.01
        with db.write(), pytest.raises(OperationalError, match="database is locked"), db.write():
            pass


BUSY = """
import sys, time
from sqlalchemy import text
from hub.store.database import open_database
db = open_database(sys.argv[1])
number = 0
while number < 60:
    with db.write() as tx:
        tx.execute(text("UPDATE busy SET number = number + 1"))
        number += 1
        time.sleep(0.5)
    if number == 1:
        print("begun", flush=True)
"""


@pytest.mark.long
def test_a_process_that_writes_without_end_leaves_room_for_another(tmp_path: Path) -> None:
    """Another process comes to write while transactions of half a second follow one another for half a minute."""
    url = f"sqlite:///{tmp_path}/hub.db"
    with closing(open_database(url)) as db:
        with db.write() as tx:
            tx.execute(text("CREATE TABLE busy (number INTEGER)"))
            tx.execute(text("INSERT INTO busy VALUES (0)"))
        with subprocess.Popen([sys.executable, "-c", BUSY, url], stdout=subprocess.PIPE) as other:
            assert other.stdout
            other.stdout.readline()
            with db.write() as tx:
                number = tx.scalar(text("SELECT number FROM busy"))
            other.kill()
    assert number is not None
    assert 0 < number < 20
