"""Visma Flyt Samspill: plan types, roles and affiliations as published; reading and updating plans assumed.

The vendor publishes that a plan can be created and three lists can be read, without paths or field names. Creating a
plan creates accounts and gives its leader a lasting right, so the hub never does it by itself: a person asks for one
individual plan at a time, and it is created by one attempt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, SecretStr

from hub.connectors.base import (
    OPEN,
    Accepted,
    Affiliation,
    BadAnswer,
    Gate,
    Misconfigured,
    NewPlan,
    OutcomeUnknown,
    Outgoing,
    Page,
    PlanPerson,
    Repeat,
    Setting,
    SourceRecord,
    Spec,
    Tree,
)
from hub.connectors.http import ASK_VENDOR, LOOK_UP, ClientCredentials, Clock, Http, HttpSettings, Limits
from hub.relaylog.codes import Language

DOCS = "developer.minflyt.no, Flyt Samspill API"

SPEC = Spec(
    system="samspill",
    title="Visma Flyt Samspill",
    summary="Familien og tjenestene rundt: leser og oppdaterer planer, oppretter aldri av seg selv.",
    capabilities=frozenset({"pull", "push", "create", "look_up"}),
    promise="One change is one PUT with a key and the version it was made on; done when the stored plan comes back. "
    "A plan that a person asks for is one POST, never repeated; where its answer is lost, it is looked up.",
    profile={
        "auth": Setting(
            "client_credentials with tenant_id (Visma Connect)", "assumed", "published for sibling products"
        ),
        "context": Setting("organisation number", "published", DOCS),
        "plan_types": Setting("list of plan types in en, nb or nn", "published", DOCS),
        "plan_types_path": Setting("/plan-types", "assumed", "the list is published, its path is not"),
        "roles_path": Setting("/roles", "assumed", "the list is published, its path is not"),
        "affiliations": Setting("list of affiliations in en, nb or nn", "published", DOCS),
        "affiliations_path": Setting("/affiliations", "assumed", "the list is published, its path is not"),
        "create_plan": Setting(
            "main person, lead and participants by name and national id; affiliation if chosen", "published", DOCS
        ),
        "create_shape": Setting(
            "planTypeId, mainPerson, planLead, participants, affiliationId", "assumed", "no field names published"
        ),
        "plans_path": Setting("/plans", "assumed", "no reading of plans is published"),
        "plan_shape": Setting("mapping samspill/stafettlogg", "assumed", "no field names are published"),
        "paging": Setting("offset and limit, totalCount", "assumed", "not published"),
        "optimistic_lock": Setting("If-Match with the plan's version", "assumed", "not published"),
        "idempotency": Setting("Idempotency-Key header", "assumed", "not published"),
    },
)


class PlanSettings(BaseModel):
    """The municipality's own codes for the individual plans that people ask the hub for.

    Without a role nobody in that role can be a participant from the start.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    type: str
    guardian_role: str = ""
    participant_role: str = ""


class Settings(HttpSettings):
    """What a municipality configures of Samspill. Without `plan` individual plans are made by hand there."""

    token_url: str
    tenant_id: str
    organisation_number: str
    client_id: str
    client_secret: SecretStr
    scope: str
    page_size: int = 100
    plan: PlanSettings | None = None


