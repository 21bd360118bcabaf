"""The gate on the row that all workers share: nothing gets past a pause, a system's wish for peace, or the breaker."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Barrier, Lock, Thread
from typing import Any

import pytest
from sqlalchemy import Row, insert, select

from hub.connectors.base import (
    BadAnswer,
    Connector,
    ConnectorError,
    OutcomeUnknown,
    Page,
    Refused,
    Unavailable,
    Waiting,
)
from hub.connectors.http import Clock, Http, Limits
from hub.operate.report import Reports
from hub.sandbox.municipality import MUNICIPALITY_ORGNR
from hub.sandbox.stories import shared_level_2
from hub.store.connections import LOOK_AGAIN, ConnectionState, GateRules, StopCode
from hub.store.database import Database
from hub.store.events import NotACode
from hub.store.tables import BreakerState, DeliveryState, RunState, connection_state, deliveries, events, runs
from hub.sync.gate import RowGate, pause, resume
from tests.connectors.wire import Wire, answer
from tests.sync.house import MORNING, SAMSPILL, VIGILO, House, Time

DOWN = Unavailable("http_503", "the system answered HTTP 503", "try again")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def moment() -> Time:
    return Time()


def _gate(db: Database, moment: Time, rules: GateRules | None = None, connection: str = VIGILO) -> RowGate:
    """Give a gate as a worker of its own has it."""
    return RowGate(db, ConnectionState(MUNICIPALITY_ORGNR, connection), rules or GateRules(), moment.clock())


def _row(db: Database, connection: str = VIGILO) -> dict[str, object]:
    with db.read() as tx:
        row = ConnectionState(MUNICIPALITY_ORGNR, connection).read(tx)
    return dict(row._mapping) if row else {}


def _refused(gate: RowGate) -> tuple[str, datetime]:
    with pytest.raises(Waiting) as caught:
        gate.enter()
    assert caught.value.remedy
    return caught.value.code, caught.value.until


def _fail(gate: RowGate, times: int, error: ConnectorError = DOWN) -> None:
    for _ in range(times):
        gate.enter()
        gate.failed(error)


# --- parking -----------------------------------------------------------------------------------------------------


def test_a_wish_for_long_peace_parks_the_connection_for_everybody(db: Database, moment: Time) -> None:
    """Another worker waits too, to the second; another connection does not."""
    one, other = _gate(db, moment), _gate(db, moment)
    one.failed(Unavailable("http_429", "busy", "wait", timedelta(hours=1)))
    until = MORNING + timedelta(hours=1)
    assert _refused(other) == ("parked", until)
    assert _row(db)["parked_reason"] == "http_429"
    _gate(db, moment, connection=SAMSPILL).enter()
    moment.at = until
    other.enter()


def test_a_short_wish_is_waited_for_by_everybody(db: Database, moment: Time) -> None:
    """Five seconds are waited inside the call, by the worker that did not hear it too."""
    _gate(db, moment).failed(Unavailable("http_503", "busy", "wait", timedelta(seconds=5)))
    _gate(db, moment).enter()
    assert moment.at == MORNING + timedelta(seconds=5)


def test_an_earlier_word_for_longer_stands(db: Database, moment: Time) -> None:
    """A late answer that asks for less does not shorten what was asked."""
    gate = _gate(db, moment)
    for minutes in (60, 30):
        gate.failed(Unavailable("http_429", "busy", "wait", timedelta(minutes=minutes)))
    assert _refused(gate) == ("parked", MORNING + timedelta(hours=1))


def test_a_wish_for_peace_is_no_failure(db: Database, moment: Time) -> None:
    """A system that says when to come back works; the breaker stays closed."""
    gate = _gate(db, moment)
    for _ in range(9):
        gate.failed(Unavailable("http_429", "busy", "wait", timedelta(seconds=1)))
    assert (_row(db)["failures"], _row(db)["breaker_state"]) == (0, BreakerState.CLOSED)


# --- breaker -----------------------------------------------------------------------------------------------------


def test_the_breaker_opens_after_the_failures_and_closes_on_success(db: Database, moment: Time) -> None:
    """Five in a row open it for a minute, one probe goes through, and its success lets all through again."""
    gate, other = _gate(db, moment), _gate(db, moment)
    _fail(gate, 5)
    assert _refused(other) == ("breaker_open", MORNING + MINUTE)
    moment.at += MINUTE
    other.enter()
    assert _refused(gate) == ("breaker_open", moment.at + MINUTE)
    other.succeeded()
    gate.enter()
    assert (_row(db)["failures"], _row(db)["breaker_until"]) == (0, None)


def test_a_probe_that_fails_waits_for_the_next_period(db: Database, moment: Time) -> None:
    """There is one probe a period, however often it fails, and also where its worker died."""
    gate = _gate(db, moment)
    _fail(gate, 5)
    for _ in range(3):
        moment.at += MINUTE
        _fail(gate, 1)
        assert _refused(gate) == ("breaker_open", moment.at + MINUTE)
    moment.at += MINUTE
    gate.enter()  # and its worker dies
    moment.at += MINUTE
    gate.enter()


def test_a_success_between_breaks_the_row(db: Database, moment: Time) -> None:
    """Four failures, a success and four more are not five in a row."""
    gate = _gate(db, moment)
    for _ in range(2):
        _fail(gate, 4)
        gate.enter()
        gate.succeeded()
    assert _row(db)["failures"] == 0


def test_what_a_system_refuses_says_nothing_about_the_system(db: Database, moment: Time) -> None:
    """Refusals and bad answers are never counted; lost answers to changes are."""
    gate = _gate(db, moment)
    _fail(gate, 9, Refused("http_422", "no", "look"))
    _fail(gate, 9, BadAnswer("not_json", "no", "look"))
    assert _row(db) == {}
    _fail(gate, 5, OutcomeUnknown("read_timeout", "lost", "look"))
    assert _refused(gate)[0] == "breaker_open"


def test_while_all_is_well_nothing_is_written(db: Database, moment: Time) -> None:
    """A thousand good attempts leave no row: the gate reads once an attempt."""
    gate = _gate(db, moment)
    for _ in range(1000):
        gate.enter()
        gate.succeeded()
    assert _row(db) == {}


def test_one_probe_among_many_workers(db: Database, moment: Time) -> None:
    """Eight workers that come at once get one attempt in all."""
    _fail(_gate(db, moment), 5)
    moment.at += MINUTE
    assert _at_once(8, lambda: _gate(db, moment).enter()) == 1


def test_the_breaker_leaves_events(db: Database, moment: Time) -> None:
    """Opened once, mended once, parked once: with counts and codes."""
    gate = _gate(db, moment)
    _fail(gate, 5)
    moment.at += MINUTE
    _fail(gate, 1)
    moment.at += MINUTE
    gate.enter()
    gate.succeeded()
    gate.failed(Unavailable("http_429", "busy", "wait", timedelta(hours=1)))
    assert [row.action for row in _events(db)] == [
        "hub:connection:broken",
        "hub:connection:mended",
        "hub:connection:parked",
    ]
    assert _events(db)[0].data == {"failures": 5, "reason": "http_503"}
    assert _events(db)[-1].data == {"seconds": 3600, "reason": "http_429"}


# --- rate --------------------------------------------------------------------------------------------------------


def test_attempts_are_spread_over_time_for_all_workers(db: Database, moment: Time) -> None:
    """Two a second are half a second apart, whoever makes them."""
    one, other = (_gate(db, moment, GateRules(per_second=2)) for _ in range(2))
    at = []
    for gate in (one, other, other, one):
        gate.enter()
        at.append((moment.at - MORNING).total_seconds())
    assert at == [0, 0.5, 1.0, 1.5]
    moment.at += MINUTE
    one.enter()
    assert moment.at == MORNING + timedelta(minutes=1, seconds=1.5)


def test_a_turn_that_is_far_off_is_not_taken(db: Database, moment: Time) -> None:
    """What would have to wait longer than a call may waits in its row, and takes nobody's place."""
    gate = _gate(db, moment, GateRules(per_second=0.04))
    gate.enter()
    for _ in range(2):
        assert _refused(gate) == ("rate_limited", MORNING + timedelta(seconds=25))


