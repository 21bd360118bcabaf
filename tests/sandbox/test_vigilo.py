"""The simulated Vigilo over HTTP: published parts exactly, relay logs as assumed."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import httpx
import pytest

from hub.sandbox.case import Json
from hub.sandbox.municipality import SOLBAKKEN, VIGILO_ORG_ID
from hub.sandbox.server import Sandbox
from hub.sandbox.vigilo import SCOPE_PREFIX, TOKEN_PATH

CORE = f"/{VIGILO_ORG_ID}/api/core"
ROSTER = f"/{VIGILO_ORG_ID}/ims/oneroster/rostering/v1p2"


def _pages(client: httpx.Client, path: str, resource: str) -> Iterator[Json]:
    url: str | None = path
    while url:
        page = client.get(url).json()
        yield from page["_embedded"][resource]
        url = page["_links"].get("next", {}).get("href")


def _change(client: httpx.Client, log: Json, change: Json, **headers: str) -> httpx.Response:
    sent = {"If-Match": f'"{log["versjon"]}"', **headers}
    return client.patch(f"{CORE}/relay-logs/{log['id']}", json=change, headers=sent)


def _active(client: httpx.Client) -> Json:
    """Give an active log with a measure."""
    logs = _pages(client, f"{CORE}/relay-logs", "relay-logs")
    return next(log for log in logs if log["status"] == "AKTIV" and log["tiltak"] and "barn" in log)


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"scope": "core-api.persons.read"}, 400, "invalid_scope"),
    ],
)
def test_token_errors_are_keycloaks(still_sandbox: Sandbox, change: dict[str, str], status: int, error: str) -> None:
    """Wrong secret, wrong grant and a scope that is no URL are refused as OAuth 2 says."""
    form = {"grant_type": "client_credentials", **still_sandbox.credentials["vigilo"], **change}
    answer = httpx.post(still_sandbox.urls["vigilo"] + TOKEN_PATH, data=form)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_credentials_may_stand_in_the_basic_header(still_sandbox: Sandbox) -> None:
    """The client may name itself in the header instead of the form."""
    known = still_sandbox.credentials["vigilo"]
    answer = httpx.post(
        still_sandbox.urls["vigilo"] + TOKEN_PATH,
        data={"grant_type": "client_credentials"},
        auth=(known["client_id"], known["client_secret"]),
    )
    assert answer.json()["token_type"] == "Bearer"


def test_a_request_needs_a_living_token_with_the_scope(
    sandbox: Sandbox, vigilo: httpx.Client, instants: list[datetime]
) -> None:
    """No token and an old token give 401, a token without the scope 403, another organisation 404."""
    path = f"{CORE}/persons"
    assert httpx.get(sandbox.urls["vigilo"] + path).status_code == 401
    assert vigilo.get("/other.example/api/core/persons").status_code == 404
    form = {"grant_type": "client_credentials", **sandbox.credentials["vigilo"], "scope": f"{SCOPE_PREFIX}schools.read"}
    token = httpx.post(sandbox.urls["vigilo"] + TOKEN_PATH, data=form).json()["access_token"]
    assert vigilo.get(path, headers={"Authorization": f"Bearer {token}"}).status_code == 403
    instants.append(instants[-1] + timedelta(minutes=6))
    assert vigilo.get(path).status_code == 401


@pytest.mark.parametrize("resource", ["relay-logs", "persons", "students", "employees", "schools"])
def test_following_next_gives_every_record_once(
    still_sandbox: Sandbox, still_vigilo: httpx.Client, resource: str
) -> None:
    """Small pages together hold exactly what the world holds, and the page block counts right."""
    tables = {
        "relay-logs": still_sandbox.world.vigilo,
        "persons": still_sandbox.world.persons,
        "students": still_sandbox.world.students,
    }
    table = {**tables, "employees": still_sandbox.world.employees, "schools": still_sandbox.world.schools}[resource]
    found = [item["id"] for item in _pages(still_vigilo, f"{CORE}/{resource}?size=3", resource)]
    assert found == sorted(table)
    page = still_vigilo.get(f"{CORE}/{resource}?size=3").json()["page"]
    assert page == {"size": 3, "totalElements": len(table), "totalPages": -(-len(table) // 3), "number": 0}


def test_core_records_are_as_printed(still_vigilo: httpx.Client) -> None:
    """A student leads to its person, whose national id stands under the misspelled name; links lead on."""
    student = next(_pages(still_vigilo, f"{CORE}/students", "students"))
    assert student.keys() == {"id", "alias", "fromDate", "toDate", "modifiedTime", "contactInformation", "_links"}
    person = still_vigilo.get(student["_links"]["person"]["href"]).json()
    assert len(person["nationalIdresourceNumber"]) == 11
    assert person["contactInformation"].keys() == {"email", "phoneNumber"}
    related = still_vigilo.get(person["_links"]["students"]["href"]).json()["_embedded"]["students"]
    assert [item["id"] for item in related] == [student["id"]]
    school = still_vigilo.get(student["_links"]["school"]["href"]).json()
    assert len(school["organizationNumber"]) == 9


def test_an_employee_answers_at_the_printed_path_too(still_vigilo: httpx.Client) -> None:
    """The vendor's page prints `/employess/{id}`; both spellings answer."""
    employee = next(_pages(still_vigilo, f"{CORE}/employees", "employees"))
    assert (
        still_vigilo.get(f"{CORE}/employess/{employee['id']}").json()
        == still_vigilo.get(f"{CORE}/employees/{employee['id']}").json()
    )


