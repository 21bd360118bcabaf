"""The Samspill connector against the simulated Samspill, and against answers that no Samspill should give."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from copy import deepcopy
from dataclasses import replace
from typing import Any, Literal

import httpx
import pytest

from hub.connectors.base import (
    Affiliation,
    BadAnswer,
    Misconfigured,
    NewPlan,
    OutcomeUnknown,
    Outgoing,
    PlanPerson,
    Refused,
    SourceRecord,
    Stale,
    Unavailable,
)
from hub.connectors.http import Limits
from hub.connectors.samspill import PlanSettings, Samspill, Settings
from hub.relaylog.codes import Language
from hub.sandbox.municipality import MUNICIPALITY_ORGNR, SAMSPILL_SCOPE, VISMA_TENANT_ID
from hub.sandbox.samspill import TOKEN_PATH
from hub.sandbox.server import Sandbox
from tests.connectors.conftest import Time
from tests.connectors.wire import Script, Wire, answer, handing_on, hang_up, raw, sending

TOKEN = answer(200, {"access_token": "t-1", "expires_in": 300})
PAGE = sending(raw(200, b"<p>Vedlikehold</p>", "text/html"))
Tree = dict[str, Any]


@contextmanager
def _samspill(
    url: str,
    moment: Time,
    secret: str = "",
    page_size: int = 100,
    orgnr: str = "",
    plan: PlanSettings | None = None,
) -> Iterator[Samspill]:
    settings = Settings(
        base_url=f"{url}/api",
        token_url=url + TOKEN_PATH,
        tenant_id=VISMA_TENANT_ID,
        organisation_number=orgnr or MUNICIPALITY_ORGNR,
        client_id="isv_stafetthub_fjordvik",
        client_secret=secret,
        scope=SAMSPILL_SCOPE,
        page_size=page_size,
        plan=plan,
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


@pytest.mark.parametrize(
    ("instead", "step"), [(b"", "4.1"), (raw(500), "4.2"), (raw(503), "4.3")], ids=["cut off", "500", "503"]
)
def test_a_change_whose_answer_was_lost_is_sent_once_and_looked_up(
    sandbox: Sandbox, moment: Time, instead: bytes, step: str
) -> None:
    """Samspill takes a change in and its answer is lost, or tells of a fault: it is sent once, and a look finds it."""
    with _at(sandbox, moment) as direct:
        before = _some(direct)
    count, secret = len(sandbox.world.received), sandbox.credentials["samspill"]["client_secret"]
    change = Outgoing(before, _with(before, step=step), f"key-{step}")
    with (
        Wire([handing_on(sandbox.urls["samspill"], losing=b"PUT", instead=instead)]) as wire,
        _samspill(wire.url, moment, secret) as samspill,
    ):
        with pytest.raises(OutcomeUnknown):
            samspill.update(change)
        assert sum(request.startswith(b"PUT") for request in wire.requests) == 1
        assert samspill.fetch(before.id).tree["step"] == step
    assert [entry.idempotency_key for entry in sandbox.world.received[count:]] == [f"key-{step}"]
    assert moment.slept == []


OWN = PlanSettings(type="INDIVIDUELL_PLAN", guardian_role="FORESATT", participant_role="DELTAKER")


def _making(
    sandbox: Sandbox, moment: Time, url: str = "", plan: PlanSettings = OWN
) -> AbstractContextManager[Samspill]:
    secret = sandbox.credentials["samspill"]["client_secret"]
    return _samspill(url or sandbox.urls["samspill"], moment, secret, plan=plan)


def _new(sandbox: Sandbox, at: int, *roles: Literal["guardian", "participant"]) -> NewPlan:
    """Give a plan for people of the sandbox, other ones for each `at`."""
    found = {each["nationalId"] for plan in sandbox.world.samspill.values() for each in plan["family"]}
    numbers = sorted(found)[at * 4 :]
    people = [PlanPerson(f"Testperson {number}", numbers[number]) for number in range(2 + len(roles))]
    ticked = [replace(each, role=role) for each, role in zip(people[2:], roles, strict=True)]
    return NewPlan(people[0], people[1], tuple(ticked))


def test_a_plan_is_made_from_the_published_form(sandbox: Sandbox, moment: Time) -> None:
    """The id of the plan comes back, it is found by the child's number, and nobody takes part who was not ticked."""
    new = _new(sandbox, 0)
    with _making(sandbox, moment) as samspill:
        assert samspill.plans_of(new.main.national_id) == ()
        samspill.check_plan(new)
        plan_id = samspill.create_plan(new)
        assert samspill.plans_of(new.main.national_id) == (plan_id,)
    assert sandbox.world.received[-1].body == {
        "planTypeId": "INDIVIDUELL_PLAN",
        "organisationNumber": MUNICIPALITY_ORGNR,
        "mainPerson": {"name": new.main.name, "nationalId": new.main.national_id},
        "planLead": {"name": new.lead.name, "nationalId": new.lead.national_id},
    }
    assert sandbox.world.samspill[plan_id]["participants"] == []
    assert sandbox.world.accounts[new.lead.national_id]["mayCreatePlans"] is True


