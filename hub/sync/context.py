"""What the steps of sync are given: one tenant's connections, rules and stores, and the clock. Wired in bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

from hub.connectors.archive.folder import Receipt
from hub.connectors.base import Connector, PlanMaker
from hub.documents.arkivmelding import ArchiveSettings
from hub.documents.package import Package
from hub.mappings.language import Mapping as TemplateMapping
from hub.relaylog.codes import Service
from hub.relaylog.gates import Rules
from hub.relaylog.model import RelayLog
from hub.store.database import Database
from hub.store.inbox import Inbox
from hub.store.logs import LogStore
from hub.store.work import WorkStore

OSLO = ZoneInfo("Europe/Oslo")


@dataclass(frozen=True)
class Connection:
    """One configured system: how it is spoken to, what its template means, and who reads behind it.

    `readers` are fixed services, or "unit": the service of the unit that the system's own record belongs to.
    `verified_ids` tells that its national ids come from the population register: only such ids match by themselves.
    `controller` answers for the system and `unit_controllers` for units, each known by organisation number; the
    municipality itself is "" or left out. `plans` makes individual plans there; None where people make them by hand.
    """

    id: str
    services: frozenset[Service]
    readers: frozenset[Service] | Literal["unit"]
    mapping: TemplateMapping
    connector: Connector
    first_contact: Literal["hold", "send"] = "hold"
    deliver: bool = False
    verified_ids: bool = False
    controller: str = ""
    unit_controllers: Mapping[str, str] = field(default_factory=dict)
    plans: PlanMaker | None = None

    def readers_of(self, seen: RelayLog) -> frozenset[Service]:
        """Return who can see what is sent to a record."""
        return frozenset({seen.unit.service}) if self.readers == "unit" else self.readers

    def other_controller(self, log: RelayLog, seen: RelayLog) -> str:
        """Return the other controller that a sending to a record must be agreed with; "" where there is none.

        What leaves a private kindergarten's log crosses over, and so does whatever others wrote that enters it.
        """
        of_unit = self.unit_controllers.get(seen.unit.organisation_number, "") if self.readers == "unit" else ""
        return self.controller or of_unit or self.unit_controllers.get(log.unit.organisation_number, "")


class ArchiveTarget(Protocol):
    """Where packages go. `deliver` returns only when the archive has proved that it has the package."""

    def deliver(self, package: Package, delivery_id: str) -> Receipt:
        """Hand over one package. Raises ArchiveUnavailable or ArchiveRefused."""

    def holds(self, delivery_id: str, proof: str) -> bool:
        """Tell whether the archive still has a delivery as its proof says. Raises as `deliver` does."""


@dataclass(frozen=True)
class Archive:
    """A tenant's archive: the target, its name, and the dated settings of what is written into it.

    `every_months` is how often logs that are not closed are archived too; None is never.
    """

    id: str
    target: ArchiveTarget
    settings: Callable[[date], ArchiveSettings | None]
    every_months: int | None = None


@dataclass(frozen=True)
class Tenant:
    """One municipality with all that its sync needs. `new_id` makes the hub's own ids."""

    organisation_number: str
    name: str
    synthetic_ids: bool
    connections: Mapping[str, Connection]
    rules: Callable[[date], Rules]
    archive: Archive | None
    db: Database
    logs: LogStore
    inbox: Inbox
    work: WorkStore
    now: Callable[[], datetime]
    new_id: Callable[[], str]

    def today(self) -> date:
        """Return the day that rules are asked on: the date in Norway."""
        return self.now().astimezone(OSLO).date()
