"""The Vigilo connector against the simulated Vigilo, and against answers that no Vigilo should give."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import httpx
import pytest

from hub.connectors.base import (
    BadAnswer,
    Connector,
    Misconfigured,
    OutcomeUnknown,
    Outgoing,
    Refused,
    SourceRecord,
    Stale,
    Unavailable,
)
from hub.connectors.http import Limits
from hub.connectors.vigilo import Settings, Vigilo
from hub.sandbox.municipality import VIGILO_ORG_ID
from hub.sandbox.server import Sandbox
from hub.sandbox.vigilo import TOKEN_PATH
from tests.connectors.conftest import Time
from tests.connectors.wire import Script, Wire, answer, handing_on, hang_up, raw, sending

TOKEN = answer(200, {"access_token": "t-1", "expires_in": 300})
LISTING = f"/{VIGILO_ORG_ID}/api/core/relay-logs"
Tree = dict[str, Any]


@contextmanager
def _vigilo(
    base_url: str, moment: Time, token_url: str = "", secret: str = "", page_size: int = 100, scope: str = ""
) -> Iterator[Vigilo]:
    settings = Settings(
        base_url=base_url,
        token_url=token_url or base_url,
        org_id=VIGILO_ORG_ID,
        client_id="stafetthub-fjordvik",
        client_secret=secret,
        page_size=page_size,
        **({"scope": scope} if scope else {}),
    )
    vigilo = Vigilo(settings, Limits(connect=2, read=5, total=5), moment.clock(), {})
    try:
        yield vigilo
    finally:
        vigilo._http.close()


@contextmanager
def _at(sandbox: Sandbox, moment: Time, page_size: int = 100) -> Iterator[Vigilo]:
    url = sandbox.urls["vigilo"]
    secret = sandbox.credentials["vigilo"]["client_secret"]
    with _vigilo(url, moment, url + TOKEN_PATH, secret, page_size) as vigilo:
        yield vigilo


@pytest.fixture
def vigilo(sandbox: Sandbox, moment: Time) -> Iterator[Vigilo]:
    with _at(sandbox, moment) as vigilo:
        yield vigilo


def _all(connector: Connector) -> dict[str, SourceRecord]:
    return {record.id: record for page in connector.pages() for record in page.records}


def _some(connector: Connector) -> SourceRecord:
    """Give an active log with a measure."""
    return next(r for r in _all(connector).values() if r.tree["status"] == "AKTIV" and r.tree["tiltak"])


def _with(record: SourceRecord, **changes: object) -> Tree:
    return {**deepcopy(record.tree), **changes}


# --- reading -----------------------------------------------------------------------------------------------------


def test_check_reaches_the_system(vigilo: Vigilo) -> None:
    """With the right secret the check passes and returns nothing."""
    vigilo.check()


@pytest.mark.parametrize("page_size", [4, 7, 100])
def test_every_log_comes_once_whatever_the_page(sandbox: Sandbox, moment: Time, page_size: int) -> None:
    """All pages are read, each of the asked size but the last, and each log stands in one of them."""
    with _at(sandbox, moment, page_size) as vigilo:
        pages = [[record.id for record in page.records] for page in vigilo.pages()]
    assert sorted(id_ for page in pages for id_ in page) == sorted(sandbox.world.vigilo)
    assert {len(page) for page in pages[:-1]} <= {page_size}


def test_a_log_comes_with_its_person_and_its_school(sandbox: Sandbox, vigilo: Vigilo) -> None:
    """Name and national id stand at the person, the unit at the school: both are joined, without the wire's links."""
    for record in _all(vigilo).values():
        stored = sandbox.world.vigilo[record.id]
        assert {name: value for name, value in record.tree.items() if name[:1] != "_"} == stored
        assert record.version == str(stored["versjon"])
        assert record.tree["_school"]["id"] == stored["skuleId"]
        assert "_links" not in record.tree["_school"]
        if "barn" in stored:
            person = sandbox.world.persons[stored["barn"]["personId"]]
            assert record.tree["_person"] == person


