"""The simulated Samspill over HTTP: token, code lists and "create plan" as published, plans as assumed."""

import httpx
import pytest

from hub.sandbox.case import Json
from hub.sandbox.municipality import MUNICIPALITY_ORGNR
from hub.sandbox.samspill import TOKEN_PATH
from hub.sandbox.server import Sandbox


def _plan(sandbox: Sandbox, samspill: httpx.Client) -> Json:
    plan_id = sandbox.world.told("shared_level_2")[0].samspill[0]
    plan: Json = samspill.get(f"/api/plans/{plan_id}").json()
    return plan


def _put(client: httpx.Client, plan: Json, **headers: str) -> httpx.Response:
    return client.put(
        f"/api/plans/{plan['planId']}", json=plan, headers={"If-Match": f'"{plan["version"]}"', **headers}
    )


@pytest.fixture
def form(still_sandbox: Sandbox) -> Json:
    """A complete form for "create plan", about synthetic people."""
    numbers = [guardian["nationalId"] for plan in still_sandbox.world.samspill.values() for guardian in plan["family"]]
    return {
        "planTypeId": "STAFETTLOGG",
        "organisationNumber": MUNICIPALITY_ORGNR,
        "mainPerson": {"name": "Solskinn Testnytt", "nationalId": numbers[0]},
        "planLead": {"name": "Kontakt Testleder", "nationalId": numbers[1]},
        "participants": [{"name": "Medhjelper Testperson", "nationalId": numbers[2], "roleId": "DELTAKER"}],
        "affiliationId": "A-11",
    }


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"tenant_id": "00000000-0000-4000-8000-000000000000"}, 401, "invalid_client"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"grant_type": "authorization_code"}, 400, "unsupported_grant_type"),
        ({"scope": "vfsapi:lmsexport"}, 400, "invalid_scope"),
    ],
)
def test_token_errors(still_sandbox: Sandbox, change: dict[str, str], status: int, error: str) -> None:
    """Wrong tenant and wrong secret give 401, wrong grant and another product's scope 400."""
    fields = {"grant_type": "client_credentials", **still_sandbox.credentials["samspill"], **change}
    answer = httpx.post(still_sandbox.urls["samspill"] + TOKEN_PATH, data=fields)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_the_token_wants_a_form(still_sandbox: Sandbox) -> None:
    """Credentials as JSON are no form and are refused."""
    fields = {"grant_type": "client_credentials", **still_sandbox.credentials["samspill"]}
    assert httpx.post(still_sandbox.urls["samspill"] + TOKEN_PATH, json=fields).status_code == 400


@pytest.mark.parametrize("path", ["/api/plans", "/api/plans/P-10001", "/api/plan-types", "/api/roles"])
def test_nothing_answers_without_a_token(still_sandbox: Sandbox, path: str) -> None:
    """Every path gives 401 without a token."""
    assert httpx.get(still_sandbox.urls["samspill"] + path).status_code == 401


def test_code_lists_come_in_three_languages(still_samspill: httpx.Client) -> None:
    """Roles are named in English, bokmål and nynorsk; a fourth language is refused."""
    names = [
        still_samspill.get("/api/roles", params={"lang": lang}).json()["items"][0]["name"]
        for lang in ("EN", "nb", "nn")
    ]
    assert names == ["Participant", "Deltaker", "Deltakar"]
    assert "STAFETTLOGG" in {item["id"] for item in still_samspill.get("/api/plan-types").json()["items"]}
    assert "A-31" in {item["id"] for item in still_samspill.get("/api/affiliations?lang=nn").json()["items"]}
    assert still_samspill.get("/api/roles?lang=se").status_code == 400


def test_paging_gives_every_plan_once(still_sandbox: Sandbox, still_samspill: httpx.Client) -> None:
    """Offset and limit cover every plan once, in the order of ids; another organisation has none."""
    total = still_samspill.get("/api/plans?limit=1").json()["totalCount"]
    found = []
    for offset in range(0, total, 4):
        params: dict[str, str | int] = {"organisationNumber": MUNICIPALITY_ORGNR, "offset": offset, "limit": 4}
        found += [plan["planId"] for plan in still_samspill.get("/api/plans", params=params).json()["items"]]
    assert found == sorted(still_sandbox.world.samspill)
    assert still_samspill.get("/api/plans?organisationNumber=900001010").json() == {"totalCount": 0, "items": []}


