"""Vigilo over OnEdHub: the published Core API, and relay logs as an assumed resource in the same manner.

Persons and schools are published: they are read first and joined to each log in the hub, as the vendor's guide asks.
No relay log, journal or document resource is published; path, shape and writing of relay logs are assumed and marked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import quote

from pydantic import SecretStr

from hub.connectors.base import (
    OPEN,
    Accepted,
    BadAnswer,
    Gate,
    Misconfigured,
    OutcomeUnknown,
    Outgoing,
    Page,
    Refused,
    Repeat,
    Setting,
    SourceRecord,
    Spec,
    Tree,
    Unavailable,
)
from hub.connectors.http import ASK_VENDOR, LOOK_UP, ClientCredentials, Clock, Http, HttpSettings, Limits

SCOPE = "https://docs.onedhub.io/scopes/core-api."
SCOPES = " ".join(
    f"{SCOPE}{name}"
    for name in ("persons.read", "students.read", "schools.read", "relay-logs.read", "relay-logs.write")
)
DOCS = "onedhub-docs, 2025-08"

SPEC = Spec(
    system="vigilo",
    title="Vigilo (OnEdHub)",
    summary="Barnehage og skole: leser stafettlogger, skriver bare endrede felt.",
    capabilities=frozenset({"pull", "push", "look_up"}),
    promise="One change is one PATCH with a key and the version it was made on; done only at 303 See Other.",
    profile={
        "auth": Setting("client_credentials (Keycloak)", "published", DOCS),
        "scopes": Setting("persons.read students.read schools.read", "published", DOCS),
        "relay_log_scopes": Setting("relay-logs.read relay-logs.write", "assumed", "no such scope is published"),
        "persons_path": Setting("/{org_id}/api/core/persons", "published", DOCS),
        "schools_path": Setting("/{org_id}/api/core/schools", "published", DOCS),
        "async_patch": Setting("202 -> Location /status/{id} -> 303 | 4xx", "published", DOCS),
        "paging": Setting(
            "HAL: _embedded, _links.next, page and size", "assumed", "HAL is published, its shape is not"
        ),
        "relay_logs_path": Setting("/{org_id}/api/core/relay-logs", "assumed", "no relay log resource is published"),
        "relay_log_shape": Setting("mapping vigilo/stafettlogg", "assumed", "no template is published"),
        "optimistic_lock": Setting("If-Match with the log's versjon", "assumed", "not published"),
        "idempotency": Setting("Idempotency-Key header", "assumed", "not published"),
    },
)

POLLS = 20
FIRST_PAUSE, LONGEST_PAUSE = 0.01, 2.0
"""How often, and how many seconds apart, a change is asked for: sooner at first, up to half a minute in all."""


class Settings(HttpSettings):
    """What a municipality configures of Vigilo."""

    token_url: str
    org_id: str
    client_id: str
    client_secret: SecretStr
    scope: str = SCOPES
    page_size: int = 100


class Vigilo:
    """One organisation's relay logs in Vigilo."""

    lists_all = True
    answers = True
    repeat: Repeat = "look_up"

    def __init__(
        self, settings: Settings, limits: Limits, clock: Clock, profile: Mapping[str, str], gate: Gate = OPEN
    ) -> None:
        secret = settings.client_secret.get_secret_value()
        auth = ClientCredentials(settings.token_url, settings.client_id, secret, settings.scope)
        self._http = Http(settings.base_url, auth, limits, clock, gate, settings.ca_file)
        self._clock = clock
        self._paths = {
            resource: SPEC.path(f"{resource.replace('-', '_')}_path", profile).format(org_id=settings.org_id)
            for resource in ("persons", "schools", "relay-logs")
        }
        self._size = settings.page_size

    def check(self) -> None:
        """Ask for a token and one school."""
        self._http.get(self._paths["schools"], {"page": "0", "size": "1"}).json()

    def pages(self, after: str = "") -> Iterator[Page]:  # noqa: ARG002 - it is read from the start every time
        """Yield all relay logs, each joined with its person and its school."""
        persons = {_text(item, "id"): item for page in self._items("persons") for item in page}
        schools = {_text(item, "id"): item for page in self._items("schools") for item in page}
        for page in self._items("relay-logs"):
            yield Page(tuple(_record(item, persons, schools) for item in page))

    def settle(self, page: Page, refused: Mapping[str, str]) -> None:
        """Nothing to note: the listing is read whole every time."""

    def fetch(self, record_id: str) -> SourceRecord:
        """Read one relay log with its person and school."""
        log = self._one("relay-logs", record_id)
        person = self._linked("persons", _text(log.get("barn"), "personId"))
        school = self._linked("schools", _text(log, "skuleId"))
        return _record(log, person, school)

    def update(self, outgoing: Outgoing) -> Accepted:
        """Send the changed properties, and follow the change until the system says that it is made."""
        before, after = outgoing.before.tree, outgoing.after
        body = {name: value for name, value in after.items() if name[:1] != "_" and before.get(name) != value}
        headers = {"If-Match": f'"{outgoing.before.version}"', "Idempotency-Key": outgoing.key}
        reply = self._http.send("PATCH", self._path("relay-logs", outgoing.before.id), body, headers)
        status = reply.headers.get("location", "")
        if reply.status != 202 or not status:
            raise BadAnswer("no_status", f"HTTP {reply.status} where 202 with a status address was due", ASK_VENDOR)
        try:
            self._follow(status)
            log = self._one("relay-logs", outgoing.before.id)
        except (Unavailable, BadAnswer, Misconfigured) as error:
            raise OutcomeUnknown(error.code, "the change was received, and nobody says how it went", LOOK_UP) from error
        joined = {name: value for name, value in before.items() if name[:1] == "_"}
        record = SourceRecord(_text(log, "id"), str(log.get("versjon", "")), {**_published(log), **joined})
        return Accepted(record, reference=status.rsplit("/", 1)[-1])

    def _follow(self, status: str) -> None:
        for poll in range(POLLS):
            answer = self._http.get(status)
            if answer.status == 303:
                return
            if answer.status != 202:
                raise Refused("change_failed", f"the change ended with HTTP {answer.status}", ASK_VENDOR)
            self._clock.sleep(min(FIRST_PAUSE * 2**poll, LONGEST_PAUSE))
        raise OutcomeUnknown("still_running", "the system is still working on the change", LOOK_UP)

    def _linked(self, resource: str, item_id: str) -> dict[str, Tree]:
        return {item_id: self._one(resource, item_id)} if item_id else {}

    def _one(self, resource: str, item_id: str) -> Tree:
        return self._http.one(self._path(resource, item_id))

    def _path(self, resource: str, item_id: str) -> str:
        return f"{self._paths[resource]}/{quote(item_id, safe='')}"

    def _items(self, resource: str) -> Iterator[list[Tree]]:
        """Yield the pages of a resource. A page that brings nothing new or holds no list is no answer."""
        path = self._paths[resource]
        params: Mapping[str, str] | None = {"page": "0", "size": str(self._size)}
        seen, expected, count = set[str](), 0, 0
        while path:
            tree = self._http.get(path, params).json()
            items, links = _inner(tree, "_embedded").get(resource), tree.get("_links")
            if not (isinstance(items, list) and isinstance(links, dict) and all(isinstance(i, dict) for i in items)):
                raise BadAnswer("no_list", f"a page of {resource} without _embedded and _links", ASK_VENDOR)
            ids = {_text(item, "id") for item in items}
            if ids and ids <= seen:
                raise BadAnswer("repeated_page", f"the listing of {resource} repeats a page", ASK_VENDOR)
            total = _inner(tree, "page").get("totalElements")
            expected = max(expected, total) if isinstance(total, int) else expected
            path, params = _text(_inner(links, "next"), "href"), None
            if not items and (seen or path):
                raise BadAnswer("missing_pages", f"the listing of {resource} has an empty page", ASK_VENDOR)
            seen |= ids
            count += len(items)
            yield items
        if count < expected:
            raise BadAnswer("missing_pages", f"the listing of {resource} ended early", ASK_VENDOR)


def _record(log: Tree, persons: Mapping[str, Tree], schools: Mapping[str, Tree]) -> SourceRecord:
    joined = _published(log)
    person = persons.get(_text(log.get("barn"), "personId"))
    school = schools.get(_text(log, "skuleId"))
    joined |= {"_person": _published(person)} if person else {}
    joined |= {"_school": _published(school)} if school else {}
    return SourceRecord(_text(log, "id"), str(log.get("versjon", "")), joined)


def _published(resource: Tree) -> Tree:
    """Return a resource without its links: they are the wire's, not the record's."""
    return {name: value for name, value in resource.items() if name != "_links"}


def _inner(tree: Tree, name: str) -> Tree:
    value = tree.get(name)
    return value if isinstance(value, dict) else {}


def _text(tree: object, name: str) -> str:
    value = tree.get(name) if isinstance(tree, dict) else None
    return value if isinstance(value, str) else ""
