"""A simulated Vigilo (OnEdHub): token, Core API and OneRoster as published, relay logs as assumed.

Published oddities are kept: the property `nationalIdresourceNumber`, the path `/employess/{id}`, and changes that are
answered with 202, a status to ask for, and 303 when done. Relay logs are an assumed resource in the same manner.
Sources: Vigilo-AS/onedhub-docs (core, oneroster, scopes) and `reference/vendors.md` section 2.
"""

import re
from base64 import b64decode
from binascii import Error as NoBase64
from collections.abc import Sequence
from copy import deepcopy
from datetime import timedelta
from typing import Annotated, Literal

from fastapi import FastAPI, Query, Request, Response

from hub.sandbox.case import Json
from hub.sandbox.door import Backstage, Body, Clock, Door, Refused, Tokens, encoded, open_app, read_form, read_object
from hub.sandbox.edits import VIGILO_WORDS
from hub.sandbox.faults import Faults, Page
from hub.sandbox.municipality import VIGILO_ORG_ID, made_up_uuid
from hub.sandbox.vigilo_shape import CHECKS, ID_PREFIXES, instant, new_id
from hub.sandbox.world import World

TOKEN_PATH = "/realms/onedhub/protocol/openid-connect/token"
SCOPE_PREFIX = "https://docs.onedhub.io/scopes/core-api."
ROSTER_SCOPES = tuple(
    f"https://purl.imsglobal.org/spec/or/v1p2/scope/{name}" for name in ("roster.readonly", "roster-core.readonly")
)
SCOPES = frozenset(
    (
        *(
            f"{SCOPE_PREFIX}{name}.{right}"
            for name in ("employees", "persons", "students")
            for right in ("read", "write")
        ),
        f"{SCOPE_PREFIX}schools.read",
        f"{SCOPE_PREFIX}relay-logs.read",  # assumed, like the resource
        f"{SCOPE_PREFIX}relay-logs.write",
        *ROSTER_SCOPES,
    )
)

_HAL = "application/hal+json"
_CORE = "/{org}/api/core"
_ROSTER = "/{org}/ims/oneroster/rostering/v1p2"
_READ_ONLY = frozenset({"id", "versjon", "modifiedTime"})
_WRITABLE = {
    "persons": frozenset({"contactInformation"}),
    "students": frozenset({"alias", "contactInformation"}),
    "employees": frozenset({"alias", "contactInformation"}),
}
_RELATIONS = {
    ("persons", "students"): ("students", "personId"),
    ("persons", "employments"): ("employees", "personId"),
    ("schools", "students"): ("students", "schoolId"),
    ("schools", "employees"): ("employees", "schoolId"),
}
_LINKS = {
    "persons": ("employments", "students"),
    "schools": ("students", "employees"),
    "students": ("person", "school"),
    "employees": ("person", "school"),
}
_CLAUSE = re.compile(r"(roles\.role|roles\.org\.sourcedId|dateLastModified)(=|>)'([^']*)'")

RosterFilter = Annotated[str, Query(alias="filter")]
CoreName = Literal["persons", "students", "employees", "schools"]


def vigilo_app(world: World, clock: Clock, door: Door) -> FastAPI:
    """Make the app. It answers for one organisation, `VIGILO_ORG_ID`, and keeps its state in the world."""
    vigilo = _Vigilo(world, clock, door)
    app = open_app("Sandbox: Vigilo", vigilo.backstage)
    for path, endpoint, method in (
        (TOKEN_PATH, vigilo.token, "POST"),
        (f"{_CORE}/relay-logs", vigilo.relay_logs, "GET"),
        (f"{_CORE}/relay-logs/{{record_id}}", vigilo.relay_log, "GET"),
        (f"{_CORE}/relay-logs/{{record_id}}", vigilo.change_log, "PATCH"),
        (f"{_CORE}/employess/{{record_id}}", vigilo.employee_as_printed, "GET"),
        (f"{_CORE}/{{resource}}", vigilo.core_list, "GET"),
        (f"{_CORE}/{{resource}}/{{record_id}}", vigilo.core_one, "GET"),
        (f"{_CORE}/{{resource}}/{{record_id}}", vigilo.change_core, "PATCH"),
        (f"{_CORE}/{{resource}}/{{record_id}}/{{relation}}", vigilo.core_related, "GET"),
        ("/{org}/status/{job_id}", vigilo.status, "GET"),
        (f"{_ROSTER}/users", vigilo.users, "GET"),
        (f"{_ROSTER}/users/{{user_id}}", vigilo.user, "GET"),
    ):
        app.add_api_route(path, endpoint, methods=[method], response_model=None)
    return app