def test_who_is_ticked_takes_part_in_the_configured_role(sandbox: Sandbox, moment: Time) -> None:
    """A guardian and a party each get the municipality's own code."""
    new = _new(sandbox, 1, "guardian", "participant")
    with _making(sandbox, moment) as samspill:
        samspill.check_plan(new)
        plan_id = samspill.create_plan(new)
    roles = [each["roleId"] for each in sandbox.world.samspill[plan_id]["participants"]]
    assert roles == ["FORESATT", "DELTAKER"]


@pytest.mark.parametrize("language", ["nb", "nn", "en"])
def test_affiliations_are_listed_in_the_language_asked_for(moment: Time, language: Language) -> None:
    """One GET with the published choice of language; ids and names come as the system orders them."""
    listed = answer(200, {"items": [{"id": "A-2", "name": "Prøvelia skule"}, {"id": "A-1", "name": "PPT"}]})
    with Wire([TOKEN, listed]) as wire, _samspill(wire.url, moment, plan=OWN) as samspill:
        found = samspill.affiliations(language)
        assert wire.requests[1].startswith(f"GET /api/affiliations?lang={language} ".encode())
    assert found == (Affiliation("A-2", "Prøvelia skule"), Affiliation("A-1", "PPT"))


@pytest.mark.parametrize("body", [{}, {"items": [{"id": "A-1"}]}, {"items": [{"id": "", "name": "PPT"}]}])
def test_a_list_of_affiliations_that_is_none_is_told(moment: Time, body: dict[str, object]) -> None:
    """Without items, an id or a name nobody can choose."""
    with (
        Wire([TOKEN, answer(200, body)]) as wire,
        _samspill(wire.url, moment, plan=OWN) as samspill,
        pytest.raises(BadAnswer) as caught,
    ):
        samspill.affiliations("nb")
    assert caught.value.code == "no_list"


def test_a_chosen_affiliation_stands_in_the_form(sandbox: Sandbox, moment: Time) -> None:
    """It is sent as `affiliationId`, and the plan belongs there; without a choice the form has no such field."""
    new = _new(sandbox, 5)
    with _making(sandbox, moment) as samspill:
        chosen = samspill.affiliations("nb")[-1]
        plan_id = samspill.create_plan(replace(new, affiliation=chosen.id))
    form = sandbox.world.received[-1].body
    assert form is not None
    assert form["affiliationId"] == chosen.id
    assert sandbox.world.samspill[plan_id]["affiliation"]["id"] == chosen.id


def test_plans_that_the_hub_makes_are_no_relay_logs(sandbox: Sandbox, moment: Time) -> None:
    """The listing leaves out individual plans where the hub may make them, and has them where it may not."""
    new = _new(sandbox, 2)
    with _making(sandbox, moment) as samspill:
        plan_id = samspill.create_plan(new)
        assert plan_id not in _all(samspill)
    with _at(sandbox, moment, page_size=7) as other:
        assert plan_id in _all(other)


