"""The whole cycle: what a person at the command line gets, and what never leaves the seal or reaches a line."""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from hub.connectors.base import Connector, Misconfigured, Page
from hub.sandbox.municipality import MUNICIPALITY_ORGNR, VIGILO_ORG_ID
from hub.sandbox.stories import ALL_STORIES, kindergarten_goal_reached, shared_level_2
from hub.store.events import chain, verify
from hub.store.tables import deliveries, events, quarantine
from hub.sync.cycle import Cycle, CycleResult, reachable
from tests.sync.house import MAPPINGS, SAMSPILL, VIGILO, House, Stumbling

ELEVEN = re.compile(r"\d{11}")


def _texts(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        for inner in tree.values():
            yield from _texts(inner)
    elif isinstance(tree, list):
        for inner in tree:
            yield from _texts(inner)
    elif isinstance(tree, str):
        yield tree


def _personal(house: House) -> set[str]:
    """Give every text of the world that tells about somebody: whatever has a blank in it, and national ids."""
    world = house.world
    told = [*world.vigilo.values(), *world.samspill.values(), *world.persons.values()]
    return {text for text in _texts(told) if (" " in text and len(text) > 6) or ELEVEN.fullmatch(text)}


# --- steps -------------------------------------------------------------------------------------------------------


def test_a_cycle_tells_what_it_did(house: House) -> None:
    """Counts by connection, and the deliveries that the archive has proved."""
    house.tell(shared_level_2, kindergarten_goal_reached)
    result = house.sync()
    assert {name: pulled.counts["new"] for name, pulled in result.pulls.items()} == {VIGILO: 2, SAMSPILL: 1}
    assert set(result.sent) == {VIGILO, SAMSPILL}
    assert (result.failed, len(result.archived)) == ({}, 1)


def test_progress_is_told_step_by_step(house: House) -> None:
    """Each step says how far it is, up to its end."""
    house.tell(shared_level_2, kindergarten_goal_reached)
    told: list[tuple[str, int, int]] = []

    def note(step: str, done: int, total: int) -> None:
        told.append((step, done, total))

    Cycle(house.tenant, "worker-1", note).whole(house.tenant.connections.values(), "shown")
    assert told[:2] == [(f"pull {VIGILO}", 0, 0), (f"pull {SAMSPILL}", 0, 0)]
    assert ("route", 2, 2) in told
    assert ("archive", 1, 1) in told
    assert all(done <= total for _, done, total in told)


def test_what_would_be_sent_can_be_told_without_sending(house: House) -> None:
    """After pulling and routing, the deliveries that wait are counted by connection."""
    house.tell(shared_level_2, shared_level_2)
    house.pull(VIGILO)
    house.pull(SAMSPILL)
    house.cycle.route()
    assert house.cycle.planned() == {VIGILO: 2, SAMSPILL: 2}
    assert house.received() == []


def test_one_connection_that_fails_does_not_stop_the_other(house: House) -> None:
    """The failing pull is told with its code and remedy; the other system's logs are taken in."""
    house.tell(shared_level_2)

    def none(_real: Connector) -> Iterator[Page]:
        raise Misconfigured("token_refused", "the token endpoint answered HTTP 401", "Check client_secret")

    house.detours[VIGILO].pages_by = none
    result = house.sync()
    assert result.pulls[VIGILO].error == "token_refused"
    assert "client_secret" in result.pulls[VIGILO].remedy
    assert result.pulls[SAMSPILL].counts["new"] == 1
    assert result.sent == {}


def test_a_connection_can_be_reached_or_says_why_not(house: House) -> None:
    """The check returns what is wrong instead of raising it."""
    for connection in house.tenant.connections.values():
        assert reachable(connection) is None

    class Broken:
        def check(self) -> None:
            raise Misconfigured("token_refused", "refused", "Check client_secret")

    house.detours[VIGILO].real = Broken()  # type: ignore[assignment]  # only the check is asked of it
    error = reachable(house.tenant.connections[VIGILO])
    assert error is not None
    assert error.code == "token_refused"


def test_steps_can_be_taken_alone_and_again(house: House) -> None:
    """Nothing due, nothing done: each step by itself, twice."""
    house.tell(shared_level_2, kindergarten_goal_reached)
    house.sync()
    for _ in range(2):
        result = CycleResult()
        assert house.cycle.route() == 0
        house.cycle.deliver(result)
        house.cycle.archive(result)
        assert result == CycleResult()


# --- nothing of a person -----------------------------------------------------------------------------------------


def test_no_text_of_a_log_lies_in_clear(house: House, path: Path) -> None:
    """After every story was shared, held, disputed, quarantined and archived, the database's bytes hold none of it."""
    house.tell_all()
    personal = _personal(house)
    house.vigilo(1)["oppretta"] = "31.02.2026"
    for number in range(2, 6):
        house.vigilo(number)["steg"] = "2.9"
        house.saved(house.vigilo(number))
    house.pull(VIGILO)
    house.cycle.route()
    assert house.rows(deliveries, state="ready")
    assert house.rows(quarantine)
    assert len(personal) > 200
    stored = b"".join(file.read_bytes() for file in path.parent.glob("hub.db*"))
    assert [text for text in personal if text.encode() in stored] == []


def test_the_scan_would_find_it(path: Path, tmp_path: Path) -> None:
    """The same look at the bytes finds a text that does stand there, so that finding none means something."""
    copy = tmp_path / "copy.db"
    copy.write_bytes(path.read_bytes())
    with sqlite3.connect(copy) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'Solskinn Testbarn søv'")
    connection.close()
    assert "Solskinn Testbarn søv".encode() in copy.read_bytes()


def test_no_line_and_no_remedy_tells_about_a_child(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """With faults of every kind nothing of the world stands in a line or in what a cycle tells."""
    house.tell(*ALL_STORIES[:8])
    personal = _personal(house)
    caplog.set_level(logging.INFO)
    told = ""
    with capture_logs() as lines:
        for fault in ({"kind": "html"}, {"kind": "truncated"}, {"kind": "status", "status": 404}):
            house.fault("vigilo", page=1, **fault)
            house.fault("samspill", page=1, **fault)
            told += str(house.sync())
    told += caplog.text + "".join(str(line) for line in lines)
    assert "HTTP Request" in caplog.text
    assert [text for text in personal if text in told] == []


def test_no_national_id_stands_in_an_address(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is read or written, the addresses that are called name records and pages only."""
    house.tell(shared_level_2)
    caplog.set_level(logging.INFO)
    house.sync()
    assert f"/{VIGILO_ORG_ID}/api/core/relay-logs/vl-000001" in caplog.text
    called = re.findall(r"HTTP Request: \w+ (\S+)", caplog.text)
    assert called
    assert [address for address in called if ELEVEN.search(re.sub(r":\d+/", "/", address))] == []


def test_every_deed_is_in_the_log_of_events_and_the_chain_holds(house: House) -> None:
    """A cycle leaves events from reading to archiving, chained without a gap."""
    house.tell(shared_level_2, kindergarten_goal_reached)
    house.sync()
    actions = {row.action for row in house.rows(events)}
    expected = ("run:queued", "run:ended", "delivery:ready", "delivery:sent", "delivery:done", "archive:received")
    assert {f"hub:{action}" for action in expected} <= actions
    head = chain(house.db, MUNICIPALITY_ORGNR)
    assert head is not None
    assert verify(house.db, MUNICIPALITY_ORGNR, [head]) == []


def test_a_mistake_in_one_log_stops_no_other(house: House) -> None:
    """The log that can't be routed is held for the operator; the other flows; when it is mended the hold is gone."""
    house.tell(shared_level_2, shared_level_2)
    house.settle(SAMSPILL, mapping=Stumbling(MAPPINGS[SAMSPILL], "P-10001"))
    assert house.sync().sent[SAMSPILL] == 1
    assert house.received("samspill") == ["P-10002"]
    assert house.holds() == [("", "internal_error")]
    house.settle(SAMSPILL, mapping=MAPPINGS[SAMSPILL])
    assert house.sync().sent[SAMSPILL] == 1
    assert house.holds() == []