class _Vigilo:
    """The endpoints, with what they share."""

    def __init__(self, world: World, clock: Clock, door: Door) -> None:
        self.world = world
        self.clock = clock
        self.door = door
        self.tokens = Tokens(clock, timedelta(minutes=5))
        self.faults = Faults()
        self.backstage = Backstage("vigilo", world.vigilo, VIGILO_WORDS, world, clock, door, self.faults)

    def token(self, request: Request, body: Body) -> Json:
        """Give a token for client credentials, as Keycloak does; the secret in the body or as HTTP Basic."""
        form = read_form(request, body)
        client = _basic(request) or (form.get("client_id", ""), form.get("client_secret", ""))
        if form.get("grant_type") != "client_credentials":
            raise Refused(400, {"error": "unsupported_grant_type", "error_description": "Unsupported grant_type"})
        if not self.door.opened_by(*client):
            description = "Invalid client or Invalid client credentials"
            raise Refused(401, {"error": "invalid_client", "error_description": description})
        scopes = frozenset(form.get("scope", "").split())
        if not scopes <= SCOPES:
            raise Refused(400, {"error": "invalid_scope", "error_description": "Invalid scopes"})
        return self.tokens.issue(scopes)

    def relay_logs(self, org: str, request: Request, page: int = 0, size: int = 20) -> Response:
        """List relay logs, in the order of their ids; a fault switched on strikes here."""
        self._admit(org, request, "relay-logs.read")
        with self.world.lock:
            logs = [self._log(record_id, request) for record_id in sorted(self.world.vigilo)]
            body = encoded(self._collection("relay-logs", logs, request, page, size))
        empty = encoded(self._collection("relay-logs", [], request, page, size))
        return self.faults.answer(page, Page(body, empty, _HAL))

    def relay_log(self, org: str, record_id: str, request: Request) -> Response:
        """Give one relay log, its version as ETag."""
        self._admit(org, request, "relay-logs.read")
        with self.world.lock:
            self._find(self.world.vigilo, record_id)
            log = self._log(record_id, request)
        return _hal(log, {"ETag": f'"{log["versjon"]}"'})

    def change_log(self, org: str, record_id: str, request: Request, body: Body) -> Response:
        """Accept a change of some top-level properties. The same idempotency key again changes nothing."""
        self._admit(org, request, "relay-logs.write")
        key = request.headers.get("Idempotency-Key")
        with self.world.lock:
            record = self._find(self.world.vigilo, record_id)
            remembered = self.world.keys.get(f"vigilo/{record_id}/{key}") if key else None
            if remembered:
                return _accepted(remembered)
            _match(record, request)
            change = _log_change(record, body)
            problems = CHECKS.problems(change)
            sent = deepcopy(change)
            location = self._job(f"relay-logs/{record_id}", "; ".join(f"{p.place}: {p.message}" for p in problems))
            if not problems:
                self._apply(record, change)
                self.world.accept("vigilo", record_id, sent, key, self.clock())
            touched = [("vigilo", record_id), ("jobs", location.rpartition("/")[2])]
            if key:
                remembered_as = f"vigilo/{record_id}/{key}"
                self.world.keys[remembered_as] = location
                touched.append(("keys", remembered_as))
            self.world.keep(*touched)
        return _accepted(location)

    def status(self, org: str, job_id: str, request: Request) -> Response:
        """Tell how a change went: 202 when first asked, then 303 to the resource or 422 with a message."""
        self._admit(org, request)
        with self.world.lock:
            job = self._find(self.world.jobs, job_id)
            asked, job["asked"] = job["asked"], True
        if not asked:
            return Response(status_code=202)
        if job["message"]:
            raise Refused(422, {"message": job["message"]})
        return Response(status_code=303, headers={"Location": f"/{org}/api/core/{job['resource']}"})

    def core_list(self, org: str, resource: CoreName, request: Request, page: int = 0, size: int = 20) -> Response:
        """List persons, students, employees or schools."""
        self._admit(org, request, f"{resource}.read")
        with self.world.lock:
            items = [self._core(resource, record_id, request) for record_id in sorted(self._table(resource))]
        return _hal(self._collection(resource, items, request, page, size))

    def core_one(self, org: str, resource: CoreName, record_id: str, request: Request) -> Response:
        """Give one person, student, employee or school."""
        self._admit(org, request, f"{resource}.read")
        with self.world.lock:
            self._find(self._table(resource), record_id)
            return _hal(self._core(resource, record_id, request))

    def employee_as_printed(self, org: str, record_id: str, request: Request) -> Response:
        """Answer at the path that the vendor's page prints for one employee."""
        return self.core_one(org, "employees", record_id, request)

    def core_related(
        self,
        org: str,
        resource: CoreName,
        record_id: str,
        relation: str,
        request: Request,
        page: int = 0,
        size: int = 20,
    ) -> Response:
        """Follow a link from a person or school to its students or employees."""
        name, owner = _RELATIONS.get((resource, relation), ("", ""))
        if not name:
            raise Refused(404, {"message": "no such link"})
        self._admit(org, request, f"{name}.read")
        with self.world.lock:
            table = self._table(name)
            items = [self._core(name, key, request) for key in sorted(table) if table[key][owner] == record_id]
        return _hal(self._collection(name, items, request, page, size))

    def change_core(self, org: str, resource: CoreName, record_id: str, request: Request, body: Body) -> Response:
        """Accept a change of the writable properties; a student's contact information is the person's."""
        self._admit(org, request, f"{resource}.write")
        change = read_object(body)
        if change is None or not change.keys() <= _WRITABLE.get(resource, frozenset()):
            raise Refused(400, {"message": "only writable properties can be changed"})
        with self.world.lock:
            record = self._find(self._table(resource), record_id)
            if "alias" in change:
                record["alias"] = change["alias"]
            holder = self.world.persons[record["personId"]] if resource == "students" else record
            holder["contactInformation"].update(change.get("contactInformation", {}))
            if "modifiedTime" in record:
                record["modifiedTime"] = instant(self.clock())
            self.world.accept("vigilo", f"{resource}/{record_id}", change, None, self.clock())
            location = self._job(f"{resource}/{record_id}", "")
            self.world.keep()
        return _accepted(location)

    def users(
        self,
        org: str,
        request: Request,
        limit: int = 100,
        offset: int = 0,
        wanted: RosterFilter = "",
    ) -> Response:
        """List OneRoster users, students and guardians, filtered as the documents print it."""
        self._admit_roster(org, request)
        with self.world.lock:
            chosen = [u for key in sorted(self.world.users) if _fits(u := self.world.users[key], wanted)]
            users = [self._user(user, request) for user in chosen[max(offset, 0) :][: max(limit, 1)]]
        return Response(
            encoded({"users": users}), headers={"X-Total-Count": str(len(chosen))}, media_type="application/json"
        )

    def user(self, org: str, user_id: str, request: Request) -> Json:
        """Give one OneRoster user."""
        self._admit_roster(org, request)
        with self.world.lock:
            return {"user": self._user(self._find(self.world.users, user_id), request)}

    def _admit(self, org: str, request: Request, scope: str = "") -> None:
        scopes = self.tokens.scopes(request)
        if scope and f"{SCOPE_PREFIX}{scope}" not in scopes:
            raise Refused(403, {"message": "the token lacks the scope"})
        if org != VIGILO_ORG_ID:
            raise Refused(404, {"message": "no such organisation"})

    def _admit_roster(self, org: str, request: Request) -> None:
        self._admit(org, request)
        if not self.tokens.scopes(request) & set(ROSTER_SCOPES):
            raise Refused(403, {"message": "the token lacks the scope"})

    def _find(self, table: dict[str, Json], record_id: str) -> Json:
        if record_id not in table:
            raise Refused(404, {"message": "no such resource"})
        return table[record_id]

    def _table(self, resource: str) -> dict[str, Json]:
        tables = {
            "persons": self.world.persons,
            "students": self.world.students,
            "employees": self.world.employees,
            "schools": self.world.schools,
        }
        return tables[resource]

    def _apply(self, record: Json, change: Json) -> None:
        for name in ID_PREFIXES.keys() & change.keys():
            self._fill_ids(name, change[name])
        for measure in change.get("tiltak", ()):
            self._fill_ids("vurderingar", measure.get("vurderingar") or [])
        record.update(change)
        record["versjon"] += 1
        record["modifiedTime"] = instant(self.clock())

    def _fill_ids(self, name: str, elements: list[Json]) -> None:
        for element in elements:
            if element.get("id") is None:
                element.update(new_id(name, self.world.next_number()))

    def _job(self, resource: str, message: str) -> str:
        job_id = made_up_uuid(f"job/{self.world.seed}/{self.world.next_number()}")
        self.world.jobs[job_id] = {"resource": resource, "message": message, "asked": False}
        return f"/{VIGILO_ORG_ID}/status/{job_id}"

    def _log(self, record_id: str, request: Request) -> Json:
        return {
            **self.world.vigilo[record_id],
            "_links": {"self": {"href": _core_url(request, "relay-logs", record_id)}},
        }

    def _core(self, resource: str, record_id: str, request: Request) -> Json:
        record = self._table(resource)[record_id]
        links = {name: {"href": _link(request, resource, record, name)} for name in _LINKS[resource]}
        shown = {name: value for name, value in record.items() if name not in {"personId", "schoolId"}}
        if resource == "students":
            shown["contactInformation"] = self.world.persons[record["personId"]]["contactInformation"]
        return {**shown, "_links": {**links, "self": {"href": _core_url(request, resource, record_id)}}}

    def _collection(self, resource: str, items: Sequence[Json], request: Request, page: int, size: int) -> Json:
        size, page = min(max(size, 1), 100), max(page, 0)
        last = max(-(-len(items) // size) - 1, 0)
        links = {"self": {"href": _page_url(request, page, size)}}
        if page < last:
            links["next"] = {"href": _page_url(request, page + 1, size)}
        return {
            "_embedded": {resource: list(items[page * size : (page + 1) * size])},
            "_links": links,
            "page": {"size": size, "totalElements": len(items), "totalPages": last + 1 if items else 0, "number": page},
        }

    def _user(self, user: Json, request: Request) -> Json:
        """Show a user as the Norwegian profile prints it: guardian and child point at each other."""
        role: Json = {
            "roleType": "primary",
            "role": user["role"],
            "org": _guid(request, "orgs", user["schoolId"], "org"),
        }
        shown: Json = {
            "sourcedId": user["id"],
            "status": "active",
            "dateLastModified": user["modifiedTime"],
            "enabledUser": "true",
            "givenName": user["firstName"],
            "familyName": user["lastName"],
            "roles": [role],
            "agents": [_guid(request, "users", agent, "user") for agent in user["agents"]],
        }
        if user["role"] == "student":
            shown["metadata"] = {"onedhub.birthDate": user["birthDate"], "onedhub.gender": user["gender"]}
            return shown
        child = user["agents"][0]
        role["userProfile"] = f"userprofile://user/{child}"
        shown["userProfiles"] = [_profile(child, user["relation"])]
        return shown


def _basic(request: Request) -> tuple[str, str] | None:
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        client_id, _, secret = b64decode(value).decode().partition(":")
    except (NoBase64, UnicodeDecodeError):
        return None
    return client_id, secret


def _hal(body: Json, headers: dict[str, str] | None = None) -> Response:
    return Response(encoded(body), headers=headers, media_type=_HAL)


def _accepted(location: str) -> Response:
    return Response(status_code=202, headers={"Location": location})


def _match(record: Json, request: Request) -> None:
    wanted = request.headers.get("If-Match")
    if wanted is None:
        raise Refused(428, {"message": "If-Match is missing"})
    if wanted != f'"{record["versjon"]}"':
        raise Refused(412, {"message": "the version is another"})


def _log_change(record: Json, body: bytes) -> Json:
    change = read_object(body)
    if change is None:
        raise Refused(400, {"message": "the body is no JSON object"})
    for name, value in change.items():
        if name.startswith("_") or name in _READ_ONLY or name not in record:
            raise Refused(400, {"message": "a property is unknown or can't be changed"})
        if isinstance(record[name], list) and not _is_elements(value):
            raise Refused(400, {"message": f"{name}: a list of objects is wanted"})
    return change


def _is_elements(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(element, dict) for element in value)


def _core_url(request: Request, *path: str) -> str:
    return f"{request.base_url}{VIGILO_ORG_ID}/api/core/{'/'.join(path)}"


def _link(request: Request, resource: str, record: Json, name: str) -> str:
    if name in {"person", "school"}:
        return _core_url(request, f"{name}s", record[f"{name}Id"])
    return _core_url(request, resource, record["id"], name)


def _page_url(request: Request, page: int, size: int) -> str:
    return str(request.url.replace(query=f"page={page}&size={size}"))


def _guid(request: Request, resource: str, sourced_id: str, kind: str) -> Json:
    href = f"{request.base_url}{VIGILO_ORG_ID}/ims/oneroster/rostering/v1p2/{resource}/{sourced_id}"
    return {"href": href, "sourcedId": sourced_id, "type": kind}


def _profile(child: str, relation: str) -> Json:
    credential = {
        "type": "rolextension",
        "username": child,
        "1edtech.role.agentId": child,
        "1edtech.role.userRoleForAgent": relation,
    }
    return {
        "profileId": f"userprofile://user/{child}",
        "profileType": "RoleExtension",
        "vendorId": "Vigilo",
        "credentials": [credential],
    }


def _fits(user: Json, wanted: str) -> bool:
    """Tell whether a user fits a filter such as `roles.org.sourcedId='…' AND roles.role='…'`."""
    for clause in wanted.split(" AND ") if wanted else ():
        read = _CLAUSE.fullmatch(clause.strip())
        if read is None:
            raise Refused(400, {"imsx_codeMajor": "failure", "imsx_description": "the filter can't be read"})
        name, operator, value = read.groups()
        field = {"roles.role": "role", "roles.org.sourcedId": "schoolId", "dateLastModified": "modifiedTime"}[name]
        if not (user[field] > value if operator == ">" else user[field] == value):
            return False
    return True