def test_a_created_plan_leaves_accounts_and_a_right(sandbox: Sandbox, samspill: httpx.Client, form: Json) -> None:
    """Creating confirms, makes accounts for everybody named, and gives the lead a right that a later plan keeps."""
    answer = samspill.post("/api/plans", json=form)
    assert (answer.status_code, answer.json()["confirmation"]) == (201, "OK")
    plan = samspill.get(answer.headers["Location"]).json()
    assert (plan["mainPerson"]["name"], plan["state"]) == ("Solskinn Testnytt", "venter_samtykke")
    assert plan.keys() == _plan(sandbox, samspill).keys()
    swapped = {**form, "mainPerson": form["planLead"], "planLead": form["mainPerson"]}
    assert samspill.post("/api/plans", json=swapped).json()["planId"] != answer.json()["planId"]
    rights = [sandbox.world.accounts[form[role]["nationalId"]]["mayCreatePlans"] for role in ("mainPerson", "planLead")]
    assert rights == [True, True]
    assert sandbox.world.accounts[form["participants"][0]["nationalId"]]["mayCreatePlans"] is False


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"mainPerson": None}, "mainPerson"),
        ({"planLead": None}, "planLead"),
        ({"planTypeId": None}, "planTypeId"),
        ({"mainPerson": {"name": "Solskinn Testnytt", "nationalId": "1"}}, "mainPerson.nationalId"),
        ({"mainPerson": {"name": "Solskinn Testnytt", "nationalId": "02013299997"}}, "mainPerson.nationalId"),
        ({"organisationNumber": "900001010"}, "organisationNumber"),
        ({"affiliationId": "A-99"}, "affiliationId"),
        ({"participants": [{"name": "Medhjelper Testperson"}]}, "participants[0].nationalId"),
    ],
)
def test_an_incomplete_form_is_refused(still_samspill: httpx.Client, form: Json, change: Json, field: str) -> None:
    """What is missing, unknown or no synthetic person is named by field, never by value, and creates nothing."""
    answer = still_samspill.post("/api/plans", json={**form, **change})
    assert answer.status_code == 400
    assert field in {error["field"] for error in answer.json()["errors"]}
    assert still_samspill.get("/_sandbox/received").json() == {"received": []}


def test_an_update_answers_with_the_whole_stored_plan(sandbox: Sandbox, samspill: httpx.Client) -> None:
    """New elements get ids, the version rises, and what is stored is what was answered."""
    plan = _plan(sandbox, samspill)
    mark = {"service": "barnehage", "on": "2026-11-21"}
    activity = {**plan["activities"][0], "activityId": None, "writtenBy": mark, "evaluations": [{"text": "Ny"}]}
    answer = _put(samspill, {**plan, "activities": [*plan["activities"], activity]})
    stored = answer.json()
    assert (answer.status_code, stored["version"]) == (200, plan["version"] + 1)
    assert stored["activities"][-1]["activityId"].startswith("T")
    assert stored["activities"][-1]["evaluations"][0]["evaluationId"].startswith("E")
    assert samspill.get(f"/api/plans/{plan['planId']}").json() == stored
    entry = samspill.get("/_sandbox/received").json()["received"][0]
    assert (entry["recordId"], entry["body"]["activities"][-1]["activityId"]) == (plan["planId"], None)


def test_another_version_is_refused(still_sandbox: Sandbox, still_samspill: httpx.Client) -> None:
    """A stale version gives 412 and none gives 428."""
    plan = _plan(still_sandbox, still_samspill)
    assert _put(still_samspill, {**plan, "version": plan["version"] + 1}).status_code == 412
    assert still_samspill.put(f"/api/plans/{plan['planId']}", json=plan).status_code == 428