class Samspill:
    """One municipality's plans in Samspill."""

    lists_all = True
    answers = True
    repeat: Repeat = "look_up"

    def __init__(
        self, settings: Settings, limits: Limits, clock: Clock, profile: Mapping[str, str], gate: Gate = OPEN
    ) -> None:
        secret = settings.client_secret.get_secret_value()
        extra = {"tenant_id": settings.tenant_id}
        auth = ClientCredentials(settings.token_url, settings.client_id, secret, settings.scope, extra)
        self._http = Http(settings.base_url, auth, limits, clock, gate, settings.ca_file)
        paths = ("plans_path", "plan_types_path", "roles_path", "affiliations_path")
        self._plans, self._plan_types, self._roles, self._affiliations = (SPEC.path(name, profile) for name in paths)
        self._organisation = settings.organisation_number
        self._size = settings.page_size
        self._own = settings.plan

    @property
    def makes_plans(self) -> bool:
        """Tell whether individual plans can be made here: their codes are configured."""
        return self._own is not None

    def check(self) -> None:
        """Ask for a token and the plan types."""
        self._http.get(self._plan_types, {"lang": "nb"})

    def pages(self, after: str = "") -> Iterator[Page]:  # noqa: ARG002 - it is read from the start every time
        """Yield all plans of the municipality, save the individual plans where the hub may make those."""
        individual = self._own and self._own.type
        for page in self._listing():
            kept = tuple(each for each in page.records if not individual or each.tree.get("planTypeId") != individual)
            yield Page(kept)

    def _listing(self) -> Iterator[Page]:
        seen = set[str]()
        count, total = 0, 0
        while not seen or count < total:
            query = {"organisationNumber": self._organisation, "offset": str(count), "limit": str(self._size)}
            tree = self._http.get(self._plans, query).json()
            items, said = tree.get("items"), tree.get("totalCount")
            if not (isinstance(items, list) and isinstance(said, int) and all(isinstance(i, dict) for i in items)):
                raise BadAnswer("no_list", "a page of plans without items and totalCount", ASK_VENDOR)
            total = max(total, said)
            records = tuple(_record(item) for item in items)
            if any(record.id and record.id in seen for record in records):
                raise BadAnswer("repeated_page", "the listing of plans repeats a plan", ASK_VENDOR)
            if not items and count < total:
                raise BadAnswer("missing_pages", "the listing of plans ended early", ASK_VENDOR)
            seen.update(record.id for record in records)
            count += len(items)
            yield Page(records)
            if not items:
                return

    def settle(self, page: Page, refused: Mapping[str, str]) -> None:
        """Nothing to note: the listing is read whole every time."""

    def fetch(self, record_id: str) -> SourceRecord:
        """Read one plan."""
        return _record(self._http.one(f"{self._plans}/{quote(record_id, safe='')}"))

    def update(self, outgoing: Outgoing) -> Accepted:
        """Send the whole plan; the system answers with it as stored."""
        headers = {"If-Match": f'"{outgoing.before.version}"', "Idempotency-Key": outgoing.key}
        path = f"{self._plans}/{quote(outgoing.before.id, safe='')}"
        record = _record(self._http.send("PUT", path, outgoing.after, headers).json())
        if record.id != outgoing.before.id:
            raise BadAnswer("no_plan", "the answer to a change is not the plan", ASK_VENDOR)
        return Accepted(record, reference=f"{record.id}@{record.version}")

    def plans_of(self, national_id: str) -> tuple[str, ...]:
        """Return the ids of the individual plans of a person, ended ones too."""
        own = self._configured()
        return tuple(
            record.id
            for page in self._listing()
            for record in page.records
            if record.tree.get("planTypeId") == own.type and _number_of(record.tree) == national_id
        )

    def affiliations(self, language: Language) -> tuple[Affiliation, ...]:
        """Return where a plan can belong, by the names that a language has for them."""
        return tuple(map(_affiliation, self._list(self._affiliations, language)))

    def check_plan(self, new: NewPlan) -> None:
        """See that the municipality's lists have the configured plan type and roles."""
        own = self._configured()
        self._check_code(self._plan_types, own.type)
        for role in sorted({_role(own, person) for person in new.participants}):
            self._check_code(self._roles, role)

    def create_plan(self, new: NewPlan) -> str:
        """Send the published form once. It creates or updates accounts, and its leader may create plans from then on.

        No key is published: whatever is no confirmation counts as unknown, so that nobody sends it again unseen.
        """
        own = self._configured()
        form: Tree = {
            "planTypeId": own.type,
            "organisationNumber": self._organisation,
            "mainPerson": _person(new.main),
            "planLead": _person(new.lead),
        }
        if new.participants:
            form["participants"] = [{**_person(each), "roleId": _role(own, each)} for each in new.participants]
        if new.affiliation:
            form["affiliationId"] = new.affiliation
        try:
            answer = self._http.send_once("POST", self._plans, form).json()
        except BadAnswer as error:
            raise OutcomeUnknown(error.code, error.what, LOOK_UP) from None
        if answer.get("confirmation") != "OK":
            raise OutcomeUnknown("not_confirmed", "the answer to a new plan is no confirmation", LOOK_UP)
        plan_id = answer.get("planId")
        return plan_id if isinstance(plan_id, str) else ""

    def _configured(self) -> PlanSettings:
        if self._own is None:
            raise Misconfigured("no_plan_type", "the connection says nothing of individual plans", "Write its `plan`")
        return self._own

    def _check_code(self, path: str, code: str) -> None:
        """Raise Misconfigured unless a list has a code."""
        if not code:
            raise Misconfigured("no_role", "`plan` of the connection names no role for who is ticked", "Write it there")
        if code not in (item.get("id") for item in self._list(path, "nb")):
            told = f"the system's list {path} lacks the code '{code}'"
            raise Misconfigured("unknown_code", told, "Write a code of that list in `plan` of the connection")

    def _list(self, path: str, language: Language) -> list[Tree]:
        """Read a list of codes with their names in a language."""
        items = self._http.get(path, {"lang": language}).json().get("items")
        if not (isinstance(items, list) and all(isinstance(item, dict) for item in items)):
            raise BadAnswer("no_list", "a list of codes without items", ASK_VENDOR)
        return items


def _person(person: PlanPerson) -> Tree:
    return {"name": person.name, "nationalId": person.national_id}


def _affiliation(item: Tree) -> Affiliation:
    id_, name = item.get("id"), item.get("name")
    if not (isinstance(id_, str) and id_ and isinstance(name, str)):
        raise BadAnswer("no_list", "the list of affiliations has one without id or name", ASK_VENDOR)
    return Affiliation(id_, name)


def _role(own: PlanSettings, person: PlanPerson) -> str:
    return own.guardian_role if person.role == "guardian" else own.participant_role


def _number_of(plan: Tree) -> object:
    main = plan.get("mainPerson")
    return main.get("nationalId") if isinstance(main, dict) else None


def _record(plan: Tree) -> SourceRecord:
    plan_id = plan.get("planId")
    return SourceRecord(plan_id if isinstance(plan_id, str) else "", str(plan.get("version", "")), plan)
