"""A simulated Visma Flyt Samspill: Visma Connect's token, code lists and "create plan" as published, plans as assumed.

Published behaviour of "create plan": completeness is checked, accounts of main person, lead and participants are
created or updated, and the lead keeps the right to create plans. Reading and updating plans is assumed.
Sources: developer.minflyt.no, Flyt Samspill API; `reference/vendors.md` sections 1 and 11.1.
"""

import json
from copy import deepcopy
from datetime import timedelta
from typing import Annotated

from fastapi import FastAPI, Query, Request, Response

from hub.relaylog.nationalid import InvalidNationalId, parse
from hub.sandbox.case import Case, Json, Person
from hub.sandbox.door import Backstage, Body, Clock, Door, Refused, Tokens, encoded, open_app, read_form, read_object
from hub.sandbox.edits import SAMSPILL_WORDS
from hub.sandbox.faults import Faults, Page
from hub.sandbox.municipality import (
    HEALTH_STATION,
    MUNICIPALITY_ORGNR,
    SAMSPILL_SCOPE,
    UNITS,
    VISMA_TENANT_ID,
    Unit,
    Worker,
)
from hub.sandbox.samspill_shape import CHECKS, ID_FIELDS, new_id, plan
from hub.sandbox.vigilo_shape import instant
from hub.sandbox.world import World

TOKEN_PATH = "/connect/token"

_NAMES: dict[str, dict[str, tuple[str, str, str]]] = {
    "plan-types": {
        "STAFETTLOGG": ("Relay log", "Stafettlogg", "Stafettlogg"),
        "INDIVIDUELL_PLAN": ("Individual plan", "Individuell plan", "Individuell plan"),
    },
    "roles": {
        "DELTAKER": ("Participant", "Deltaker", "Deltakar"),
        "KOORDINATOR": ("Coordinator", "Koordinator", "Koordinator"),
        "FORESATT": ("Guardian", "Foresatt", "Føresett"),
    },
    "affiliations": {unit.affiliation: (unit.name, unit.name, unit.name) for unit in UNITS},
}
_LANGUAGES = ("EN", "NB", "NN")

Organisation = Annotated[str, Query(alias="organisationNumber")]


def samspill_app(world: World, clock: Clock, door: Door) -> FastAPI:
    """Make the app. It answers for one tenant, `VISMA_TENANT_ID`, and keeps its state in the world."""
    samspill = _Samspill(world, clock, door)
    app = open_app("Sandbox: Samspill", samspill.backstage)
    for path, endpoint, method in (
        (TOKEN_PATH, samspill.token, "POST"),
        ("/api/plan-types", samspill.plan_types, "GET"),
        ("/api/roles", samspill.roles, "GET"),
        ("/api/affiliations", samspill.affiliations, "GET"),
        ("/api/plans", samspill.create, "POST"),
        ("/api/plans", samspill.plans, "GET"),
        ("/api/plans/{plan_id}", samspill.one_plan, "GET"),
        ("/api/plans/{plan_id}", samspill.update, "PUT"),
    ):
        app.add_api_route(path, endpoint, methods=[method], response_model=None)
    return app