def test_no_national_id_stands_in_a_url(still_sandbox: Sandbox, still_vigilo: httpx.Client) -> None:
    """Neither ids nor links of any resource hold a national id."""
    numbers = {person["nationalIdresourceNumber"] for person in still_sandbox.world.persons.values()}
    for resource in ("persons", "students", "relay-logs"):
        for item in _pages(still_vigilo, f"{CORE}/{resource}", resource):
            urls = f"{item['id']} {item['_links']}"
            assert not any(number in urls for number in numbers)


def test_roster_pages_with_limit_and_offset(still_sandbox: Sandbox, still_vigilo: httpx.Client) -> None:
    """Limit and offset cover every user once; the default limit is 100 and the total stands in the header."""
    total = len(still_sandbox.world.users)
    pages = [still_vigilo.get(f"{ROSTER}/users", params={"limit": 7, "offset": at}).json() for at in range(0, total, 7)]
    found = [user["sourcedId"] for page in pages for user in page["users"]]
    assert found == sorted(still_sandbox.world.users)
    answer = still_vigilo.get(f"{ROSTER}/users")
    assert (len(answer.json()["users"]), answer.headers["X-Total-Count"]) == (min(100, total), str(total))


def test_guardian_and_child_point_at_each_other(still_vigilo: httpx.Client) -> None:
    """A filtered guardian names its child as agent, in the profile and in the credentials; the child names it back."""
    found = still_vigilo.get(f"{ROSTER}/users", params={"filter": "roles.role='ext:primaryGuardian'"}).json()["users"]
    guardian = found[0]
    child = guardian["agents"][0]["sourcedId"]
    assert {user["roles"][0]["role"] for user in found} == {"ext:primaryGuardian"}
    assert guardian["roles"][0]["userProfile"] == f"userprofile://user/{child}"
    credential = guardian["userProfiles"][0]["credentials"][0]
    assert (credential["type"], credential["1edtech.role.agentId"]) == ("rolextension", child)
    assert credential["1edtech.role.userRoleForAgent"] in {"mother", "father"}
    student = still_vigilo.get(guardian["agents"][0]["href"]).json()["user"]
    assert guardian["sourcedId"] in {agent["sourcedId"] for agent in student["agents"]}