def test_one_log_is_the_same_alone_as_in_the_listing(vigilo: Vigilo) -> None:
    """Reading one record gives what the listing gives, so that it counts as unchanged."""
    listed = _some(vigilo)
    assert vigilo.fetch(listed.id) == listed


def test_a_log_that_is_not_there_is_refused(vigilo: Vigilo) -> None:
    """Reading a record that does not exist is final for that record."""
    with pytest.raises(Refused) as caught:
        vigilo.fetch("vl-999999")
    assert caught.value.code == "no_record"


@pytest.mark.parametrize("odd", ["../persons/1", "a/b", "a?b=1", "æ ø", "a#b"])
def test_an_odd_id_stays_within_its_resource(moment: Time, odd: str) -> None:
    """An id is one step of the path, whatever signs stand in it."""
    with Wire([TOKEN, answer(404)]) as wire, _vigilo(wire.url, moment) as vigilo, pytest.raises(Refused):
        vigilo.fetch(odd)
    path = wire.requests[1].split()[1].decode()
    assert path.startswith(f"{LISTING}/")
    assert not set("/?#") & set(path.removeprefix(f"{LISTING}/"))


def test_a_wrong_secret_is_told_at_the_check(sandbox: Sandbox, moment: Time) -> None:
    """The check fails as a mistake of the configuration, and says what to look at."""
    url = sandbox.urls["vigilo"]
    with (
        _vigilo(url, moment, url + TOKEN_PATH, "heilt-feil") as vigilo,
        pytest.raises(Misconfigured, match="client_secret") as caught,
    ):
        vigilo.check()
    assert "heilt-feil" not in f"{caught.value!r}"


def test_a_scope_that_was_not_given_is_told(sandbox: Sandbox, moment: Time) -> None:
    """Without the scope for relay logs the listing is a mistake of the configuration, not an empty one."""
    url, secret = sandbox.urls["vigilo"], sandbox.credentials["vigilo"]["client_secret"]
    scopes = "https://docs.onedhub.io/scopes/core-api."
    some = f"{scopes}persons.read {scopes}schools.read"
    with (
        _vigilo(url, moment, url + TOKEN_PATH, secret, scope=some) as vigilo,
        pytest.raises(Misconfigured, match="scope") as caught,
    ):
        _all(vigilo)
    assert caught.value.code == "unauthorized"


# --- a listing that is none --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"kind": "html"}, "not_json"),
        ({"kind": "truncated"}, "broken_json"),
        ({"kind": "empty"}, "missing_pages"),
        ({"kind": "status", "status": 404}, "not_found"),
    ],
)
def test_a_fault_on_a_later_page(sandbox: Sandbox, moment: Time, fault: Tree, code: str) -> None:
    """The pages before it stand, and the listing ends with an error instead of looking whole."""
    httpx.post(f"{sandbox.urls['vigilo']}/_sandbox/fault", json={"page": 2, **fault}).raise_for_status()
    with _at(sandbox, moment, page_size=5) as vigilo:
        pages = vigilo.pages()
        assert [len(next(pages).records) for _ in range(2)] == [5, 5]
        with pytest.raises((BadAnswer, Misconfigured)) as caught:
            list(pages)
    assert caught.value.code == code


def test_a_system_that_is_down_on_a_page_is_asked_again(sandbox: Sandbox, moment: Time) -> None:
    """A short pause that the system asks for is taken inside the listing, and nothing is lost or doubled."""
    fault = {"kind": "status", "status": 503, "page": 1, "retry_after": 3}
    httpx.post(f"{sandbox.urls['vigilo']}/_sandbox/fault", json=fault).raise_for_status()
    with _at(sandbox, moment, page_size=5) as vigilo:
        assert sorted(_all(vigilo)) == sorted(sandbox.world.vigilo)
    assert moment.slept == [3.0]


