"""Schedulers and workers through nights with a change of clocks, silences and stops: each occurrence exactly once.

The expected occurrences are written out by hand, in the local time that an operator reads and the instant it means.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, select

from hub.store.tables import RunState, runs
from tests.faults.children import SINKS, SOURCE, Tree
from tests.faults.clocked import FileClock
from tests.faults.house import TENANT, House, house, scale, show, wait_for

pytestmark = pytest.mark.long
STORES = ["postgresql"]

FIXED, REAL, INTERVAL, TWICE_AT_TWO = SOURCE, *SINKS
SCHEDULES = {
    FIXED: {"cron": "30 1-4 * * *"},
    REAL: {"cron": "*/30 * * * *"},
    INTERVAL: {"every": "20m"},
    TWICE_AT_TWO: {"cron": "0,45 2 * * *"},
}
MARCH = {
    FIXED: {"01:30": "00:30", "02:30": "01:00", "03:30": "01:30"},  # 02:30 is not there: it runs at 03:00
    REAL: {at: at for at in ("00:30", "01:00", "01:30", "02:00")},
    INTERVAL: {at: at for at in ("00:40", "01:00", "01:20", "01:40", "02:00", "02:20")},
    TWICE_AT_TWO: {"02:00": "01:00", "02:45": "01:00"},
}
OCTOBER = {
    FIXED: {"01:30": "23:30", "02:30": "00:30", "03:30": "02:30"},  # 02:30 is there twice: it runs at the first
    REAL: {at: at for at in ("23:30", "00:00", "00:30", "01:00", "01:30", "02:00", "02:30")},
    INTERVAL: {
        at: at for at in ("23:40", "00:00", "00:20", "00:40", "01:00", "01:20", "01:40", "02:00", "02:20", "02:40")
    },
    TWICE_AT_TWO: {"02:00": "00:00", "02:45": "00:45"},
}


def _occurrences(wanted: dict[str, dict[str, str]], begin: datetime, day: str) -> dict[tuple[str, str], datetime]:
    """Return what is to run, by connection and occurrence, with its instant, which is after `begin`."""
    found = {}
    for name, times in wanted.items():
        for named, instant in times.items():
            hour, minute = map(int, instant.split(":"))
            at = begin.replace(hour=hour, minute=minute)
            at += timedelta(days=at < begin)
            local = SCHEDULES[name].get("cron", "").startswith(("30", "0,"))
            shown = f"{day}T{named}" if local else f"{at:%Y-%m-%dT%H:%M:%SZ}"
            found[name, f"{TENANT}/{name}@{shown}"] = at
    return found


def _done(hub: House) -> dict[tuple[str, str], datetime]:
    """Return what has run, in the same shape. A run that was begun twice would tell two attempts."""
    rows = hub.rows(select(runs).where(runs.c.state == RunState.DONE))
    assert {row.attempts for row in rows} <= {1}
    return {(row.connection.partition("/")[2], row.occurrence): row.planned_at for row in rows}


@pytest.mark.parametrize(
    ("day", "begin", "end", "wanted"),
    [
        ("2026-03-29", datetime(2026, 3, 29, 0, 20, tzinfo=UTC), datetime(2026, 3, 29, 2, 20, tzinfo=UTC), MARCH),
        ("2026-10-25", datetime(2026, 10, 24, 23, 20, tzinfo=UTC), datetime(2026, 10, 25, 2, 50, tzinfo=UTC), OCTOBER),
    ],
    ids=["march", "october"],
)
def test_a_change_over_night(
    tmp_path: Path, url: str, day: str, begin: datetime, end: datetime, wanted: dict[str, dict[str, str]]
) -> None:
    """Two schedulers and two workers through the night of 23 or 25 hours run each occurrence once, at its instant."""
    step = timedelta(minutes=scale(full=1, short=10))
    more: dict[str, Tree] = {name: {"schedule": SCHEDULES[name], "catch_up": "all"} for name in SCHEDULES}
    expected, clock = _occurrences(wanted, begin, day), FileClock(tmp_path / "clock")
    clock.set(at := begin)
    with house(tmp_path, 3, more=more, database=url) as (other, hub, _):
        roles = ("scheduler", "scheduler", "worker", "worker")
        processes = [hub.start_clocked(role, tmp_path / "clock") for role in roles]
        begun, steps = time.monotonic(), 0
        while (at := at + step) <= end:
            steps += 1
            other.order(SOURCE, edit=steps)
            clock.set(at)
            due = sum(instant <= at for instant in expected.values())
            wait_for(lambda due=due: len(_done(hub)) >= due and not hub.busy(), 30, hub.log)  # type: ignore[misc]
        seconds = time.monotonic() - begun
        for process in processes:
            hub.stop(process)
        show(f"the night of {day}", occurrences=len(expected), steps=steps, seconds=round(seconds))
        assert _done(hub) == expected
        assert Counter(row.state for row in hub.rows(select(runs.c.state))) == {RunState.DONE: len(expected)}
        pulled = Counter(name for name, _ in expected)
        assert {name: other.order(name)["pages"] for name in SCHEDULES} == pulled  # no system was asked twice
        assert other.doubles() == []


@pytest.mark.parametrize("how", ["down", "stopped"])
def test_a_silence_over_three_occurrences(tmp_path: Path, url: str, how: str) -> None:
    """A scheduler that was down, or stopped as on a machine that sleeps, treats what it missed as each policy says."""
    policies = dict(zip(SCHEDULES, ("none", "latest", "all"), strict=False))
    more: dict[str, Tree] = {name: {"schedule": {"every": "1h"}, "catch_up": each} for name, each in policies.items()}
    morning, clock = datetime(2026, 5, 4, 8, 30, tzinfo=UTC), FileClock(tmp_path / "clock")
    clock.set(morning)
    with house(tmp_path, 2, only=list(policies), more=more, database=url) as (_, hub, _):
        scheduler, worker = (hub.start_clocked(role, tmp_path / "clock") for role in ("scheduler", "worker"))
        clock.set(morning.replace(hour=9, minute=5))
        wait_for(lambda: len(_done(hub)) == 3, 30, hub.log)
        if how == "down":
            hub.stop(scheduler)
        else:
            scheduler.send_signal(signal.SIGSTOP)
        clock.set(morning.replace(hour=12, minute=30))  # more than the ten minutes that count as in time
        if how == "down":
            scheduler = hub.start_clocked("scheduler", tmp_path / "clock")
        else:
            scheduler.send_signal(signal.SIGCONT)
        wait_for(lambda: len(_done(hub)) == 3 + 4, 30, hub.log)
        clock.set(morning.replace(hour=13, minute=5))
        wait_for(lambda: len(_done(hub)) == 3 + 4 + 3, 30, hub.log)
        hub.stop(scheduler)
        hub.stop(worker)
        assert {policies[name]: _became(hub, name) for name in policies} == {
            "none": ["9 done", "10 late", "11 late", "12 late", "13 done"],
            "latest": ["9 done", "10 superseded", "11 superseded", "12 done", "13 done"],
            "all": ["9 done", "10 done", "11 done", "12 done", "13 done"],
        }


def _became(hub: House, name: str) -> list[str]:
    """Give the hour of each occurrence of a connection, and what became of it."""
    return [f"{row.planned_at.hour} {row.outcome}" for row in _rows(hub, name)]


def _rows(hub: House, name: str) -> list[Row[Any]]:
    """Give the runs of a connection in the order that they were planned in."""
    return hub.rows(select(runs).where(runs.c.connection == f"{TENANT}/{name}").order_by(runs.c.planned_at))


def test_a_command_that_was_stopped(tmp_path: Path, url: str) -> None:
    """`hub scheduler`, stopped for seconds over several occurrences, leaves a row of each, run or missed, by policy."""
    policies = dict(zip(SCHEDULES, ("none", "latest", "all"), strict=False))
    more: dict[str, Tree] = {name: {"schedule": {"every": "1s"}, "catch_up": each} for name, each in policies.items()}
    with house(tmp_path, 1, only=list(policies), more=more, database=url) as (_, hub, _):
        scheduler, worker = hub.start("scheduler"), hub.start("worker")
        wait_for(lambda: len(_done(hub)) >= 6, 60, hub.log)
        scheduler.send_signal(signal.SIGSTOP)
        time.sleep(scale(full=30, short=4))
        scheduler.send_signal(signal.SIGCONT)
        before = len(_done(hub))
        wait_for(lambda: len(_done(hub)) >= before + 12, 60, hub.log)
        hub.stop(scheduler)
        hub.stop(worker)
        became = {policies[name]: _rows(hub, name) for name in policies}
        missed = {
            policy: [row.outcome for row in rows if row.state is RunState.MISSED] for policy, rows in became.items()
        }
        show("a stopped scheduler", **{f"{policy} missed": len(rows) for policy, rows in missed.items()})
        for rows in became.values():
            assert {later.planned_at - earlier.planned_at for earlier, later in pairwise(rows)} == {
                timedelta(seconds=1)
            }
            assert all(row.attempts == (row.state is RunState.DONE) for row in rows if row.state is not RunState.QUEUED)
        # None is late, for all were noticed within ten minutes; where a run was slow to begin, others passed meanwhile.
        assert set(missed["all"]) <= {"overlap"}
        for policy in ("none", "latest"):
            assert missed[policy].count("superseded") >= 2
            assert set(missed[policy]) <= {"superseded", "overlap"}