class _Samspill:
    """The endpoints, with what they share."""

    def __init__(self, world: World, clock: Clock, door: Door) -> None:
        self.world = world
        self.clock = clock
        self.door = door
        self.tokens = Tokens(clock, timedelta(hours=1))
        self.faults = Faults()
        self.backstage = Backstage("samspill", world.samspill, SAMSPILL_WORDS, world, clock, door, self.faults)

    def token(self, request: Request, body: Body) -> Json:
        """Give a token for client credentials in a form, for the one tenant that the client is linked to."""
        form = read_form(request, body)
        if form.get("grant_type") != "client_credentials":
            raise Refused(400, {"error": "unsupported_grant_type"})
        known = self.door.opened_by(form.get("client_id", ""), form.get("client_secret", ""))
        if not known or form.get("tenant_id") != VISMA_TENANT_ID:
            raise Refused(401, {"error": "invalid_client"})
        if form.get("scope") != SAMSPILL_SCOPE:
            raise Refused(400, {"error": "invalid_scope"})
        return self.tokens.issue(frozenset({SAMSPILL_SCOPE}))

    def plan_types(self, request: Request, lang: str = "nb") -> Json:
        """List the kinds of plan, which are the municipality's own configuration."""
        return self._names(request, "plan-types", lang)

    def roles(self, request: Request, lang: str = "nb") -> Json:
        """List the roles a participant can have."""
        return self._names(request, "roles", lang)

    def affiliations(self, request: Request, lang: str = "nb") -> Json:
        """List the units a plan can belong to."""
        return self._names(request, "affiliations", lang)

    def create(self, request: Request, body: Body) -> Response:
        """Create a plan from the published form. Nothing makes it idempotent: twice is two plans."""
        self.tokens.scopes(request)
        form = _object(body)
        _refuse_if(_form_errors(form))
        with self.world.lock:
            plan_id = self._free_id()
            self.world.samspill[plan_id] = self._new_plan(plan_id, form)
            for person in (form["mainPerson"], form["planLead"], *form.get("participants", ())):
                self.world.accounts.setdefault(person["nationalId"], {"mayCreatePlans": False})["name"] = person["name"]
            self.world.accounts[form["planLead"]["nationalId"]]["mayCreatePlans"] = True
            self.world.accept("samspill", plan_id, form, None, self.clock())
            self.world.keep()
        return _json({"confirmation": "OK", "planId": plan_id}, 201, {"Location": f"/api/plans/{plan_id}"})

    def plans(self, request: Request, orgnr: Organisation = "", offset: int = 0, limit: int = 50) -> Response:
        """List plans, in the order of their ids; a fault switched on strikes here."""
        self.tokens.scopes(request)
        limit, offset = min(max(limit, 1), 100), max(offset, 0)
        with self.world.lock:
            chosen = [
                self.world.samspill[plan_id]
                for plan_id in sorted(self.world.samspill)
                if not orgnr or self.world.samspill[plan_id]["organisationNumber"] == orgnr
            ]
            body = encoded({"totalCount": len(chosen), "items": chosen[offset : offset + limit]})
        empty = encoded({"totalCount": 0, "items": []})
        return self.faults.answer(offset // limit, Page(body, empty, "application/json"))

    def one_plan(self, plan_id: str, request: Request) -> Response:
        """Give one whole plan, its version as ETag."""
        self.tokens.scopes(request)
        with self.world.lock:
            stored = self._find(plan_id)
            return _json(stored, headers={"ETag": f'"{stored["version"]}"'})

    def update(self, plan_id: str, request: Request, body: Body) -> Response:
        """Replace a plan by the whole one sent. The same idempotency key again answers the same."""
        self.tokens.scopes(request)
        key = request.headers.get("Idempotency-Key")
        with self.world.lock:
            stored = self._find(plan_id)
            remembered = self.world.keys.get(f"samspill/{plan_id}/{key}") if key else None
            if remembered:
                return _json(json.loads(remembered))
            _match(stored, request)
            sent = _object(body)
            _refuse_if(_plan_errors(stored, sent))
            self.world.accept("samspill", plan_id, deepcopy(sent), key, self.clock())
            updated = self._filled(stored, sent)
            self.world.samspill[plan_id] = updated
            touched = [("samspill", plan_id)]
            if key:
                remembered_as = f"samspill/{plan_id}/{key}"
                self.world.keys[remembered_as] = encoded(updated).decode()
                touched.append(("keys", remembered_as))
            self.world.keep(*touched)
            return _json(updated)

    def _names(self, request: Request, name: str, lang: str) -> Json:
        self.tokens.scopes(request)
        if lang.upper() not in _LANGUAGES:
            _refuse_if([("lang", "must be en, nb or nn")])
        index = _LANGUAGES.index(lang.upper())
        return {"items": [{"id": code, "name": names[index]} for code, names in _NAMES[name].items()]}

    def _free_id(self) -> str:
        """Give a plan an id that none has, also beside plans that were there from the start."""
        while (plan_id := f"P-{self.world.next_number()}") in self.world.samspill:
            pass
        return plan_id

    def _find(self, plan_id: str) -> Json:
        if plan_id not in self.world.samspill:
            raise Refused(404, {"errors": [{"field": "planId", "message": "no such plan"}]})
        return self.world.samspill[plan_id]

    def _filled(self, stored: Json, sent: Json) -> Json:
        for name in ID_FIELDS.keys() & sent.keys():
            self._fill_ids(name, sent[name])
        for activity in sent["activities"]:
            self._fill_ids("evaluations", activity.get("evaluations") or [])
        return {
            **sent,
            "version": stored["version"] + 1,
            "changedAt": instant(self.clock()),
            "lastOpenedAt": stored["lastOpenedAt"],
        }

    def _fill_ids(self, name: str, elements: list[Json]) -> None:
        for element in elements:
            if element.get(ID_FIELDS[name][0]) is None:
                element.update(new_id(name, self.world.next_number()))

    def _new_plan(self, plan_id: str, form: Json) -> Json:
        now = self.clock()
        unit = next((unit for unit in UNITS if unit.affiliation == form.get("affiliationId")), HEALTH_STATION)
        national_id = parse(form["mainPerson"]["nationalId"])
        first, _, last = form["mainPerson"]["name"].rpartition(" ")
        case = Case(
            subject=Person(first, last, national_id.value, national_id.birth_date or now.date(), "notKnown"),
            unit=unit,
            holder=_lead(form, unit),
            level=0,
            step="0.1",
            opened=now.date(),
            changed=now,
            version=1,
            guardians=(),
            status="VENTAR_SAMTYKKE",
        )
        made = plan(plan_id, case)
        made["planTypeId"] = form["planTypeId"]
        made["mainPerson"]["name"] = form["mainPerson"]["name"]
        made["participants"] = [
            {**new_id("participants", number), "name": p["name"], "roleId": p["roleId"], "service": "annet"}
            for number, p in enumerate(form.get("participants", ()), 1)
        ]
        return made


def _lead(form: Json, unit: Unit) -> Worker:
    first, _, last = form["planLead"]["name"].rpartition(" ")
    return Worker(first, last, "", unit, "")


def _json(body: Json, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(encoded(body), status, headers, media_type="application/json")


def _object(body: bytes) -> Json:
    value = read_object(body)
    if value is None:
        raise Refused(400, {"errors": [{"field": "", "message": "the body is no JSON object"}]})
    return value


def _refuse_if(errors: list[tuple[str, str]]) -> None:
    if errors:
        raise Refused(400, {"errors": [{"field": field, "message": message} for field, message in errors]})


def _match(stored: Json, request: Request) -> None:
    wanted = request.headers.get("If-Match")
    if wanted is None:
        raise Refused(428, {"errors": [{"field": "If-Match", "message": "is missing"}]})
    if wanted != f'"{stored["version"]}"':
        raise Refused(412, {"errors": [{"field": "version", "message": "the version is another"}]})


def _form_errors(form: Json) -> list[tuple[str, str]]:
    errors = [] if form.get("planTypeId") in _NAMES["plan-types"] else [("planTypeId", "is missing or unknown")]
    if form.get("organisationNumber") != MUNICIPALITY_ORGNR:
        errors.append(("organisationNumber", "is missing or not this tenant's"))
    errors += _person_errors("mainPerson", form.get("mainPerson")) + _person_errors("planLead", form.get("planLead"))
    participants = form.get("participants") or []
    for place, participant in enumerate(participants if isinstance(participants, list) else [None]):
        errors += _person_errors(f"participants[{place}]", participant)
        if isinstance(participant, dict) and participant.get("roleId") not in _NAMES["roles"]:
            errors.append((f"participants[{place}].roleId", "is missing or unknown"))
    if form.get("affiliationId") not in (None, *_NAMES["affiliations"]):
        errors.append(("affiliationId", "is unknown"))
    return errors


def _person_errors(place: str, person: object) -> list[tuple[str, str]]:
    if not isinstance(person, dict):
        return [(place, "is missing")]
    errors = [] if isinstance(person.get("name"), str) and person["name"].strip() else [(f"{place}.name", "is missing")]
    try:
        synthetic = parse(str(person.get("nationalId", ""))).synthetic
    except InvalidNationalId:
        return [*errors, (f"{place}.nationalId", "is no national id or D-number")]
    return errors if synthetic else [*errors, (f"{place}.nationalId", "a sandbox takes synthetic numbers only")]


def _plan_errors(stored: Json, sent: Json) -> list[tuple[str, str]]:
    """Say what is wrong with a plan that is to replace the stored one; nobody becomes somebody else."""
    odd = [(name, "is missing") for name in stored.keys() - sent.keys()]
    odd += [("", "a field is unknown") for _ in sent.keys() - stored.keys()]
    if odd:
        return sorted(odd)
    lists = [name for name, value in stored.items() if isinstance(value, list)]
    odd = [(name, "a list of objects is wanted") for name in lists if not _is_elements(sent[name])]
    if odd:
        return odd
    kept = [name for name in ("planId", "planTypeId", "organisationNumber") if sent[name] != stored[name]]
    errors = [(name, "can't be changed") for name in kept]
    before, after = stored.get("mainPerson"), sent.get("mainPerson")
    if before and (not isinstance(after, dict) or after.get("nationalId") != before["nationalId"]):
        errors.append(("mainPerson.nationalId", "can't be changed"))
    if not isinstance(sent["planLead"], dict) or not sent["planLead"].get("name"):
        errors.append(("planLead.name", "is missing"))
    return [*errors, *((problem.place, problem.message) for problem in CHECKS.problems(sent))]


def _is_elements(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(element, dict) for element in value)