def test_roster_filters_join_with_and(still_vigilo: httpx.Client) -> None:
    """Unit and role can be asked for together; a filter that can't be read is refused and not ignored."""
    wanted = f"roles.org.sourcedId='{SOLBAKKEN.vigilo_id}' AND roles.role='student'"
    users = still_vigilo.get(f"{ROSTER}/users", params={"filter": wanted}).json()["users"]
    assert users
    assert {user["roles"][0]["org"]["sourcedId"] for user in users} == {SOLBAKKEN.vigilo_id}
    assert still_vigilo.get(f"{ROSTER}/users", params={"filter": "givenName~'x'"}).status_code == 400


def test_a_change_is_accepted_asked_for_and_done(sandbox: Sandbox, vigilo: httpx.Client) -> None:
    """A PATCH answers 202 with a status, the status answers 202 once and then 303, and the log has changed."""
    log = _active(vigilo)
    accepted = _change(vigilo, log, {"niva": 3})
    assert (accepted.status_code, accepted.headers["Location"].split("/")[1:3]) == (202, [VIGILO_ORG_ID, "status"])
    first, second = (vigilo.get(accepted.headers["Location"]) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 303)
    changed = vigilo.get(second.headers["Location"]).json()
    assert (changed["niva"], changed["versjon"]) == (3, log["versjon"] + 1)
    assert changed["modifiedTime"] == "2026-11-21T09:00:00Z"
    entry = vigilo.get("/_sandbox/received").json()["received"][-1]
    assert (entry["system"], entry["recordId"], entry["body"]) == ("vigilo", log["id"], {"niva": 3})
    assert sandbox.world.received[-1].idempotency_key is None


def test_new_elements_get_ids(vigilo: httpx.Client) -> None:
    """An element without id, or with null, gets one of its kind, also an evaluation inside its measure."""
    log = _active(vigilo)
    evaluation = {"dato": "20.11.2026", "effekt": "GOD", "tekst": "Fint.", "avgjerd": "ENDRE", "barnetsSyn": ""}
    measure = {**log["tiltak"][0], "id": None, "vurderingar": [evaluation]}
    _change(
        vigilo, log, {"tiltak": [*log["tiltak"], measure], "avtalar": [{"tekst": "Ny", "dato": None, "partar": []}]}
    )
    changed = vigilo.get(f"{CORE}/relay-logs/{log['id']}").json()
    assert changed["tiltak"][-1]["id"].startswith("vt-")
    assert changed["tiltak"][-1]["vurderingar"][0]["id"].startswith("vv-")
    assert changed["avtalar"][0]["id"].startswith("va-")


def test_another_version_is_refused(still_vigilo: httpx.Client) -> None:
    """A stale If-Match gives 412, none gives 428, and nothing is received."""
    log = _active(still_vigilo)
    assert _change(still_vigilo, {**log, "versjon": log["versjon"] - 1}, {"niva": 3}).status_code == 412
    assert still_vigilo.patch(f"{CORE}/relay-logs/{log['id']}", json={"niva": 3}).status_code == 428
    assert still_vigilo.get("/_sandbox/received").json() == {"received": []}


def test_the_same_key_changes_nothing_twice(vigilo: httpx.Client) -> None:
    """The same idempotency key gives the same status location, though the version is another by then."""
    log = _active(vigilo)
    headers = {"Idempotency-Key": "k-1"}
    first = _change(vigilo, log, {"niva": 3}, **headers)
    second = _change(vigilo, log, {"niva": 3}, **headers)
    assert first.headers["Location"] == second.headers["Location"]
    assert vigilo.get(f"{CORE}/relay-logs/{log['id']}").json()["versjon"] == log["versjon"] + 1
    assert [entry["idempotencyKey"] for entry in vigilo.get("/_sandbox/received").json()["received"]] == ["k-1"]


