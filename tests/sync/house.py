"""A whole small municipality for the tests of sync: simulated systems, real connectors, a real database, a set clock.

One sandbox serves all tests; each test tells its own stories into the emptied world.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import httpx
from sqlalchemy import Row, Table, select, update

from hub.connectors.archive.folder import FolderArchive
from hub.connectors.base import Accepted, Connector, Outgoing, Page, Repeat, SourceRecord
from hub.connectors.http import Clock, Limits
from hub.connectors.samspill import PlanSettings, Samspill
from hub.connectors.samspill import Settings as SamspillSettings
from hub.connectors.vigilo import Settings as VigiloSettings
from hub.connectors.vigilo import Vigilo
from hub.documents.arkivmelding import ArchiveClass, ArchiveCode, ArchiveSettings, ArchiveUnit
from hub.mappings import load_shipped
from hub.mappings.language import Mapping as TemplateMapping
from hub.relaylog.codes import Service
from hub.relaylog.consent import ConsentPolicy
from hub.relaylog.gates import Rules
from hub.relaylog.sharing import Sharing
from hub.sandbox.case import Told
from hub.sandbox.children import Cast
from hub.sandbox.municipality import (
    MUNICIPALITY_NAME,
    MUNICIPALITY_ORGNR,
    SAMSPILL_SCOPE,
    VIGILO_ORG_ID,
    VISMA_TENANT_ID,
)
from hub.sandbox.samspill import TOKEN_PATH as CONNECT_PATH
from hub.sandbox.server import Sandbox
from hub.sandbox.stories import ALL_STORIES, Story, shared_level_2
from hub.sandbox.vigilo import TOKEN_PATH
from hub.sandbox.vigilo_shape import instant
from hub.sandbox.world import World, _enter, _open_units
from hub.store.database import Database
from hub.store.inbox import Inbox
from hub.store.logs import LogStore, StoredLog
from hub.store.sealing import TenantKeys
from hub.store.tables import HoldState, deliveries, holds, records
from hub.store.work import WorkStore
from hub.sync.context import Archive, Connection, Tenant
from hub.sync.cycle import Cycle, CycleResult
from hub.sync.pull import PullResult

TODAY = date(2026, 11, 21)
MORNING = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
VIGILO, SAMSPILL = f"{MUNICIPALITY_ORGNR}/vigilo", f"{MUNICIPALITY_ORGNR}/samspill"
ARCHIVE = f"{MUNICIPALITY_ORGNR}/folder"
Tree = dict[str, Any]

ARCHIVE_SETTINGS = ArchiveSettings(
    folder_per="child",
    archive_part=ArchiveCode(code="BARN", text="Barn og oppvekst"),
    person_classification="PNR",
    classification=ArchiveClass(system="KK", code="X99", title="Stafettlogg"),
    access_restriction=ArchiveCode(code="13", text="Unntatt etter offentleglova § 13"),
    shielding_basis="Oppdiktet hjemmel § 1",
    shielding_years=60,
    record_type=ArchiveCode(code="X", text="Organinternt dokument uten oppfølging"),
    record_status=ArchiveCode(code="F", text="Ferdigstilt"),
    document_type=ArchiveCode(code="RAPPORT", text="Rapport"),
    unit=ArchiveUnit(name="Oppvekst", id="OPPV"),
)


@dataclass
class Time:
    """The present of sandbox and hub alike, as a test sets it. Waiting takes none and moves it on."""

    at: datetime = MORNING

    def now(self) -> datetime:
        """Give the present."""
        return self.at

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self.at += timedelta(seconds=seconds)

    def after(self, **units: float) -> None:
        """Let so much time pass."""
        self.at += timedelta(**units)

    def clock(self) -> Clock:
        """Give it as connectors take it; seconds that only grow are the machine's."""
        return Clock(self.now, time.monotonic, self.sleep)


SYSTEMS = ("vigilo", "samspill", "persons", "students", "employees", "schools", "users", "accounts", "keys", "jobs")
"""The tables of a world."""


@dataclass(frozen=True)
class State:
    """How a house stood: a copy of its database, what the systems held, the hour, and the next id."""

    database: Path
    world: dict[str, Tree]
    at: datetime
    next_id: int


