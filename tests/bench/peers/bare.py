"""The least that could be done: httpx, one pydantic model, one insert. No log, no merging, no sealing, no update."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

import httpx
from pydantic import BaseModel

from tests.bench.peers.measured import measured


class Evaluation(BaseModel):
    """An evaluation."""

    nr: str
    dato: str
    tekst: str
    deltok: str


class Who(BaseModel):
    """A person with a service."""

    namn: str
    teneste: str
    tlf: str = ""


class Measure(BaseModel):
    """A measure with its evaluations."""

    nr: str
    tekst: str
    arena: str
    start: str
    frist: str
    vurderast: str
    av: Who
    vurdert: list[Evaluation]


class Goal(BaseModel):
    """A goal with its measures."""

    nr: str
    tekst: str
    status: str
    tiltak: list[Measure]


class Log(BaseModel):
    """The log itself."""

    id: str
    status: str
    niva: str
    start: str
    mal: list[Goal]


class Child(BaseModel):
    """The child."""

    fornamn: str
    etternamn: str
    fodd: str


class Body(BaseModel):
    """A record as the system has it."""

    type: str
    logg: Log
    barn: Child
    haldar: Who


class Record(BaseModel):
    """A record with id and version."""

    id: str
    version: str
    body: Body


class Page(BaseModel):
    """One page of the listing."""

    records: list[Record]
    next: str | None


def main(url: str, folder: Path) -> None:
    """Read all pages into one table."""

    def work() -> int:
        db = sqlite3.connect(folder / "bare.db")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("CREATE TABLE records (id TEXT PRIMARY KEY, body TEXT)")
        cursor: str | None = "0"
        with httpx.Client(trust_env=False) as client:
            while cursor is not None:
                page = Page.model_validate_json(client.get(f"{url}/relaylogs?cursor={cursor}").content)
                rows = [(record.id, record.body.model_dump_json()) for record in page.records]
                db.executemany("INSERT INTO records VALUES (?, ?)", rows)
                db.commit()
                cursor = page.next
        return int(db.execute("SELECT count(*) FROM records").fetchone()[0])

    measured(work)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
