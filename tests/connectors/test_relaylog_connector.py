"""The open interface as the hub speaks it: against a real system that keeps it, and against answers that break it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from random import Random
from typing import Any

import pytest
from pydantic import ValidationError

from hub.connectors.base import (
    BadAnswer,
    ConnectorError,
    KeyUsed,
    Misconfigured,
    OutcomeUnknown,
    Outgoing,
    Refused,
    Repeat,
    SourceRecord,
    Stale,
)
from hub.connectors.http import Limits
from hub.connectors.relaylog import SPEC, RelayLogs, Settings
from hub.mappings import load_shipped
from hub.relaylog.nationalid import generate
from tests.connectors.conftest import Time
from tests.connectors.wire import Script, Wire, answer, hang_up
from tests.faults.children import SOURCE
from tests.faults.house import OtherSide

Tree = dict[str, Any]
RECORD = {"id": "A-1", "version": "3", "body": {"status": "active"}}
NUMBER = generate(Random(1), date(2015, 3, 2))  # noqa: S311 - the same number every time
CLIENT = {"token_url": "http://127.0.0.1:1/token", "client_id": "c", "client_secret": "made-up"}


@contextmanager
def _at(url: str, moment: Time, repeat: Repeat = "look_up", **more: Any) -> Iterator[RelayLogs]:
    settings = Settings(base_url=url, repeat=repeat, **more)
    system = RelayLogs(settings, Limits(connect=2, read=5, total=5), moment.clock(), {})
    try:
        yield system
    finally:
        system._http.close()


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OtherSide]:
    """Give a running source and three sinks with five children."""
    with OtherSide(tmp_path_factory.mktemp("other"), 5) as running:
        yield running


def _page(*ids: str, after: str | None = None, **more: object) -> Tree:
    records = [{**RECORD, "id": each} for each in ids]
    return {"records": records, "next": after, "total": 4, "complete": after is None, **more}


def _read(url: str, moment: Time, after: str = "") -> list[str]:
    with _at(url, moment, page_size=2) as system:
        return [record.id for page in system.pages(after) for record in page.records]


# --- reading ---------------------------------------------------------------------------------------------------------


def test_everything_is_published() -> None:
    """The interface is the hub's own: nothing of its profile is assumed, and no confirmation is asked for."""
    assert not SPEC.assumed


@pytest.mark.parametrize("page_size", [1, 2, 5, 100])
def test_every_record_comes_once_and_whole(other: OtherSide, moment: Time, page_size: int) -> None:
    """All pages are read whatever their size, and each record is as the system holds it; the template reads it."""
    with _at(f"http://127.0.0.1:{other.port}/{SOURCE}", moment, page_size=page_size) as system:
        system.check()
        records = [record for page in system.pages() for record in page.records]
        assert system.fetch(records[0].id) == records[0]
    held = other.order(SOURCE)["records"]
    assert {record.id: {"id": record.id, "version": record.version, "body": record.tree} for record in records} == held
    assert load_shipped("relaylog/open").read(records[0].tree).goals[0].text == "Mål 1 for nummer 0, runde 0."


def test_a_listing_goes_on_where_it_was_left(other: OtherSide, moment: Time) -> None:
    """What a page gives as its cursor leads to the page after it, and the rest counts as the end of a whole listing."""
    with _at(f"http://127.0.0.1:{other.port}/{SOURCE}", moment, page_size=2) as system:
        first, *rest = list(system.pages())
        assert [page.records for page in system.pages(first.cursor)] == [page.records for page in rest]
    assert rest[-1].cursor == ""