@pytest.mark.parametrize(
    ("plan", "code"),
    [
        (OWN.model_copy(update={"type": "HABILITERING"}), "unknown_code"),
        (OWN.model_copy(update={"guardian_role": "VERGE"}), "unknown_code"),
        (OWN.model_copy(update={"guardian_role": ""}), "no_role"),
    ],
)
def test_a_code_that_the_system_lacks_is_told_before_anything_is_sent(
    sandbox: Sandbox, moment: Time, plan: PlanSettings, code: str
) -> None:
    """A wrong plan type or role is a mistake of the configuration."""
    with _making(sandbox, moment, plan=plan) as samspill, pytest.raises(Misconfigured) as caught:
        samspill.check_plan(_new(sandbox, 3, "guardian"))
    assert caught.value.code == code


def test_without_codes_no_plan_is_made(samspill: Samspill, sandbox: Sandbox) -> None:
    """A connection that says nothing of individual plans refuses to look for them or to make one."""
    assert not samspill.makes_plans
    for verb in (samspill.create_plan, samspill.check_plan):
        with pytest.raises(Misconfigured):
            verb(_new(sandbox, 3))


def test_a_form_that_the_system_finds_fault_with_is_refused(sandbox: Sandbox, moment: Time) -> None:
    """What it says about the form is final, and no plan is there."""
    new = replace(_new(sandbox, 3), lead=PlanPerson("Testperson", "1"))
    with _making(sandbox, moment) as samspill:
        with pytest.raises(Refused):
            samspill.create_plan(new)
        assert samspill.plans_of(new.main.national_id) == ()


ASKED = NewPlan(PlanPerson("Solskinn Testnytt", "10915596784"), PlanPerson("Kontakt Testleder", "10915596784"))


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (hang_up, OutcomeUnknown, "connection_lost"),
        (PAGE, OutcomeUnknown, "not_json"),
        (answer(200), OutcomeUnknown, "empty_answer"),
        (answer(200, {"planId": "P-1"}), OutcomeUnknown, "not_confirmed"),
        (answer(500), OutcomeUnknown, "http_500"),
        (answer(503, retry_after="1"), OutcomeUnknown, "http_503"),
        (answer(504), OutcomeUnknown, "http_504"),
        (answer(429, retry_after="1"), Unavailable, "http_429"),
        (answer(400), Refused, "http_400"),
    ],
)
def test_a_plan_is_sent_once_whatever_the_answer(moment: Time, reply: Script, kind: type[Exception], code: str) -> None:
    """One attempt, and whatever is no confirmation and no refusal may have made the plan."""
    with Wire([TOKEN, reply]) as wire, _samspill(wire.url, moment, plan=OWN) as samspill:
        with pytest.raises(kind) as caught:
            samspill.create_plan(ASKED)
        assert len(wire.requests) == 2
    assert getattr(caught.value, "code", "") == code
    assert moment.slept == []


def test_a_plan_whose_answer_was_lost_is_found(sandbox: Sandbox, moment: Time) -> None:
    """The system makes it, the answer is lost, and a look finds that one plan."""
    new = _new(sandbox, 4)
    with (
        Wire([handing_on(sandbox.urls["samspill"], losing=b"POST /api/plans")]) as wire,
        _making(sandbox, moment, wire.url) as samspill,
    ):
        with pytest.raises(OutcomeUnknown):
            samspill.create_plan(new)
        assert len(samspill.plans_of(new.main.national_id)) == 1


def test_a_confirmation_without_an_id_is_one(moment: Time) -> None:
    """Only the confirmation is published: an answer that gives no id is still a receipt."""
    made = answer(200, {"confirmation": "OK"})
    with Wire([TOKEN, made]) as wire, _samspill(wire.url, moment, plan=OWN) as samspill:
        assert samspill.create_plan(ASKED) == ""
