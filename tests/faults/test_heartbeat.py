"""Leases by real time: what a process that stands still had is another's within a minute, and a slow one keeps its."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from hub.store.tables import DeliveryState, deliveries
from tests.faults.children import SOURCE
from tests.faults.house import House, OtherSide, house, show, wait_for

pytestmark = pytest.mark.long
STORES = ["postgresql"]

SINK = "look_up_only"
PATIENT = {SINK: {"timeouts": {"connect": 2, "read": 58, "total": 58}}}


def _sending(other: OtherSide, hub: House) -> None:
    """Let an edit be on its way to a sink that has taken it in and does not answer."""
    hub.rest()
    other.order(SOURCE, edit=1)
    other.order(SINK, hold=True)
    hub.queue(SOURCE)


def _state(hub: House) -> tuple[str, int]:
    c = deliveries.c
    newest = select(c.state, c.attempts).where(c.connection.like(f"%{SINK}")).order_by(c.created_at.desc()).limit(1)
    (row,) = hub.rows(newest)
    return str(row.state), int(row.attempts)


def test_what_a_stopped_process_had_is_anothers_within_a_minute(tmp_path: Path, url: str) -> None:
    """By nothing but leases and sweeps; when the stopped one is woken, what it writes late is refused."""
    with house(tmp_path, 1, only=[SOURCE, SINK], database=url, more=PATIENT) as (other, hub, _):
        _sending(other, hub)
        stopped = hub.start("run", "--workers", "1")
        other.told()
        stopped.send_signal(signal.SIGSTOP)
        begun = time.monotonic()
        awake = hub.start("run")
        wait_for(lambda: _state(hub)[0] == DeliveryState.DONE, 70, hub.log)
        took, ended = time.monotonic() - begun, _state(hub)
        stopped.send_signal(signal.SIGCONT)
        other.order(SINK, hold=None)
        time.sleep(1)  # in which it tries to write down the answer
        hub.stop(stopped)
        hub.stop(awake)
        show("a stopped process", seconds_to_take_over=round(took, 1))
        assert took < 60
        assert _state(hub) == ended
        assert other.doubles() == []


def test_an_answer_that_takes_longer_than_a_lease_loses_nothing(tmp_path: Path, url: str) -> None:
    """Another process sweeps all the while; the delivery stays with the one that waits, and is made once."""
    with house(tmp_path, 1, only=[SOURCE, SINK], database=url, more=PATIENT) as (other, hub, _):
        _sending(other, hub)
        processes = [hub.start("run"), hub.start("run")]
        other.told()
        time.sleep(50)
        assert _state(hub) == (DeliveryState.SENDING, 1)
        other.order(SINK, hold=None)
        wait_for(lambda: _state(hub)[0] == DeliveryState.DONE, 20, hub.log)
        for process in processes:
            hub.stop(process)
        assert _state(hub) == (DeliveryState.DONE, 1)
        assert other.doubles() == []