@pytest.mark.parametrize("change", [{"_links": {}}, {"id": "vl-9"}, {"ukjent": 1}, {"tiltak": {}}, {"tiltak": [1]}, []])
def test_a_change_of_what_cannot_change_is_refused_at_once(still_vigilo: httpx.Client, change: Json) -> None:
    """Underscored, read-only and unknown properties, and lists that are none, give 400."""
    assert _change(still_vigilo, _active(still_vigilo), change).status_code == 400


def test_a_change_with_bad_content_fails_when_asked_for(vigilo: httpx.Client) -> None:
    """An unknown code is accepted for processing and then fails, naming the place and not the value."""
    log = _active(vigilo)
    accepted = _change(vigilo, log, {"status": "FERDIG"})
    vigilo.get(accepted.headers["Location"])
    failed = vigilo.get(accepted.headers["Location"])
    assert (failed.status_code, failed.json()) == (422, {"message": "status: unknown code"})
    assert vigilo.get(f"{CORE}/relay-logs/{log['id']}").json()["versjon"] == log["versjon"]


def test_contact_information_of_a_student_is_the_persons(vigilo: httpx.Client) -> None:
    """Changing a student's e-mail changes the person's, answered asynchronously; a name can't be changed."""
    student = next(_pages(vigilo, f"{CORE}/students", "students"))
    path = f"{CORE}/students/{student['id']}"
    accepted = vigilo.patch(path, json={"contactInformation": {"email": "ny@familie.example"}})
    assert (accepted.status_code, vigilo.get(accepted.headers["Location"]).status_code) == (202, 202)
    person = vigilo.get(student["_links"]["person"]["href"]).json()
    assert person["contactInformation"]["email"] == "ny@familie.example"
    assert vigilo.patch(path, json={"fromDate": "2020-01-01"}).status_code == 400


@pytest.mark.parametrize(
    ("fault", "status", "media_type"),
    [
        ({"kind": "html"}, 200, "text/html; charset=utf-8"),
        ({"kind": "empty"}, 200, "application/hal+json"),
        ({"kind": "truncated"}, 200, "application/hal+json"),
        ({"kind": "status", "status": 429, "retry_after": 7}, 429, "text/plain; charset=utf-8"),
    ],
)
def test_a_fault_strikes_its_page_and_its_times(
    vigilo: httpx.Client, fault: Json, status: int, media_type: str
) -> None:
    """A fault spoils the page it names as often as it says, and the list is whole again afterwards."""
    first, second = f"{CORE}/relay-logs?size=5", f"{CORE}/relay-logs?size=5&page=1"
    whole = vigilo.get(second).content
    assert vigilo.post("/_sandbox/fault", json={**fault, "page": 1, "times": 2}).status_code == 204
    assert vigilo.get(first).json()["page"]["number"] == 0
    spoiled = vigilo.get(second)
    assert (spoiled.status_code, spoiled.headers["Content-Type"]) == (status, media_type)
    assert spoiled.headers.get("Retry-After") == (str(fault["retry_after"]) if "retry_after" in fault else None)
    assert vigilo.get(second).content == spoiled.content != whole
    assert vigilo.get(second).content == whole


def test_an_unknown_fault_is_refused(still_vigilo: httpx.Client) -> None:
    """A misspelled fault is no fault: the switch says so."""
    assert still_vigilo.post("/_sandbox/fault", json={"kind": "smoke"}).status_code == 422


def test_an_empty_list_looks_whole(vigilo: httpx.Client) -> None:
    """The fault "empty" is a well-formed list that claims to hold nothing and has no next page."""
    vigilo.post("/_sandbox/fault", json={"kind": "empty"})
    page = vigilo.get(f"{CORE}/relay-logs").json()
    assert (page["_embedded"]["relay-logs"], page["page"]["totalElements"], page["_links"].keys()) == ([], 0, {"self"})
