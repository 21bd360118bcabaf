"""The Samspill connector against the simulated Samspill, and against answers that no Samspill should give."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import httpx
import pytest

from hub.connectors.base import (
    BadAnswer,
    Misconfigured,
    OutcomeUnknown,
    Outgoing,
    Refused,
    SourceRecord,
    Stale,
    Unavailable,
)
from hub.connectors.http import Limits
from hub.connectors.samspill import Samspill, Settings
from hub.sandbox.municipality import MUNICIPALITY_ORGNR, SAMSPILL_SCOPE, VISMA_TENANT_ID
from hub.sandbox.samspill import TOKEN_PATH
from hub.sandbox.server import Sandbox
from tests.connectors.conftest import Time
from tests.connectors.wire import Script, Wire, answer, handing_on, hang_up, raw, sending

TOKEN = answer(200, {"access_token": "t-1", "expires_in": 300})
PAGE = sending(raw(200, b"<p>Vedlikehold</p>", "text/html"))
Tree = dict[str, Any]


@contextmanager
def _samspill(url: str, moment: Time, secret: str = "", page_size: int = 100, orgnr: str = "") -> Iterator[Samspill]:
    settings = Settings(
        base_url=f"{url}/api",
        token_url=url + TOKEN_PATH,
        tenant_id=VISMA_TENANT_ID,
        organisation_number=orgnr or MUNICIPALITY_ORGNR,
        client_id="isv_stafetthub_fjordvik",
        client_secret=secret,
        scope=SAMSPILL_SCOPE,
        page_size=page_size,
    )
    samspill = Samspill(settings, Limits(connect=2, read=5, total=5), moment.clock(), {})
    try:
        yield samspill
    finally:
        samspill._http.close()


@contextmanager
def _at(sandbox: Sandbox, moment: Time, page_size: int = 100) -> Iterator[Samspill]:
    secret = sandbox.credentials["samspill"]["client_secret"]
    with _samspill(sandbox.urls["samspill"], moment, secret, page_size) as samspill:
        yield samspill


@pytest.fixture
def samspill(sandbox: Sandbox, moment: Time) -> Iterator[Samspill]:
    with _at(sandbox, moment) as samspill:
        yield samspill


def _all(connector: Samspill) -> dict[str, SourceRecord]:
    return {record.id: record for page in connector.pages() for record in page.records}


def _some(connector: Samspill) -> SourceRecord:
    """Give an active plan with an activity."""
    return next(r for r in _all(connector).values() if r.tree["state"] == "aktiv" and r.tree["activities"])


def _with(record: SourceRecord, **changes: object) -> Tree:
    return {**deepcopy(record.tree), **changes}


def test_check_reaches_the_system(samspill: Samspill) -> None:
    """With the right secret the check passes and returns nothing."""
    samspill.check()


def test_a_wrong_secret_is_told_at_the_check(sandbox: Sandbox, moment: Time) -> None:
    """The check fails as a mistake of the configuration, and says what to look at."""
    with (
        _samspill(sandbox.urls["samspill"], moment, "helt-feil") as samspill,
        pytest.raises(Misconfigured, match="client_secret"),
    ):
        samspill.check()


@pytest.mark.parametrize("page_size", [4, 7, 100])
def test_every_plan_comes_once_and_whole_whatever_the_page(sandbox: Sandbox, moment: Time, page_size: int) -> None:
    """All pages are read, and each plan is as the system holds it."""
    with _at(sandbox, moment, page_size) as samspill:
        pages = [page.records for page in samspill.pages()]
    assert {len(page) for page in pages[:-1]} <= {page_size}
    assert {record.id: record.tree for page in pages for record in page} == sandbox.world.samspill
    assert all(record.version == str(record.tree["version"]) for page in pages for record in page)
    assert sum(map(len, pages)) == len(sandbox.world.samspill)


def test_only_the_municipalitys_own_plans_are_asked_for(sandbox: Sandbox, moment: Time) -> None:
    """Another organisation number, made up, has no plans: that is an empty listing and no error."""
    secret = sandbox.credentials["samspill"]["client_secret"]
    with _samspill(sandbox.urls["samspill"], moment, secret, orgnr="100000008") as samspill:
        assert [page.records for page in samspill.pages()] == [()]


def test_one_plan_is_the_same_alone_as_in_the_listing(samspill: Samspill) -> None:
    """Reading one plan gives what the listing gives, and one that is not there is refused."""
    listed = _some(samspill)
    assert samspill.fetch(listed.id) == listed
    with pytest.raises(Refused) as caught:
        samspill.fetch("P-1")
    assert caught.value.code == "no_record"


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"kind": "html"}, "not_json"),
        ({"kind": "truncated"}, "broken_json"),
        ({"kind": "empty"}, "missing_pages"),
    ],
)
def test_a_fault_on_a_later_page(sandbox: Sandbox, moment: Time, fault: Tree, code: str) -> None:
    """The page before it stands, and the listing ends with an error instead of looking whole."""
    httpx.post(f"{sandbox.urls['samspill']}/_sandbox/fault", json={"page": 1, **fault}).raise_for_status()
    with _at(sandbox, moment, page_size=5) as samspill:
        pages = samspill.pages()
        assert len(next(pages).records) == 5
        with pytest.raises(BadAnswer) as caught:
            list(pages)
    assert caught.value.code == code


def test_a_system_that_stays_down_is_unavailable(sandbox: Sandbox, moment: Time) -> None:
    """Three attempts, and then the listing ends."""
    fault = {"kind": "status", "status": 500, "times": 3}
    httpx.post(f"{sandbox.urls['samspill']}/_sandbox/fault", json=fault).raise_for_status()
    with _at(sandbox, moment) as samspill, pytest.raises(Unavailable):
        _all(samspill)


def _page(ids: list[str], total: int) -> Tree:
    return {"items": [{"planId": id_, "version": 1} for id_ in ids], "totalCount": total}


@pytest.mark.parametrize(
    ("pages", "code"),
    [
        ([_page(["a", "b"], 4), _page(["a", "b"], 4)], "repeated_page"),
        ([_page(["a", "b"], 4), _page(["b", "c"], 4)], "repeated_page"),
        ([_page(["a", "b"], 4), _page([], 4)], "missing_pages"),
        ([_page(["a", "b"], 4), _page([], 0)], "missing_pages"),
        ([_page([], 3)], "missing_pages"),
        ([{}], "no_list"),
        ([{"items": [], "totalCount": "many"}], "no_list"),
        ([{"items": {}, "totalCount": 0}], "no_list"),
        ([{"items": [None, 3, "x"], "totalCount": 3}], "no_list"),
    ],
)
def test_a_listing_that_cannot_be_believed(moment: Time, pages: list[Tree], code: str) -> None:
    """Repeated, missing or misshapen pages are no answer, and the reading ends."""
    scripts = [TOKEN, *(answer(200, page) for page in pages)]
    with Wire(scripts) as wire, _samspill(wire.url, moment) as samspill, pytest.raises(BadAnswer) as caught:
        _all(samspill)
    assert caught.value.code == code


def test_the_whole_plan_is_sent_and_comes_back_as_stored(sandbox: Sandbox, samspill: Samspill) -> None:
    """One PUT with all that the plan holds; afterwards it stands with its new version and new keys."""
    before = _some(samspill)
    activities = [*deepcopy(before.tree["activities"]), {**deepcopy(before.tree["activities"][0]), "activityId": None}]
    after = _with(before, activities=activities)
    accepted = samspill.update(Outgoing(before, after, "key-new"))
    received = sandbox.world.received[-1]
    assert (received.record_id, received.idempotency_key, received.body) == (before.id, "key-new", after)
    assert accepted.record == samspill.fetch(before.id)
    assert accepted.record.tree["activities"][-1]["activityId"]
    assert accepted.reference == f"{before.id}@{int(before.version) + 1}"


def test_the_same_key_twice_changes_nothing_twice(sandbox: Sandbox, samspill: Samspill) -> None:
    """A second attempt with the same key is answered like the first, and the plan is changed once."""
    before = _some(samspill)
    outgoing = Outgoing(before, _with(before, step="3.1"), "key-twice")
    first = samspill.update(outgoing)
    count = len(sandbox.world.received)
    assert samspill.update(outgoing) == first
    assert len(sandbox.world.received) == count


def test_a_change_on_an_old_version_is_stale(samspill: Samspill) -> None:
    """A plan that somebody changed meanwhile is not overwritten."""
    before = _some(samspill)
    samspill.update(Outgoing(before, _with(before, step="2.7"), "key-first"))
    with pytest.raises(Stale):
        samspill.update(Outgoing(before, _with(before, step="2.8"), "key-late"))
    assert samspill.fetch(before.id).tree["step"] == "2.7"


def test_a_plan_that_the_system_finds_fault_with_is_refused(samspill: Samspill) -> None:
    """An unknown code is refused for good, and the plan stays as it was."""
    before = _some(samspill)
    with pytest.raises(Refused) as caught:
        samspill.update(Outgoing(before, _with(before, state="finnes_ikke"), "key-bad"))
    assert caught.value.code == "http_400"
    assert samspill.fetch(before.id) == before


BEFORE = SourceRecord("P-1", "4", {"planId": "P-1", "step": "1.1", "version": 4})
CHANGE = Outgoing(BEFORE, {**BEFORE.tree, "step": "1.2"}, "key-1")


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (PAGE, BadAnswer, "not_json"),
        (answer(200), BadAnswer, "empty_answer"),
        (answer(200, {"ok": True}), BadAnswer, "no_plan"),
        (answer(200, {"planId": "P-2", "version": 5}), BadAnswer, "no_plan"),
        (answer(302, location="/login"), BadAnswer, "empty_answer"),
        (hang_up, OutcomeUnknown, "connection_lost"),
        (answer(409), Stale, "stale"),
        (answer(503, retry_after="60"), Unavailable, "http_503"),
    ],
)
def test_no_answer_to_a_change_passes_for_a_receipt(
    moment: Time, reply: Script, kind: type[Exception], code: str
) -> None:
    """Only the plan itself is a receipt; everything else is the error that says what to do."""
    with Wire([TOKEN, reply]) as wire, _samspill(wire.url, moment) as samspill, pytest.raises(kind) as caught:
        samspill.update(CHANGE)
    assert getattr(caught.value, "code", "") == code
    assert set(wire.header("if-match")[1:]) == {'"4"'}


def test_a_change_whose_answer_was_lost_on_the_way_is_made_once(sandbox: Sandbox, moment: Time) -> None:
    """Samspill takes the change in, the answer is lost, and the second attempt with the same key finds it made."""
    with _at(sandbox, moment) as direct:
        before = _some(direct)
    count, secret = len(sandbox.world.received), sandbox.credentials["samspill"]["client_secret"]
    with (
        Wire([handing_on(sandbox.urls["samspill"], losing=b"PUT")]) as wire,
        _samspill(wire.url, moment, secret) as samspill,
    ):
        accepted = samspill.update(Outgoing(before, _with(before, step="2.9"), "key-lost"))
    assert accepted.record.tree["step"] == "2.9"
    assert [entry.idempotency_key for entry in sandbox.world.received[count:]] == ["key-lost"]