def test_a_system_that_stays_down_is_unavailable(sandbox: Sandbox, moment: Time) -> None:
    """When the system wants more peace than a call waits, the listing ends and says how much."""
    fault = {"kind": "status", "status": 503, "retry_after": 300}
    httpx.post(f"{sandbox.urls['vigilo']}/_sandbox/fault", json=fault).raise_for_status()
    with _at(sandbox, moment) as vigilo, pytest.raises(Unavailable) as caught:
        _all(vigilo)
    assert caught.value.retry_after is not None
    assert caught.value.retry_after.total_seconds() == 300


def _page(ids: list[str], following: str | None = None, total: int | None = None, resource: str = "relay-logs") -> Tree:
    links = {"next": {"href": following}} if following else {}
    page = {} if total is None else {"page": {"totalElements": total}}
    return {"_embedded": {resource: [{"id": id_} for id_ in ids]}, "_links": links, **page}


def _listing(*pages: object) -> list[Script]:
    """Serve a token, no persons, no schools, and then these pages."""
    empty = [answer(200, _page([], resource=resource)) for resource in ("persons", "schools")]
    return [TOKEN, *empty, *(answer(200, page) for page in pages)]


@pytest.mark.parametrize(
    ("pages", "code"),
    [
        ([_page(["a"], LISTING)], "repeated_page"),
        ([_page(["a", "b"], f"{LISTING}?page=1"), _page(["a", "b"], f"{LISTING}?page=2")], "repeated_page"),
        ([_page(["a"], f"{LISTING}?page=1", 3), _page(["b"], None, 3)], "missing_pages"),
        ([_page(["a"], f"{LISTING}?page=1", 3), _page(["b"], None, 2)], "missing_pages"),
        ([_page(["a"], f"{LISTING}?page=1"), _page([])], "missing_pages"),
        ([_page([], f"{LISTING}?page=1")], "missing_pages"),
        ([{}], "no_list"),
        ([{"_embedded": {"relay-logs": [{"id": "a"}]}}], "no_list"),
        ([{"_embedded": {"relay-logs": {"id": "a"}}, "_links": {}}], "no_list"),
        ([{"_embedded": {"relay-logs": [None, "x", 3]}, "_links": {}}], "no_list"),
        ([{"_embedded": ["relay-logs"], "_links": {}}], "no_list"),
        ([{**_page(["a"]), "_links": "next"}], "no_list"),
        ([_page(["a"], "https://other.example/next")], "foreign_link"),
    ],
)
def test_a_listing_that_cannot_be_believed(moment: Time, pages: list[Tree], code: str) -> None:
    """Repeated, missing, empty or misshapen pages, and links that lead away, are no answer; the reading ends."""
    with (
        Wire(_listing(*pages)) as wire,
        _vigilo(wire.url, moment, page_size=2) as vigilo,
        pytest.raises(BadAnswer) as caught,
    ):
        _all(vigilo)
    assert caught.value.code == code


def test_a_log_that_moved_to_the_next_page_is_no_repeated_page(moment: Time) -> None:
    """Somebody made a log while the listing was read: one log comes twice, and nothing is wrong."""
    pages = [_page(["a", "b"], f"{LISTING}?page=1", 3), _page(["b", "c"], None, 4)]
    with Wire(_listing(*pages)) as wire, _vigilo(wire.url, moment) as vigilo:
        assert list(_all(vigilo)) == ["a", "b", "c"]


@pytest.mark.parametrize("odd", [{"page": 7}, {"page": {"totalElements": "many"}}, {"_links": {"next": "x"}}])
def test_odd_numbers_and_links_are_passed_over(moment: Time, odd: Tree) -> None:
    """A count or a link of the wrong kind says nothing; it stops no listing that is otherwise whole."""
    with Wire(_listing({**_page(["a"]), **odd})) as wire, _vigilo(wire.url, moment) as vigilo:
        assert list(_all(vigilo)) == ["a"]