def test_workers_at_once_get_turns_of_their_own(db: Database) -> None:
    """Six workers of three turns each take eighteen different turns on the one row."""
    state, turns, lock = ConnectionState(MUNICIPALITY_ORGNR, VIGILO), list[datetime](), Lock()

    def take() -> None:
        for _ in range(3):
            with db.write() as tx:
                turn = state.take_turn(tx, MORNING, 1, MORNING + timedelta(hours=1))
            with lock:
                turns.append(turn)

    _at_once(6, take)
    assert sorted(turns) == [MORNING + timedelta(seconds=number) for number in range(18)]


# --- pause -------------------------------------------------------------------------------------------------------


def test_a_pause_stops_the_next_attempt_and_says_who(house: House) -> None:
    """Before the next attempt of any worker, until somebody resumes; both leave events with the user id."""
    gate = _gate(house.db, house.time)
    gate.enter()
    pause(house.tenant, VIGILO, "kari.it")
    pause(house.tenant, VIGILO, "ola.it")
    assert _refused(gate) == ("paused", MORNING + LOOK_AGAIN)
    assert (_row(house.db)["paused_by"], _row(house.db)["paused_at"]) == ("kari.it", MORNING)
    resume(house.tenant, VIGILO, "ola.it")
    gate.enter()
    told = [(row.action, row.actor, row.subject_id) for row in _events(house.db)]
    assert told == [
        ("person:connection:paused", "kari.it", VIGILO),
        ("person:connection:resumed", "ola.it", VIGILO),
    ]


