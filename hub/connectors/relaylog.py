"""The open relay log interface: the hub's own, published with it, so that any vendor can join without asking anybody.

The interface is small on purpose: a listing in pages, one record, one change with a key and the version it was made
on. `docs/open-api.md` is written for the vendor who builds the other side; records are in the template `relaylog/open`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Self
from urllib.parse import quote

from pydantic import Field, SecretStr, model_validator

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
    Unreadable,
    may_name,
)
from hub.connectors.http import ASK_VENDOR, ClientCredentials, Clock, Http, HttpSettings, Limits

DOCS = "docs/open-api.md"

SPEC = Spec(
    system="relaylog",
    title="Åpent grensesnitt for stafettlogger",
    summary="For ethvert fagsystem som bygger hubens eget, åpne grensesnitt: leser og oppdaterer stafettlogger.",
    capabilities=frozenset({"pull", "push", "look_up"}),
    promise="One change is one PUT with a key and the version it was made on; done when the stored record comes back.",
    profile={
        "auth": Setting("none, or client_credentials", "published", DOCS),
        "relaylogs_path": Setting("/relaylogs", "published", DOCS),
        "relaylog_shape": Setting("mapping relaylog/open", "published", DOCS),
        "paging": Setting("limit and cursor; next, total and complete", "published", DOCS),
        "optimistic_lock": Setting("If-Match with the record's version", "published", DOCS),
        "idempotency": Setting("Idempotency-Key header", "published", DOCS),
    },
)


class Settings(HttpSettings):
    """What a municipality configures of a system with the open interface.

    `repeat` is what that system does with a key that it has seen: `key` refuses it, so that a change may be sent
    again; `look_up` shows by its version whether the change is in; `never` does neither. Without `token_url` the
    interface asks for no token.
    """

    repeat: Repeat
    token_url: str = ""
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    scope: str = ""
    page_size: int = Field(default=100, ge=1, le=1000)

    @model_validator(mode="after")
    def _client_whole(self) -> Self:
        """Take a client whole or not at all: half of one would be found out at the first call only."""
        given = {bool(self.token_url), bool(self.client_id), bool(self.client_secret.get_secret_value())}
        if len(given) > 1:
            raise ValueError("token_url, client_id and client_secret belong together: write all three, or none")
        return self


class RelayLogs:
    """One system that speaks the open interface. `repeat` tells what may be done when an answer was lost."""

    lists_all = True
    answers = True

    def __init__(
        self, settings: Settings, limits: Limits, clock: Clock, profile: Mapping[str, str], gate: Gate = OPEN
    ) -> None:
        auth = _client(settings)
        self._http = Http(settings.base_url, auth, limits, clock, gate, settings.ca_file)
        self._path = SPEC.path("relaylogs_path", profile)
        self._size = settings.page_size
        self.repeat: Repeat = settings.repeat

    def check(self) -> None:
        """Ask for a token and for a page without records."""
        self._http.get(self._path, {"limit": "0"}).json()

    def pages(self, after: str = "") -> Iterator[Page]:
        """Yield the complete listing, or the rest of it."""
        listing = _Listing(after)
        while listing.cursor is not None:
            query = {"limit": str(self._size)} | ({"cursor": listing.cursor} if listing.cursor else {})
            yield listing.page(self._http.get(self._path, query).json())

    def settle(self, page: Page, refused: Mapping[str, str]) -> None:
        """Nothing to note: the listing is read whole every time."""

    def fetch(self, record_id: str) -> SourceRecord:
        """Read one record."""
        return _one(self._http.one(self._at(record_id)), record_id)

    def update(self, outgoing: Outgoing) -> Accepted:
        """Send the whole record; the system answers with it as stored."""
        headers = {"If-Match": f'"{outgoing.before.version}"', "Idempotency-Key": outgoing.key}
        path = self._at(outgoing.before.id)
        reply = self._http.send("PUT", path, outgoing.after, headers, repeatable=self.repeat == "key")
        record = _one(reply.json(), outgoing.before.id)
        return Accepted(record, reference=f"{record.id}@{record.version}")

    def _at(self, record_id: str) -> str:
        return f"{self._path}/{quote(record_id, safe='')}"


class _Listing:
    """One reading of all pages: what it has seen, and where it goes on. `cursor` is None when it is whole.

    `after` is the cursor of the page that an earlier reading ended with: how many records it had, and the system's own.
    """

    def __init__(self, after: str) -> None:
        count, _, cursor = after.partition("/")
        self.cursor: str | None = cursor
        self._cursors = {cursor}
        self._ids = set[str]()
        self._count = int(count or 0)
        self._total = 0

    def page(self, tree: Tree) -> Page:
        """Take a page in. Raises BadAnswer where the listing can no longer be whole."""
        items, cursor, total = tree.get("records"), tree.get("next"), tree.get("total")
        whole = isinstance(items, list) and all(isinstance(item, dict) for item in items)
        if not (whole and isinstance(cursor, str | None) and isinstance(total, int) and cursor != ""):
            raise BadAnswer("no_list", "a page without records, next and total", ASK_VENDOR)
        if cursor in self._cursors:
            raise BadAnswer("repeated_page", "the listing leads back to a page that was read", ASK_VENDOR)
        self._note(items or [])
        if tree.get("complete") is not (cursor is None) or (cursor is not None and not items):
            raise BadAnswer("missing_pages", "a page without records, or an end that is not complete", ASK_VENDOR)
        self._total = max(self._total, total)
        if cursor is None and self._count < self._total:
            what = f"a listing of {self._total} records ended after {self._count}"
            raise BadAnswer("missing_pages", what, ASK_VENDOR)
        self._cursors.add(cursor or "")
        self.cursor = cursor
        found = [_record(item) for item in items or []]
        return Page(
            tuple(one for one in found if isinstance(one, SourceRecord)),
            tuple(one for one in found if isinstance(one, Unreadable)),
            cursor=f"{self._count}/{cursor}" if cursor else "",
        )

    def _note(self, items: list[dict[str, Any]]) -> None:
        ids = [item["id"] for item in items if isinstance(item.get("id"), str)]
        if len(set(ids)) < len(ids) or not self._ids.isdisjoint(ids):
            raise BadAnswer("repeated_page", "the listing repeats a record", ASK_VENDOR)
        self._ids.update(ids)
        self._count += len(items)


def _client(settings: Settings) -> ClientCredentials | None:
    if not settings.token_url:
        return None
    secret = settings.client_secret.get_secret_value()
    return ClientCredentials(settings.token_url, settings.client_id, secret, settings.scope)


def _record(item: Tree) -> SourceRecord | Unreadable:
    """Read one record; what lacks id, version or body is kept as it came, and stops no other."""
    record_id, version, body = item.get("id"), item.get("version"), item.get("body")
    if isinstance(record_id, str) and record_id and isinstance(version, str) and isinstance(body, dict):
        return SourceRecord(record_id, version, body)
    data, own = json.dumps(item).encode(), _is_plain(record_id)
    known = str(record_id) if own else sha256(data).hexdigest()[:32]
    return Unreadable(known, data, "no_record", "/", "A record has id, version and body", own_id=own)


def _is_plain(found: object) -> bool:
    """Tell whether what stands for an id can name a record: a line of text that tells nobody who it is about."""
    return isinstance(found, str) and may_name(found)


def _one(answer: Tree, record_id: str) -> SourceRecord:
    record = _record(answer)
    if not isinstance(record, SourceRecord) or record.id != record_id:
        raise BadAnswer("no_record", "the answer is not the record that was asked for", ASK_VENDOR)
    return record