def empty(world: World) -> World:
    """Take everything out of a world that servers already hold, and open the municipality's units again."""
    fresh = World(seed=1, today=TODAY.isoformat())
    _open_units(fresh, TODAY)
    with world.lock:
        for name in SYSTEMS:
            table = getattr(world, name)
            table.clear()
            table.update(getattr(fresh, name))
        world.tales.clear()
        world.received.clear()
    return world


def connectors(sandbox: Sandbox, moment: Time) -> dict[str, Connector]:
    """Give the real connectors to the simulated systems, with small pages."""
    limits = Limits(connect=2, read=5, total=10)
    vigilo, samspill = sandbox.urls["vigilo"], sandbox.urls["samspill"]
    in_vigilo = VigiloSettings(
        base_url=vigilo,
        token_url=vigilo + TOKEN_PATH,
        org_id=VIGILO_ORG_ID,
        client_id=sandbox.credentials["vigilo"]["client_id"],
        client_secret=sandbox.credentials["vigilo"]["client_secret"],
        page_size=5,
    )
    in_samspill = SamspillSettings(
        base_url=f"{samspill}/api",
        token_url=samspill + CONNECT_PATH,
        tenant_id=VISMA_TENANT_ID,
        organisation_number=MUNICIPALITY_ORGNR,
        client_id=sandbox.credentials["samspill"]["client_id"],
        client_secret=sandbox.credentials["samspill"]["client_secret"],
        scope=SAMSPILL_SCOPE,
        page_size=5,
        plan=PlanSettings(type="INDIVIDUELL_PLAN", guardian_role="FORESATT", participant_role="DELTAKER"),
    )
    return {
        VIGILO: Vigilo(in_vigilo, limits, moment.clock(), {}),
        SAMSPILL: Samspill(in_samspill, limits, moment.clock(), {}),
    }


def rules(_day: date) -> Rules:
    """Give the rules that hold without any configuration."""
    return Rules(Sharing(), ConsentPolicy())


@dataclass
class Detour:
    """A connector between the hub and the real one: a test says what happens instead of a verb, or around it."""

    real: Connector
    update_by: Callable[[Connector, Outgoing], Accepted] | None = None
    fetch_by: Callable[[Connector, str], SourceRecord] | None = None
    pages_by: Callable[[Connector], Iterator[Page]] | None = None
    sent: list[Outgoing] = field(default_factory=list)
    began: list[str] = field(default_factory=list)

    repeats: Repeat | None = None

    @property
    def lists_all(self) -> bool:
        """Tell what the real one says."""
        return self.real.lists_all

    @property
    def answers(self) -> bool:
        """Tell what the real one says."""
        return self.real.answers

    @property
    def repeat(self) -> Repeat:
        """Tell what the real one says, or what a test has it say."""
        return self.repeats or self.real.repeat

    def settle(self, page: Page, refused: Mapping[str, str]) -> None:
        """Settle."""
        self.real.settle(page, refused)

    def check(self) -> None:
        """Reach the system."""
        self.real.check()

    def pages(self, after: str = "") -> Iterator[Page]:
        """List."""
        self.began.append(after)
        return self.pages_by(self.real) if self.pages_by else self.real.pages(after)

    def fetch(self, record_id: str) -> SourceRecord:
        """Read one."""
        return self.fetch_by(self.real, record_id) if self.fetch_by else self.real.fetch(record_id)

    def update(self, outgoing: Outgoing) -> Accepted:
        """Send one change."""
        self.sent.append(outgoing)
        return self.update_by(self.real, outgoing) if self.update_by else self.real.update(outgoing)


class Stumbling:
    """A mapping with a mistake in it that nobody thought of: it breaks off at one record."""

    def __init__(self, real: TemplateMapping, record: str) -> None:
        self._real, self._record = real, record

    def __getattr__(self, name: str) -> Any:
        """Do what the real one does."""
        return getattr(self._real, name)

    def write(self, tree: Tree, *arguments: Any, **named: Any) -> Tree:
        """Break off, or write."""
        if tree.get("planId") == self._record:
            raise KeyError("Solskinn Testbarn")
        return self._real.write(tree, *arguments, **named)


