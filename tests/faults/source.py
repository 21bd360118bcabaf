"""The other side, in a process of its own: a source and three sinks of the open interface, and a door for the tests.

Every sink keeps a journal of what it accepted, flushed to the disk before it answers, and a list of all attempts: what
came twice or never is counted there, outside the hub, whatever was killed meanwhile.

    python -m tests.faults.source FOLDER COUNT     prints its port, then a line for each change that it holds back
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock
from urllib.parse import parse_qs, unquote, urlsplit

from tests.faults.children import Tree, edit, linked, world

Answer = tuple[int, Tree]
REFERENCES = ("goal", "measure", "concern")


@dataclass
class Stored:
    """A record as a system holds it."""

    version: int
    body: Tree

    def shown(self, record_id: str) -> Tree:
        """Give it as the interface shows it."""
        return {"id": record_id, "version": str(self.version), "body": self.body}


@dataclass
class System:
    """One system: its records, the keys it has seen, and what a test has told it to do."""

    name: str
    folder: Path
    records: dict[str, Stored]
    keys: set[str] = field(default_factory=set)
    pages: int = 0
    made: int = 0
    orders: Tree = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)
    freed: Event = field(default_factory=Event)

    def listing(self, query: dict[str, list[str]]) -> Answer:
        """Answer with a page. An order `repeat_page` or `skip_page` spoils the page of that number (from 1)."""
        with self.lock:
            shown = list(self.records)[: self.orders.get("shown", len(self.records))]
            limit, start = int(query["limit"][0]), int(query.get("cursor", ["0"])[0])
            self.pages += limit > 0
            number = start // max(limit, 1) + 1
            if number == self.orders.get("skip_page"):
                start += limit
            if number == self.orders.get("repeat_page"):
                start -= limit
            ids, end = shown[start : start + limit], start + limit
            more = str(end) if limit and end < len(shown) else None
            found = [self.records[each].shown(each) for each in ids]
            return 200, {"records": found, "next": more, "complete": more is None, "total": len(shown) if limit else 0}

    def one(self, record_id: str) -> Answer:
        """Answer with one record; a system that can't be looked up has no such page."""
        if self.name == "neither":
            return 405, {"type": "no-lookup"}
        found = self.records.get(record_id)
        return (200, found.shown(record_id)) if found else (404, {"type": "no-record"})

    def change(self, record_id: str, key: str, made_on: str, body: Tree) -> Answer:
        """Take a change in, or refuse it as this kind of system does."""
        with self.lock:
            self._write("attempts", {"record": record_id, "key": key, "at": time.time()})
            stored = self.records.get(record_id)
            if stored is None:
                return 404, {"type": "no-record"}
            if self.name == "refuses_key":
                if key in self.keys:
                    return 409, {"type": "key-used"}
                if made_on.strip('"') != str(stored.version):
                    return 412, {"type": "version"}
            self.keys.add(key)
            self._with_ids(stored.body, body)
            self.records[record_id] = stored = Stored(stored.version + 1, body)
            hashed = sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
            self._write("journal", {"record": record_id, "key": key, "version": stored.version, "sha256": hashed})
            answer = stored.shown(record_id)
        if self.orders.pop("hold", None):
            print(f"received {self.name} {key}", flush=True)  # noqa: T201 - the test is told, and kills
            self.freed.wait(60)
        return 200, answer

    def control(self, orders: Tree) -> Answer:
        """Take a test's orders, and tell what there is."""
        with self.lock:
            if rounds := orders.pop("edit", None):
                for stored in list(self.records.values())[slice(*orders.pop("which", (None,)))]:
                    stored.version, stored.body = stored.version + 1, edit(stored.body, rounds)
            if orders.pop("link", None):
                for stored in self.records.values():
                    stored.version, stored.body = stored.version + 1, linked(stored.body)
            if broken := orders.pop("break", None):
                for stored in list(self.records.values())[slice(*broken)]:
                    stored.body["opened_on"] = "01.03.2026"
            self.orders = {name: value for name, value in {**self.orders, **orders}.items() if value is not None}
            (self.freed.clear if orders.get("hold") else self.freed.set)()
            found = {record_id: stored.shown(record_id) for record_id, stored in self.records.items()}
            return 200, {"pages": self.pages, "records": deepcopy(found)}

    def _with_ids(self, before: Tree, body: Tree) -> None:
        """Give what is new an id: one system gives its own, references included, the others keep the hub's."""
        known = {element["id"] for element in _elements(before)}
        given = dict[str, str]()
        for element in _elements(body):
            if not element.get("id") or (self.name == "look_up_only" and element["id"] not in known):
                self.made += 1
                given[element.get("id", "")] = element["id"] = f"{self.name}-e{self.made}"
        for element in _elements(body):
            element |= {name: given.get(element[name], element[name]) for name in REFERENCES if element.get(name)}

    def _write(self, kind: str, line: Tree) -> None:
        with (self.folder / f"{self.name}.{kind}").open("a", encoding="ascii") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            if kind == "journal":
                os.fsync(file.fileno())


def _elements(body: Tree) -> Iterator[Tree]:
    for value in body.values():
        if isinstance(value, list):
            yield from (each for each in value if isinstance(each, dict))


class Handler(BaseHTTPRequestHandler):
    """Reads a request and lets the system that its path names answer."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    systems: dict[str, System]

    def do_GET(self) -> None:
        """Answer a listing or one record."""
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        _, name, _, *rest = path.split("/")
        system = self.systems[name]
        self._answer(system.one(unquote(rest[0])) if rest else system.listing(query))

    def do_PUT(self) -> None:
        """Take a change in."""
        _, name, _, record_id = self.path.split("/")
        key, made_on = self.headers["Idempotency-Key"], self.headers["If-Match"]
        self._answer(self.systems[name].change(unquote(record_id), key, made_on, self._body()))

    def do_POST(self) -> None:
        """Take a test's orders."""
        self._answer(self.systems[self.path.strip("/")].control(self._body()))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the library names it
        """Say nothing."""

    def _body(self) -> Tree:
        read: Tree = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return read

    def _answer(self, answer: Answer) -> None:
        status, tree = answer
        data = json.dumps(tree).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if status < 400 else "application/problem+json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Server(ThreadingHTTPServer):
    """Takes connections as many as come, and says nothing of those that were killed."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is what this is for."""


def serve(folder: Path, count: int) -> None:
    """Serve until killed."""
    Handler.systems = {
        name: System(name, folder, {record_id: Stored(1, body) for record_id, body in records.items()})
        for name, records in world(count).items()
    }
    with Server(("127.0.0.1", 0), Handler) as server:
        print(server.server_address[1], flush=True)  # noqa: T201 - the one thing that the caller must be told
        server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