def test_an_empty_listing_is_an_empty_listing(moment: Time) -> None:
    """No logs at all, honestly told, is one page without records: what follows from it is not the connector's."""
    with Wire(_listing(_page([], None, 0))) as wire, _vigilo(wire.url, moment) as vigilo:
        assert [page.records for page in vigilo.pages()] == [()]


# --- writing -----------------------------------------------------------------------------------------------------


def test_only_what_changed_is_sent_and_the_answer_is_the_log_as_stored(sandbox: Sandbox, vigilo: Vigilo) -> None:
    """One PATCH with the changed properties; afterwards the record stands with its new version and new keys."""
    before = _some(vigilo)
    measures = [*deepcopy(before.tree["tiltak"]), {**deepcopy(before.tree["tiltak"][0]), "id": None}]
    accepted = vigilo.update(Outgoing(before, _with(before, tiltak=measures, _person={}), "key-new"))
    received = sandbox.world.received[-1]
    assert (received.record_id, received.idempotency_key, list(received.body)) == (before.id, "key-new", ["tiltak"])
    assert accepted.record.version == str(int(before.version) + 1)
    assert accepted.record.tree["tiltak"][-1]["id"]
    assert accepted.record == vigilo.fetch(before.id)
    assert accepted.reference in sandbox.world.jobs


def test_the_same_key_twice_changes_nothing_twice(sandbox: Sandbox, vigilo: Vigilo) -> None:
    """A second attempt with the same key is answered like the first, and the log is changed once."""
    before = _some(vigilo)
    outgoing = Outgoing(before, _with(before, niva=3, steg="3.1"), "key-twice")
    first = vigilo.update(outgoing)
    count = len(sandbox.world.received)
    assert vigilo.update(outgoing).record == first.record
    assert len(sandbox.world.received) == count


def test_a_change_on_an_old_version_is_stale(vigilo: Vigilo) -> None:
    """A log that somebody changed meanwhile is not overwritten."""
    before = _some(vigilo)
    vigilo.update(Outgoing(before, _with(before, steg="2.7"), "key-first"))
    with pytest.raises(Stale):
        vigilo.update(Outgoing(before, _with(before, steg="2.8"), "key-late"))
    assert vigilo.fetch(before.id).tree["steg"] == "2.7"


def test_a_change_that_ends_badly_is_refused(sandbox: Sandbox, vigilo: Vigilo) -> None:
    """Accepted at first and refused in the end is refused: only 303 is done."""
    before = _some(vigilo)
    with pytest.raises(Refused) as caught:
        vigilo.update(Outgoing(before, _with(before, status="FINST_IKKJE"), "key-bad"))
    assert caught.value.code == "http_422"
    assert sandbox.world.vigilo[before.id]["status"] == "AKTIV"


BEFORE = SourceRecord("vl-1", "4", {"id": "vl-1", "steg": "1.1", "versjon": 4, "_person": {"id": "p"}})
CHANGE = Outgoing(BEFORE, {**BEFORE.tree, "steg": "1.2"}, "key-1")
STATUS = f"/{VIGILO_ORG_ID}/status/job-7"
ACCEPTED = answer(202, location=STATUS)
PAGE = sending(raw(200, b"<p>Vedlikehald</p>", "text/html"))


def test_a_change_is_followed_until_it_is_made(moment: Time) -> None:
    """While the system is at work its status is asked for again, with longer pauses."""
    stored = {**BEFORE.tree, "steg": "1.2", "versjon": 5}
    scripts = [TOKEN, ACCEPTED, *[answer(202)] * 3, answer(303, location=LISTING), answer(200, stored)]
    with Wire(scripts) as wire, _vigilo(wire.url, moment) as vigilo:
        accepted = vigilo.update(CHANGE)
    assert (accepted.record.version, accepted.reference) == ("5", "job-7")
    assert json.loads(wire.requests[1].partition(b"\r\n\r\n")[2]) == {"steg": "1.2"}
    assert wire.header("if-match")[1] == '"4"'
    assert len(moment.slept) == 3
    assert moment.slept == sorted(moment.slept)


