"""Visma Flyt Samspill: plan types, roles and affiliations as published; reading and updating plans assumed.

The vendor publishes that a plan can be created and three lists can be read, without paths or field names. Creating a
plan creates accounts and gives its leader a lasting right, so the hub never does it by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, SecretStr

from hub.connectors.base import (
    OPEN,
    Accepted,
    BadAnswer,
    Gate,
    Outgoing,
    Page,
    Repeat,
    Setting,
    SourceRecord,
    Spec,
    Tree,
)
from hub.connectors.http import ASK_VENDOR, ClientCredentials, Clock, Http, Limits

DOCS = "developer.minflyt.no, Flyt Samspill API"

SPEC = Spec(
    system="samspill",
    title="Visma Flyt Samspill",
    summary="Familien og tjenestene rundt: leser og oppdaterer planer, oppretter aldri av seg selv.",
    capabilities=frozenset({"pull", "push", "look_up"}),
    promise="One change is one PUT with a key and the version it was made on; done when the stored plan comes back.",
    profile={
        "auth": Setting(
            "client_credentials with tenant_id (Visma Connect)", "assumed", "published for sibling products"
        ),
        "context": Setting("organisation number", "published", DOCS),
        "plan_types": Setting("list of plan types in en, nb or nn", "published", DOCS),
        "plan_types_path": Setting("/plan-types", "assumed", "the list is published, its path is not"),
        "plans_path": Setting("/plans", "assumed", "no reading of plans is published"),
        "plan_shape": Setting("mapping samspill/stafettlogg", "assumed", "no field names are published"),
        "paging": Setting("offset and limit, totalCount", "assumed", "not published"),
        "optimistic_lock": Setting("If-Match with the plan's version", "assumed", "not published"),
        "idempotency": Setting("Idempotency-Key header", "assumed", "not published"),
    },
)


class Settings(BaseModel):
    """What a municipality configures of Samspill."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    base_url: str
    token_url: str
    tenant_id: str
    organisation_number: str
    client_id: str
    client_secret: SecretStr
    scope: str
    page_size: int = 100


class Samspill:
    """One municipality's plans in Samspill."""

    lists_all = True
    repeat: Repeat = "look_up"

    def __init__(
        self, settings: Settings, limits: Limits, clock: Clock, profile: Mapping[str, str], gate: Gate = OPEN
    ) -> None:
        secret = settings.client_secret.get_secret_value()
        extra = {"tenant_id": settings.tenant_id}
        auth = ClientCredentials(settings.token_url, settings.client_id, secret, settings.scope, extra)
        self._http = Http(settings.base_url, auth, limits, clock, gate)
        self._plans, self._plan_types = (SPEC.path(name, profile) for name in ("plans_path", "plan_types_path"))
        self._organisation = settings.organisation_number
        self._size = settings.page_size

    def check(self) -> None:
        """Ask for a token and the plan types."""
        self._http.check_token()
        self._http.get(self._plan_types, {"lang": "nb"})

    def pages(self, after: str = "") -> Iterator[Page]:  # noqa: ARG002 - it is read from the start every time
        """Yield all plans of the municipality."""
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


def _record(plan: Tree) -> SourceRecord:
    plan_id = plan.get("planId")
    return SourceRecord(plan_id if isinstance(plan_id, str) else "", str(plan.get("version", "")), plan)