def test_who_pauses_is_a_user_id(house: House) -> None:
    """Free text is refused, and then nothing is paused."""
    with pytest.raises(NotACode):
        pause(house.tenant, VIGILO, "Solskinn Testbarn")
    assert _row(house.db) == {}


def test_a_pause_takes_effect_between_the_attempts_of_one_call(db: Database, moment: Time) -> None:
    """The second attempt of three is never made, at a real server."""
    with _http(db, moment, lambda: _shut(db)) as (wire, http):
        with pytest.raises(Waiting) as caught:
            http.get("/logs")
        assert caught.value.code == "paused"
        assert len(wire.requests) == 1


def test_a_pause_after_a_lost_answer_leaves_the_outcome_unknown(db: Database, moment: Time) -> None:
    """What may have been taken in stays unknown, though the next attempt is not let through."""
    with _http(db, moment, lambda: _shut(db)) as (wire, http):
        with pytest.raises(OutcomeUnknown):
            http.send("PUT", "/logs/1", {}, {"Idempotency-Key": "k"}, repeatable=True)
        assert len(wire.requests) == 1


def test_the_breaker_counts_attempts_and_not_calls(db: Database, moment: Time) -> None:
    """Two calls of three attempts reach the server five times; the sixth is not made."""
    with _http(db, moment, lambda: None) as (wire, http):
        for code in ("connection_lost", "breaker_open"):
            with pytest.raises(Unavailable) as caught:
                http.get("/logs")
            assert caught.value.code == code
        assert len(wire.requests) == 5


def test_nobody_comes_before_the_seconds_that_were_asked_for(db: Database) -> None:
    """In real time: after 429 with one second the next attempts of two workers come a second later or more."""
    clock = Clock(lambda: datetime.now(UTC), time.monotonic, time.sleep)
    gates = [RowGate(db, ConnectionState(MUNICIPALITY_ORGNR, VIGILO), GateRules(), clock) for _ in range(2)]
    with Wire([answer(429, retry_after="1"), answer(200, {})]) as wire:
        https = [Http(wire.url, None, Limits(), clock, gate) for gate in gates]
        began = time.monotonic()
        assert https[0].attempt("GET", "/logs").status == 429
        https[1].get("/logs")
        assert time.monotonic() - began >= 1.0
        for http in https:
            http.close()


# --- what waits --------------------------------------------------------------------------------------------------