def test_a_change_that_is_never_made_is_unknown(moment: Time) -> None:
    """Twenty polls, and then it is for a later look to find out."""
    with (
        Wire([TOKEN, ACCEPTED, answer(202)]) as wire,
        _vigilo(wire.url, moment) as vigilo,
        pytest.raises(OutcomeUnknown) as caught,
    ):
        vigilo.update(CHANGE)
    assert caught.value.code == "still_running"
    assert len(wire.requests) == 22


@pytest.mark.parametrize(
    ("scripts", "code"),
    [
        ([ACCEPTED, hang_up], "connection_lost"),
        ([ACCEPTED, answer(503, retry_after="60")], "http_503"),
        ([ACCEPTED, answer(404)], "not_found"),
        ([ACCEPTED, answer(303), hang_up], "connection_lost"),
        ([ACCEPTED, answer(303), PAGE], "not_json"),
        ([ACCEPTED, answer(303), answer(403)], "unauthorized"),
        ([answer(202, location="https://other.example/status/1")], "foreign_link"),
    ],
)
def test_a_change_that_was_received_and_then_lost_from_sight_is_unknown(
    moment: Time, scripts: list[Script], code: str
) -> None:
    """After 202 the change may be made whatever goes wrong in asking: it is looked up, and not sent blindly again."""
    with (
        Wire([TOKEN, *scripts]) as wire,
        _vigilo(wire.url, moment) as vigilo,
        pytest.raises(OutcomeUnknown) as caught,
    ):
        vigilo.update(CHANGE)
    assert caught.value.code == code
    assert sum(request.startswith(b"PATCH") for request in wire.requests) == 1


@pytest.mark.parametrize("reply", [PAGE, answer(200, {}), answer(202), answer(302, location="/login")])
def test_an_answer_without_a_status_address_is_no_answer(moment: Time, reply: Script) -> None:
    """Nothing is concluded from a page or a redirect where 202 was due."""
    with (
        Wire([TOKEN, reply]) as wire,
        _vigilo(wire.url, moment) as vigilo,
        pytest.raises(BadAnswer) as caught,
    ):
        vigilo.update(CHANGE)
    assert caught.value.code == "no_status"


@pytest.mark.parametrize(
    ("instead", "step"), [(b"", "4.1"), (raw(500), "4.2"), (raw(503), "4.3")], ids=["cut off", "500", "503"]
)
def test_a_change_whose_answer_was_lost_is_sent_once_and_looked_up(
    sandbox: Sandbox, moment: Time, instead: bytes, step: str
) -> None:
    """Vigilo takes a change in and its answer is lost, or tells of a fault: it is sent once, and a look finds it."""
    with _at(sandbox, moment) as direct:
        before = _some(direct)
    count, secret = len(sandbox.world.received), sandbox.credentials["vigilo"]["client_secret"]
    change = Outgoing(before, _with(before, steg=step), f"key-{step}")
    with (
        Wire([handing_on(sandbox.urls["vigilo"], losing=b"PATCH", instead=instead)]) as wire,
        _vigilo(wire.url, moment, wire.url + TOKEN_PATH, secret) as vigilo,
    ):
        with pytest.raises(OutcomeUnknown):
            vigilo.update(change)
        assert sum(request.startswith(b"PATCH") for request in wire.requests) == 1
        assert vigilo.fetch(before.id).tree["steg"] == step
    assert [entry.idempotency_key for entry in sandbox.world.received[count:]] == [f"key-{step}"]
    assert moment.slept == []
