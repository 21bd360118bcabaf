"""The breaker of a system with tokens: who gives them out is not the system, and tells nothing of how that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import select

from hub.connectors.base import Misconfigured, Unavailable, Waiting
from hub.connectors.http import ClientCredentials, Http, Limits
from hub.store.connections import ConnectionState, GateRules
from hub.store.database import Database
from hub.store.events import Action
from hub.store.tables import BreakerState, connection_state, events
from hub.sync.gate import RowGate
from tests.connectors.conftest import Time
from tests.connectors.wire import Script, Wire, answer, hang_up

TENANT, CONNECTION = "900001002", "900001002/logs"  # made up
PERIOD = timedelta(minutes=1)
TOKEN = answer(200, {"access_token": "t-1", "expires_in": 1})  # it has run out before it is used again
DOWN = answer(500)


@contextmanager
def _behind(
    db: Database, moment: Time, system: Sequence[Script], tokens: Sequence[Script] = (TOKEN,)
) -> Iterator[tuple[Wire, Wire, Http]]:
    """Give a system, its token endpoint, and a client that makes one attempt a call behind a breaker of three."""
    gate = RowGate(db, ConnectionState(TENANT, CONNECTION), GateRules(failures=3, period=PERIOD), moment.clock())
    with Wire(system) as wire, Wire(tokens) as endpoint:
        auth = ClientCredentials(endpoint.url, "stafetthub", "made-up")
        http = Http(wire.url, auth, Limits(connect=2, read=2, total=5, attempts=1), moment.clock(), gate)
        yield wire, endpoint, http
        http.close()


def _called(http: Http) -> str:
    try:
        http.get("/logs")
    except (Unavailable, Misconfigured) as error:
        return error.code
    return "ok"


def _state(db: Database) -> BreakerState:
    with db.read() as tx:
        state: BreakerState = tx.execute(select(connection_state.c.breaker_state)).scalar_one()
    return state


def _told(db: Database) -> list[str]:
    with db.read() as tx:
        return list(tx.scalars(select(events.c.action).order_by(events.c.event_id)))


def test_tokens_keep_no_breaker_closed(db: Database, moment: Time) -> None:
    """A system that always fails is left alone after its number of failures, however many tokens came meanwhile."""
    with _behind(db, moment, [DOWN]) as (wire, endpoint, http):
        assert [_called(http) for _ in range(5)] == [*["http_500"] * 3, *["breaker_open"] * 2]
        assert (len(wire.requests), len(endpoint.requests)) == (3, 3)


def test_a_token_closes_no_breaker(db: Database, moment: Time) -> None:
    """After each period the system itself is asked once; only when it answers, the breaker closes and that is told."""
    with _behind(db, moment, [*[DOWN] * 5, answer(200, {})]) as (wire, _, http):
        for _ in range(3):
            _called(http)
        for asked in (4, 5):
            moment.at += PERIOD
            assert [_called(http) for _ in range(3)] == ["http_500", "breaker_open", "breaker_open"]
            assert len(wire.requests) == asked
            assert _told(db) == [Action.CONNECTION_BROKEN]
        moment.at += PERIOD
        assert [_called(http) for _ in range(2)] == ["ok", "ok"]
    assert _state(db) is BreakerState.CLOSED
    assert _told(db) == [Action.CONNECTION_BROKEN, Action.CONNECTION_MENDED]


def test_a_token_alone_is_no_probe(db: Database, moment: Time) -> None:
    """A token that was asked for after the period leaves the one attempt to whoever calls the system."""
    with _behind(db, moment, [DOWN]) as (wire, endpoint, http):
        for _ in range(3):
            _called(http)
        moment.at += PERIOD
        http.ask_for_token(endpoint.url, {})
        assert _state(db) is BreakerState.OPEN
        assert _called(http) == "http_500"
        assert len(wire.requests) == 4


def test_an_endpoint_that_is_down_is_left_alone_too(db: Database, moment: Time) -> None:
    """Its failures open the breaker, and after each period it is asked once; the system is never called."""
    with _behind(db, moment, [answer(200, {})], [hang_up]) as (wire, endpoint, http):
        assert [_called(http) for _ in range(4)] == [*["connection_lost"] * 3, "breaker_open"]
        for asked in (4, 5):
            moment.at += PERIOD
            assert [_called(http) for _ in range(2)] == ["connection_lost", "breaker_open"]
            assert len(endpoint.requests) == asked
        assert wire.requests == []


def test_no_token_is_asked_for_while_the_connection_is_paused(db: Database, moment: Time) -> None:
    """The question for a token passes the gate as everything does."""
    with db.write() as tx:
        ConnectionState(TENANT, CONNECTION).pause(tx, "it-vakt", moment.now())
    with _behind(db, moment, [DOWN]) as (wire, endpoint, http):
        with pytest.raises(Waiting):
            http.get("/logs")
        assert (wire.requests, endpoint.requests) == ([], [])