class House:
    """One municipality under test: what its systems hold, what the hub knows, and the steps of sync."""

    def __init__(
        self,
        sandbox: Sandbox,
        real: Mapping[str, Connector],
        db: Database,
        keys: TenantKeys,
        moment: Time,
        folder: Path,
        states: dict[str, State],
    ) -> None:
        self.sandbox, self.world = sandbox, sandbox.world
        self.time, self.db = moment, db
        self.archive_folder = folder / "arkiv"
        self.archive_folder.mkdir()
        self._database = folder / "hub.db"
        self._states = states
        self._faulty: set[str] = set()
        self._ids = count(1)
        self._occurrences = count(1)
        self.detours = {name: Detour(connector) for name, connector in real.items()}
        target = FolderArchive(self.archive_folder, MUNICIPALITY_ORGNR, encrypt=None, clock=moment.now)
        self.tenant = Tenant(
            organisation_number=MUNICIPALITY_ORGNR,
            name=MUNICIPALITY_NAME,
            synthetic_ids=True,
            connections=self._connections(),
            rules=rules,
            archive=Archive(ARCHIVE, target, lambda _: ARCHIVE_SETTINGS),
            db=db,
            logs=LogStore(keys),
            inbox=Inbox(keys, self.new_id),
            work=WorkStore(MUNICIPALITY_ORGNR, self.new_id),
            now=moment.now,
            new_id=self.new_id,
        )

    def _connections(self) -> dict[str, Connection]:
        vigilo = Connection(
            id=VIGILO,
            services=frozenset({Service.KINDERGARTEN, Service.SCHOOL, Service.AFTER_SCHOOL}),
            readers="unit",
            mapping=MAPPINGS[VIGILO],
            connector=self.detours[VIGILO],
            first_contact="send",
            deliver=True,
            verified_ids=True,
        )
        own = {Service.HEALTH_STATION, Service.SCHOOL_HEALTH, Service.MIDWIFE, Service.NAV_REFUGEE, Service.FAMILY}
        samspill = replace(
            vigilo,
            id=SAMSPILL,
            services=frozenset({*own, Service.COORDINATING_UNIT}),
            readers=frozenset({Service.HEALTH_STATION, Service.FAMILY}),
            mapping=MAPPINGS[SAMSPILL],
            connector=self.detours[SAMSPILL],
        )
        return {VIGILO: vigilo, SAMSPILL: samspill}

    def new_id(self) -> str:
        """Make the next id; the same test makes the same ones."""
        return f"{next(self._ids):08x}-0000-4000-8000-000000000000"

    def settle(self, connection: str, **changes: Any) -> None:
        """Configure a connection otherwise."""
        changed = replace(self.tenant.connections[connection], **changes)
        self.tenant = replace(self.tenant, connections={**self.tenant.connections, connection: changed})

    def once(self, name: str, prepare: Callable[[], object]) -> None:
        """Bring the house to a state that the first test which asks for it prepares, and the others are given."""
        found = self._states.get(name)
        if found is None:
            prepare()
            copy = self._database.with_name(f"{name}.db")
            _copy(self._database, copy)
            world = {table: deepcopy(getattr(self.world, table)) for table in SYSTEMS}
            self._states[name] = State(copy, world, self.time.at, next(self._ids))
            return
        _copy(found.database, self._database)
        for table, held in found.world.items():
            getattr(self.world, table).update(deepcopy(held))
        self.time.at = found.at
        self._ids, self._occurrences = count(found.next_id), count(found.next_id)

    # --- what the systems hold ---------------------------------------------------------------------------------------

    def tell(self, *stories: Story, again: int = 0) -> list[Told]:
        """Enter stories, each about a child of its own, into the systems."""
        told = []
        for story in stories:
            number = len(self.world.tales)
            cast = Cast(Random(f"house/{number}"), TODAY, number, again)  # noqa: S311 - the same test tells the same
            told.append(story(cast))
            _enter(self.world, story.__name__, told[-1])
        return told

    def tell_many(self, story: Story, number: int) -> None:
        """Enter the same story about so many children."""
        self.tell(*[story] * number)

    def vigilo(self, number: int = 1) -> Tree:
        """Give the log with this number as Vigilo holds it, to look at or, followed by `saved`, to change."""
        return self.world.vigilo[f"vl-{number:06}"]

    def samspill(self, number: int = 1) -> Tree:
        """Give the plan with this number as Samspill holds it."""
        return self.world.samspill[f"P-{10_000 + number}"]

    def saved(self, record: Tree) -> None:
        """Let a system's own user save what a test changed in a record."""
        version, changed = ("versjon", "modifiedTime") if "versjon" in record else ("version", "changedAt")
        record[version] += 1
        record[changed] = instant(self.time.now())

    def received(self, system: str = "") -> list[str]:
        """Name the records that systems took changes to, in order."""
        return [entry.record_id for entry in self.world.received if not system or entry.system == system]

    def tell_all(self) -> None:
        """Enter every story, and do one cycle; what that leads to is the same for every test."""

        def prepare() -> None:
            self.tell(*ALL_STORIES)
            self.sync()

        self.once("all-stories", prepare)
        self.world.received.clear()
        self.time.after(hours=1)

    def at_rest(self) -> None:
        """Enter a shared log, and bring it to where nothing is left to send."""

        def prepare() -> None:
            self.tell(shared_level_2)
            self.sync()
            self.sync()

        self.once("shared-at-rest", prepare)
        self.world.received.clear()
        self.time.after(hours=1)

    def fault(self, system: str, **fault: Any) -> None:
        """Switch on a fault on a system's list, until it is used up or the house is left."""
        httpx.post(f"{self.sandbox.urls[system]}/_sandbox/fault", json=fault).raise_for_status()
        self._faulty.add(system)

    def mend(self) -> None:
        """Switch off the faults that are left: other houses stand on the same ground."""
        for system in self._faulty:
            httpx.delete(f"{self.sandbox.urls[system]}/_sandbox/fault").raise_for_status()

    # --- steps of sync -----------------------------------------------------------------------------------------------

    @property
    def cycle(self) -> Cycle:
        """Give the steps, by one worker."""
        return Cycle(self.tenant, "worker-1")

    def pull(self, connection: str) -> PullResult:
        """Pull a connection, as an occurrence of its own."""
        return self.cycle.pull_by_hand(self.tenant.connections[connection], f"test-{next(self._occurrences)}")

    def sync(self) -> CycleResult:
        """Do a whole cycle on all connections."""
        return self.cycle.whole(self.tenant.connections.values(), f"test-{next(self._occurrences)}")

    def deliver(self) -> CycleResult:
        """Attempt what is due."""
        result = CycleResult()
        self.cycle.deliver(result)
        return result

    def archive(self) -> list[str]:
        """Archive what is closed; give the deliveries that have proof."""
        result = CycleResult()
        self.cycle.archive(result)
        return result.archived

    # --- what the hub knows ------------------------------------------------------------------------------------------

    def rows(self, table: Table[Any], **where: object) -> list[Row[Any]]:
        """Give the rows of a table with these values, in the order of their making."""
        wanted = select(table).where(*(table.c[name] == value for name, value in where.items()))
        with self.db.read() as tx:
            # SQLite answers in that order by itself, PostgreSQL does not; the house's ids are counted.
            in_order = wanted if tx.dialect.name == "sqlite" else wanted.order_by(*table.primary_key)
            return list(tx.execute(in_order))

    def log_of(self, foreign_id: str) -> StoredLog:
        """Give the log that a system's record belongs to."""
        row = self.rows(records, foreign_id=foreign_id)[0]
        with self.db.read() as tx:
            return self.tenant.logs.load(tx, row.log_id)

    def holds(self) -> list[tuple[str, str]]:
        """Give the open holds: the connection's own name and the rule."""
        with self.db.read() as tx:
            found = self.tenant.inbox.open_holds(tx)
        return sorted(((hold.connection or "").rpartition("/")[2], hold.rule) for hold in found)

    def release(self, rule: str) -> None:
        """Let a person release every open hold of a rule."""
        with self.db.write() as tx:
            open_ones = update(holds).where(holds.c.rule == rule, holds.c.state == HoldState.OPEN)
            tx.execute(open_ones.values(state=HoldState.RELEASED, released_by="person", released_at=self.time.now()))

    def states(self, connection: str = "") -> list[str]:
        """Give the states of the deliveries, in order."""
        return [str(row.state) for row in self.rows(deliveries) if not connection or row.connection == connection]


MAPPINGS = {VIGILO: load_shipped("vigilo/stafettlogg"), SAMSPILL: load_shipped("samspill/stafettlogg")}


def _copy(source: Path, target: Path) -> None:
    """Copy a database that may be in use."""
    with closing(sqlite3.connect(source)) as of, closing(sqlite3.connect(target)) as to:
        of.backup(to)