def test_deliveries_wait_for_a_pause_untried_and_go_on_at_once(house: House) -> None:
    """None is prepared, sent or counted while it lasts; resuming makes all of them due."""
    house.tell(shared_level_2, shared_level_2)
    house.pull(VIGILO)
    house.pull(SAMSPILL)
    house.cycle.route()
    pause(house.tenant, SAMSPILL, "kari.it")
    house.deliver()
    rows = house.rows(deliveries, connection=SAMSPILL)
    assert {(row.state, row.attempts, row.error_class) for row in rows} == {(DeliveryState.READY, 0, "paused")}
    assert house.detours[SAMSPILL].sent == []
    assert house.received("vigilo") != []
    resume(house.tenant, SAMSPILL, "kari.it")
    assert house.deliver().sent[SAMSPILL] == len(rows)


def test_a_run_waits_for_a_pause_between_pages(house: House) -> None:
    """It is put back, no attempt is used up, and resuming makes it due; then it reads to the end."""
    house.tell(*[shared_level_2] * 7)
    gate = _gate(house.db, house.time)

    def pages(real: Connector) -> Iterator[Page]:
        for page in real.pages():
            gate.enter()
            yield page
            pause(house.tenant, VIGILO, "kari.it")

    house.detours[VIGILO].pages_by = pages
    assert house.pull(VIGILO).error == "paused"
    (run,) = house.rows(runs)
    assert (run.state, run.attempts, run.error_class, run.due_at) == (
        RunState.QUEUED,
        0,
        "paused",
        house.time.now() + LOOK_AGAIN,
    )
    house.detours[VIGILO].pages_by = None
    resume(house.tenant, VIGILO, "kari.it")
    house.cycle.pull(house.tenant.connections[VIGILO], run.run_id)
    (run,) = house.rows(runs)
    assert (run.state, run.attempts, run.counts["read"], run.error_class) == (RunState.DONE, 1, 7, None)


def test_the_report_says_what_stops_a_connection(house: House) -> None:
    """Who paused it, and until when it is parked or the breaker is open; nothing where nothing stops it."""

    def stop() -> tuple[str, str, datetime] | None:
        (status,) = Reports(house.db).status(MUNICIPALITY_ORGNR, [VIGILO], house.time.now()).connections
        return (status.stop.code, status.stop.by, status.stop.until) if status.stop else None

    gate = _gate(house.db, house.time)
    assert stop() is None
    _fail(gate, 5)
    assert stop() == (StopCode.BREAKER_OPEN, "", MORNING + MINUTE)
    gate.failed(Unavailable("http_429", "busy", "wait", timedelta(hours=1)))
    assert stop() == (StopCode.PARKED, "", MORNING + timedelta(hours=1))
    pause(house.tenant, VIGILO, "kari.it")
    assert stop() == (StopCode.PAUSED, "kari.it", MORNING + LOOK_AGAIN)
    house.time.after(hours=2)
    resume(house.tenant, VIGILO, "kari.it")
    assert stop() is None


# --- helpers -----------------------------------------------------------------------------------------------------


def _at_once(number: int, work: Callable[[], object]) -> int:
    """Do the same in so many threads that begin together; return how many were not made to wait."""
    barrier, lock, through = Barrier(number), Lock(), list[bool]()

    def run() -> None:
        barrier.wait()
        try:
            work()
        except Waiting:
            return
        with lock:
            through.append(True)

    threads = [Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(through)


def _events(db: Database) -> list[Row[Any]]:
    with db.read() as tx:
        return list(tx.execute(select(events).order_by(events.c.event_id)))


def _shut(db: Database) -> None:
    """Pause as another process does: by the row alone."""
    row = {"tenant": MUNICIPALITY_ORGNR, "connection": VIGILO, "paused": True, "paused_by": "kari.it"}
    with db.write() as tx:
        tx.execute(insert(connection_state).values(row))


@contextmanager
def _http(db: Database, moment: Time, meanwhile: Callable[[], None]) -> Iterator[tuple[Wire, Http]]:
    """Give a server that does something and hangs up without a word, and a client behind the gate."""

    def script(_connection: socket.socket, _request: bytes) -> None:
        meanwhile()

    with Wire([script]) as wire:
        http = Http(wire.url, None, Limits(connect=2, read=2, total=5), moment.clock(), _gate(db, moment))
        yield wire, http
        http.close()