@pytest.mark.parametrize(
    ("second", "code"),
    [
        (_page("c", "d", complete=False), "missing_pages"),
        ({name: value for name, value in _page("c", "d").items() if name != "complete"}, "missing_pages"),
        (_page("c", after="p3", complete=True), "missing_pages"),
        (_page(after="p3"), "missing_pages"),
        (_page("c"), "missing_pages"),
        (_page("c", total=1), "missing_pages"),
        (_page("c", "b"), "repeated_page"),
        (_page("c", "c"), "repeated_page"),
        (_page("c", "d", after="p2"), "repeated_page"),
        (_page("c", "d", total=None), "no_list"),
        (_page("c", "d", records={}), "no_list"),
        (_page("c", "d", records=["c"]), "no_list"),
        (_page("c", "d", next=3), "no_list"),
        (_page("c", "d", next="", complete=False), "no_list"),
    ],
    ids=[
        "says it is not complete", "does not say", "complete in the middle", "no records in the middle",
        "fewer than said", "fewer than said before", "a record of an earlier page", "a record twice",
        "back to a page that was read", "no total", "no list", "no objects", "no cursor", "an empty cursor",
    ],
)  # fmt: skip
def test_a_listing_that_is_not_whole(moment: Time, second: Tree, code: str) -> None:
    """A page that repeats, ends early or does not say how it stands ends the listing with its own error."""
    with Wire([answer(200, _page("a", "b", after="p2")), answer(200, second)]) as wire, pytest.raises(BadAnswer) as bad:
        _read(wire.url, moment)
    assert bad.value.code == code


@pytest.mark.parametrize("broken", [{"version": 3}, {"id": ""}, {"body": "tekst"}, {"id": None}])
def test_a_broken_record_stops_no_other(moment: Time, broken: Tree) -> None:
    """A record without id, version or body is kept as it came, and the others of its page are read."""
    page = _page("a", "b", "c", "d")
    page["records"][1] |= broken
    with Wire([answer(200, page)]) as wire, _at(wire.url, moment) as system:
        read = next(iter(system.pages()))
    assert [record.id for record in read.records] == ["a", "c", "d"]
    assert [(found.code, found.data != b"") for found in read.unreadable] == [("no_record", True)]


@pytest.mark.parametrize(
    ("found_id", "own"),
    [
        ("b", True),
        ("A 1/ø", True),
        ("i" * 200, True),
        (NUMBER, False),
        (f"log-{NUMBER}", False),
        ("i" * 201, False),
        ("b\n", False),
        ("\ud800", False),
        ("", False),
        (7, False),
    ],
)
def test_a_broken_record_is_known_by_its_own_id(moment: Time, found_id: object, own: bool) -> None:
    """Where a plain id came with it; what is no id, or tells who it is about, is known by its content."""
    page = _page("a", "b", "c", "d")
    page["records"][1] |= {"version": 3, "id": found_id}
    with Wire([answer(200, page)]) as wire, _at(wire.url, moment) as system:
        (found,) = next(iter(system.pages())).unreadable
    assert found.own_id == own
    assert (found.id == found_id) == own
    assert NUMBER not in found.id


@pytest.mark.parametrize("reply", [RECORD | {"id": "B-2"}, {"id": "A-1"}, {}])
def test_an_answer_that_is_another_record(moment: Time, reply: Tree) -> None:
    """What is not the record that was asked for is no answer."""
    with Wire([answer(200, reply)]) as wire, _at(wire.url, moment) as system, pytest.raises(BadAnswer):
        system.fetch("A-1")


def test_a_record_that_is_gone(other: OtherSide, moment: Time) -> None:
    """A record that is not there is refused, and so is one that the system does not show."""
    for name, error in ((SOURCE, Refused), ("neither", ConnectorError)):
        with _at(f"http://127.0.0.1:{other.port}/{name}", moment) as system, pytest.raises(error):
            system.fetch("A-1")


# --- writing ---------------------------------------------------------------------------------------------------------


def _change(system: RelayLogs, key: str) -> Outgoing:
    before = next(iter(system.pages())).records[-1]
    return Outgoing(before, {**before.tree, "goals": [{"text": "Nytt mål."}]}, key)