def test_the_same_key_answers_the_same_and_changes_nothing(sandbox: Sandbox, samspill: httpx.Client) -> None:
    """A repeated PUT with its key gets the first answer, and one write was received."""
    plan = _plan(sandbox, samspill)
    first = _put(samspill, {**plan, "step": "2.2"}, **{"Idempotency-Key": "k-7"})
    second = _put(samspill, {**plan, "step": "2.2"}, **{"Idempotency-Key": "k-7"})
    assert (first.status_code, second.json()) == (200, first.json())
    assert len(samspill.get("/_sandbox/received").json()["received"]) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"state": "ferdig"}, "state"),
        ({"createdOn": "2026-02-30"}, "createdOn"),
        ({"planId": "P-1"}, "planId"),
        ({"planLead": {}}, "planLead.name"),
        ({"mainPerson": {"name": "Solskinn Testnytt"}}, "mainPerson.nationalId"),
        ({"goals": {}}, "goals"),
        ({"extra": 1}, ""),
    ],
)
def test_a_bad_plan_is_refused_by_field(
    still_sandbox: Sandbox, still_samspill: httpx.Client, change: Json, field: str
) -> None:
    """Unknown codes, impossible dates, another person or another shape give 400 and name the field."""
    plan = _plan(still_sandbox, still_samspill)
    sent = {**plan, **change}
    answer = still_samspill.put(f"/api/plans/{plan['planId']}", json=sent, headers={"If-Match": f'"{plan["version"]}"'})
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_a_plan_must_be_whole(still_sandbox: Sandbox, still_samspill: httpx.Client) -> None:
    """A PUT without one of the fields is refused and names what is missing."""
    plan = _plan(still_sandbox, still_samspill)
    del plan["notes"]
    assert _put(still_samspill, plan).json() == {"errors": [{"field": "notes", "message": "is missing"}]}


def test_a_fault_counts_pages_by_offset(samspill: httpx.Client) -> None:
    """A fault on page 2 strikes the third page of that size; a truncated body is no JSON."""
    samspill.post("/_sandbox/fault", json={"kind": "truncated", "page": 2})
    assert samspill.get("/api/plans?limit=3&offset=3").json()["items"]
    with pytest.raises(ValueError, match=r".+"):
        samspill.get("/api/plans?limit=3&offset=6").json()
    assert samspill.get("/api/plans?limit=3&offset=6").json()["items"]


def test_the_form_sent_twice_makes_two_plans(sandbox: Sandbox, samspill: httpx.Client, form: Json) -> None:
    """Nothing published makes creating safe to repeat: the same form, with a key too, is a second plan."""
    individual = {name: value for name, value in form.items() if name != "participants"}
    individual["planTypeId"] = "INDIVIDUELL_PLAN"
    made = [
        samspill.post("/api/plans", json=individual, headers={"Idempotency-Key": "k-1"}).json()["planId"]
        for _ in range(2)
    ]
    assert len(set(made)) == 2
    assert all(sandbox.world.samspill[plan_id]["mainPerson"]["name"] == "Solskinn Testnytt" for plan_id in made)
    assert {sandbox.world.samspill[plan_id]["planTypeId"] for plan_id in made} == {"INDIVIDUELL_PLAN"}


def test_who_is_not_in_the_form_gets_no_account(sandbox: Sandbox, samspill: httpx.Client, form: Json) -> None:
    """Without participants, child and leader alone are known afterwards, and an account that was there is updated."""
    alone = {name: value for name, value in form.items() if name != "participants"}
    before = set(sandbox.world.accounts)
    assert samspill.post("/api/plans", json=alone).status_code == 201
    assert set(sandbox.world.accounts) - before == {form[role]["nationalId"] for role in ("mainPerson", "planLead")}
    renamed = {**alone, "mainPerson": {**form["mainPerson"], "name": "Solskinn Nyttnavn"}}
    samspill.post("/api/plans", json=renamed)
    account = sandbox.world.accounts[form["mainPerson"]["nationalId"]]
    assert account == {"mayCreatePlans": False, "name": "Solskinn Nyttnavn"}


def test_a_new_plan_takes_no_others_id(sandbox: Sandbox, samspill: httpx.Client, form: Json) -> None:
    """As many new plans as there were are beside those, and every old one is as it was."""
    before = dict(sandbox.world.samspill)
    sandbox.world.counter = 10_000
    made = {samspill.post("/api/plans", json=form).json()["planId"] for _ in range(3)}
    assert len(sandbox.world.samspill) == len(before) + 3
    assert made.isdisjoint(before)
    assert {plan_id: sandbox.world.samspill[plan_id] for plan_id in before} == before
