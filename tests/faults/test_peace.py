"""A system that asks for peace, a system that is down, a person who pauses: who is left alone is left alone by all."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread

import pytest
from sqlalchemy import select

from hub.bootstrap import Hub
from hub.connectors.base import ConnectorError, Unavailable, Waiting
from hub.store.tables import BreakerState, connection_state, events
from tests.connectors.wire import Wire, answer
from tests.faults.children import Tree
from tests.faults.house import TENANT, House, house, scale, show, wait_for
from tests.faults.proxy import Exchange, Proxy, Rule, cut, status
from tests.stores import PostgresServer

pytestmark = pytest.mark.long

BAD, GOOD = "refuses_key", "look_up_only"
NEIGHBOUR = "100000016"  # made up


@dataclass
class Storm:
    """Many workers of two hubs on one database, each reading a record from one connection again and again."""

    hubs: list[Hub]
    answers: Counter[str] = field(default_factory=Counter)
    _stop: Event = field(default_factory=Event)

    def once(self, name: str = BAD) -> str:
        """Read a record; give what came of it: `ok` or the code of the error."""
        return _read(self.hubs[0], name)

    @contextmanager
    def raging(self, workers: int) -> Iterator[None]:
        """Let so many workers at it meanwhile."""
        threads = [Thread(target=self._work, args=(self.hubs[at % 2],), daemon=True) for at in range(workers)]
        for thread in threads:
            thread.start()
        yield
        self._stop.set()
        for thread in threads:
            thread.join()

    def _work(self, hub: Hub) -> None:
        while not self._stop.is_set():
            self.answers[_read(hub, BAD)] += 1
            self._stop.wait(0.02)


def _read(hub: Hub, name: str) -> str:
    _, connection = hub.connection(name)
    try:
        connection.connector.fetch(f"{name}-00000")
    except ConnectorError as error:
        return error.code
    return "ok"


@contextmanager
def _storm(
    folder: Path, database: str = "", client: Tree | None = None, **breaker: object
) -> Iterator[tuple[Storm, Proxy, House]]:
    """Give a hub with a bad and a good connection, opened twice as in two processes, and the proxy before the bad."""
    more: dict[str, Tree] = {BAD: {**(client or {}), **({"breaker": breaker} if breaker else {})}}
    with ExitStack() as stack:
        _, found, proxies = stack.enter_context(
            house(folder, 1, only=[BAD, GOOD], behind=[BAD], more=more, database=database)
        )
        hubs = [stack.enter_context(found.opened()) for _ in range(2)]
        yield Storm(hubs), proxies[BAD], found


def _in_seconds(code: int) -> Rule:
    return Rule(status(code, {"Retry-After": "5"}), "peace", numbers=frozenset({1}))


def _at_a_date(code: int) -> Rule:
    def dated(exchange: Exchange) -> None:
        until = datetime.now(UTC) + timedelta(seconds=6)  # a date has no fractions: at least five seconds are left
        status(code, {"Retry-After": format_datetime(until, usegmt=True)})(exchange)

    return Rule(dated, "peace", numbers=frozenset({1}))


@pytest.mark.parametrize("rule", [_in_seconds(429), _in_seconds(503), _at_a_date(429), _at_a_date(503)])
def test_peace_for_seconds(tmp_path: Path, rule: Rule) -> None:
    """After 429 or 503 with `Retry-After: 5`, or with a date, no worker of any process tries again for five seconds."""
    with _storm(tmp_path) as (storm, proxy, _):
        proxy.rules = (rule,)
        first = Thread(target=storm.once)
        first.start()
        wait_for(lambda: bool(proxy.met("peace")), 10)
        time.sleep(0.3)  # until the answer is written down, others may set out
        with storm.raging(6):
            assert storm.once(GOOD) == "ok"
            wait_for(lambda: storm.answers["ok"] > 6, 15)
        first.join()
        asked, *later = [seen.at for seen in proxy.seen]
        show("peace for 5 s", first_attempt_after=round(min(later) - asked, 2), attempts=len(later))
        assert min(later) - asked >= 5.0


def test_peace_for_an_hour(tmp_path: Path, url: str) -> None:
    """After `Retry-After: 3600` the whole connection is parked for an hour, and others go on."""
    with _storm(tmp_path, url) as (storm, proxy, found):
        proxy.rules = (Rule(status(503, {"Retry-After": "3600"}), "peace"),)
        with pytest.raises(Unavailable):
            storm.hubs[0].connection(BAD)[1].connector.fetch("x")
        with pytest.raises(Waiting) as waiting:
            storm.hubs[1].connection(BAD)[1].connector.fetch("x")
        assert waiting.value.code == "parked"
        assert 3590 < (waiting.value.until - datetime.now(UTC)).total_seconds() <= 3600
        assert storm.once(GOOD) == "ok"
        assert found.hub("sync", GOOD) == 0
        assert found.hub("sync", BAD) == 1
        assert len(proxy.seen) == 1


def test_the_breaker(tmp_path: Path, url: str) -> None:
    """A system that is down is tried five times, then once a period by one worker; when it answers, all go on."""
    period = 1.0
    with _storm(tmp_path, url, failures=5, period="1s") as (storm, proxy, found):
        proxy.rules = (Rule(cut, "down"),)
        while (answer := storm.once()) != "breaker_open":
            assert answer == "connection_reset"
        assert len(proxy.seen) <= 5
        opened = len(proxy.seen)
        with storm.raging(6):
            time.sleep(scale(full=60, short=6))
            probes = [seen.at for seen in proxy.seen[opened:]]
            proxy.rules = ()
            wait_for(lambda: storm.answers["ok"] > 20, 5)
        gaps = [later - earlier for earlier, later in pairwise(probes)]
        show("breaker", attempts_before=opened, probes=len(probes), shortest_gap=round(min(gaps), 3))
        assert len(probes) >= 3
        assert min(gaps) >= period - 0.05
        state = found.rows(select(connection_state).where(connection_state.c.connection == f"{TENANT}/{BAD}"))[0]
        assert (state.breaker_state, state.failures) == (BreakerState.CLOSED, 0)


def test_the_breaker_with_short_tokens(tmp_path: Path, url: str) -> None:
    """Tokens that are given out all the time keep no breaker closed: the system is tried as seldom as without them."""
    period, secret = 1.0, tmp_path / "secret"
    secret.write_text("made-up")
    with Wire([answer(200, {"access_token": "t", "expires_in": 1})]) as tokens:
        client = {"token_url": f"{tokens.url}/token", "client_id": "c", "client_secret": f"${{file:{secret}}}"}
        with _storm(tmp_path, url, client, failures=5, period="1s") as (storm, proxy, found):
            proxy.rules = (Rule(status(500, {}), "down"),)
            while (said := storm.once()) != "breaker_open":
                assert said == "http_500"
            opened = len(proxy.seen)
            with storm.raging(6):
                time.sleep(scale(full=60, short=6))
                probes = [seen.at for seen in proxy.seen[opened:]]
                before = _told(found)
                proxy.rules = ()
                wait_for(lambda: storm.answers["ok"] > 20, 10)
            gaps = [later - earlier for earlier, later in pairwise(probes)]
            show("breaker with tokens", attempts_before=opened, probes=len(probes), tokens=len(tokens.requests))
            assert opened <= 5
            assert len(probes) >= 3
            assert min(gaps) >= period - 0.05
            assert before == ["hub:connection:broken"]
            assert _told(found) == ["hub:connection:broken", "hub:connection:mended"]


def _told(found: House) -> list[str]:
    of_connections = events.c.action.like("hub:connection:%")
    return [row.action for row in found.rows(select(events).where(of_connections).order_by(events.c.event_id))]


def test_pause_in_a_storm(tmp_path: Path, url: str) -> None:
    """A pause in the middle of a storm of retries ends it within a second, in every process, until somebody resumes."""
    retries = scale(full=1_000, short=200)
    with _storm(tmp_path, url, failures=1_000_000, period="1m") as (storm, proxy, found):
        proxy.rules = (Rule(status(500, {}), "down"),)
        with storm.raging(16):
            wait_for(lambda: len(proxy.seen) >= retries, 120)
            assert found.hub("pause", BAD, "--who", "it-vakt") == 0, found.log()
            paused = time.monotonic()
            time.sleep(3)
            late = [seen.at - paused for seen in proxy.seen if seen.at > paused + 1]
            before = len(proxy.seen)
            proxy.rules = ()
            assert found.hub("resume", BAD, "--who", "it-vakt") == 0, found.log()
            wait_for(lambda: storm.answers["ok"] > 0, 10)
        show("pause in a storm", retries=before, attempts_after_a_second=len(late))
        assert late == []
        assert storm.answers["paused"] > 0


def test_a_gate_waits_for_no_other_municipality(tmp_path: Path, postgresql: PostgresServer) -> None:
    """While another municipality's page is being written, an attempt takes its turn and notes how it went."""
    with ExitStack() as stack:
        database = stack.enter_context(postgresql.database("migrated"))
        rate: Tree = {"rate": {"per_second": 50}}
        hub = stack.enter_context(House(tmp_path, {GOOD: 1}, database=database, more={GOOD: rate}))
        gate = stack.enter_context(hub.opened()).connection(GOOD)[1].connector._http._gate  # type: ignore[attr-defined]

        def attempt() -> None:
            gate.enter()
            gate.failed(Unavailable("connection_refused", "nobody is there", "Start it"))

        attempting = Thread(target=attempt, daemon=True)
        with hub.db.of(NEIGHBOUR).write():
            attempting.start()
            attempting.join(20)
            waits = attempting.is_alive()
        attempting.join()
        assert not waits
        assert hub.rows(select(connection_state.c.failures)) == [(1,)]