def test_a_change_comes_back_as_it_is_stored(other: OtherSide, moment: Time) -> None:
    """The answer to a change is the record in its new version, with the system's own ids on what was new."""
    with _at(f"http://127.0.0.1:{other.port}/refuses_key", moment, "key") as system:
        outgoing = _change(system, "k-1")
        accepted = system.update(outgoing)
        assert accepted.record == system.fetch(outgoing.before.id)
    assert (accepted.record.version, accepted.reference) == ("2", f"{outgoing.before.id}@2")
    assert accepted.record.tree["goals"][0]["id"]


def test_a_key_that_was_used_changes_nothing(other: OtherSide, moment: Time) -> None:
    """The same key again tells that it was taken in, a change on an old version that the record is newer."""
    with _at(f"http://127.0.0.1:{other.port}/refuses_key", moment, "key", page_size=3) as system:
        outgoing = _change(system, "k-2")
        system.update(outgoing)
        with pytest.raises(KeyUsed):
            system.update(Outgoing(outgoing.before, outgoing.after, "k-2"))
        with pytest.raises(Stale):
            system.update(Outgoing(outgoing.before, outgoing.after, "k-3"))
        assert system.fetch(outgoing.before.id).version == "2"


@pytest.mark.parametrize("repeat", ["look_up", "never"])
def test_a_fault_of_the_system(moment: Time, repeat: Repeat) -> None:
    """Where no key is refused, what a system does in its own fault is unknown, and nothing is sent again by itself."""
    with Wire([answer(500)]) as wire, _at(wire.url, moment, repeat) as system:
        with pytest.raises(OutcomeUnknown):
            system.update(Outgoing(SourceRecord("A/1", "3", {}), {"status": "active"}, "k-1"))
        assert len(wire.requests) == 1


@pytest.mark.parametrize(("repeat", "sent"), [("key", 3), ("look_up", 1), ("never", 1)])
def test_a_lost_answer(moment: Time, repeat: Repeat, sent: int) -> None:
    """Only where a used key is refused is a change sent again by itself; else one attempt is all, and nobody knows."""
    record = SourceRecord("A/1", "3", {})
    with Wire([hang_up]) as wire, _at(wire.url, moment, repeat) as system:
        with pytest.raises(OutcomeUnknown):
            system.update(Outgoing(record, {"status": "active"}, "k-1"))
        assert wire.header("idempotency-key") == ["k-1"] * sent
        assert wire.header("if-match") == ['"3"'] * sent
        assert wire.requests[0].startswith(b"PUT /relaylogs/A%2F1 ")


# --- who may ask -----------------------------------------------------------------------------------------------------


def test_a_token_where_one_is_asked_for(moment: Time) -> None:
    """With a client the token goes along; without one nothing does."""
    token, page = answer(200, {"access_token": "t-1", "expires_in": 300}), answer(200, _page("a", "b", "c", "d"))
    with Wire([token, page]) as wire:
        client: Tree = {**CLIENT, "token_url": f"{wire.url}/token"}
        with _at(wire.url, moment, **client) as system:
            list(system.pages())
        with _at(wire.url, moment) as system:
            list(system.pages())
        assert wire.header("authorization") == ["", "bearer t-1", ""]


@pytest.mark.parametrize("missing", CLIENT)
def test_half_a_client_is_refused_when_it_is_read(missing: str) -> None:
    """A client lacks nothing or is not there at all; the error tells what to write, and no secret."""
    client: Tree = {name: value for name, value in CLIENT.items() if name != missing}
    with pytest.raises(ValidationError, match="write all three, or none") as caught:
        Settings(base_url="https://example.no", repeat="key", **client)
    assert "made-up" not in str(caught.value)


@pytest.mark.parametrize(("script", "error"), [(answer(401), Misconfigured), (answer(200, None), BadAnswer)])
def test_the_check_tells(moment: Time, script: Script, error: type[ConnectorError]) -> None:
    """A refused client and an address without the interface are found by the check."""
    with Wire([script]) as wire, _at(wire.url, moment) as system, pytest.raises(error):
        system.check()
