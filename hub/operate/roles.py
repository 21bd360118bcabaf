"""Who may do what to which log: grants by role, unit and service, asked before anything is opened for a person.

Running the hub opens no log; opening one takes a role for it, and the parts with stricter confidentiality (health,
child welfare) a grant of their own. Where a municipality has no grants, nobody may open anything; only a sandbox,
whose children are made up, then lets all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from hub.operate.settings import Grant, TenantSettings
from hub.operate.settings.model import Role
from hub.relaylog.codes import Part, Service
from hub.relaylog.model import RelayLog
from hub.relaylog.protection import texts
from hub.store.database import Database
from hub.store.events import Action, append

OWN_GRANT: Mapping[Part, Literal["health", "child_welfare"]] = MappingProxyType(
    {Part.HEALTH: "health", Part.CHILD_WELFARE: "child_welfare"}
)
"""The parts that a grant has to name before a log with text in them is opened."""


class Act(StrEnum):
    """What a person asks to do."""

    READ = "read"
    REASON = "reason"
    DECIDE = "decide"
    CONTROL = "control"
    BREACH = "breach"
    INSIGHT = "insight"
    RIGHTS = "rights"
    RULE_RIGHTS = "rule_rights"


class NotAllowed(Exception):
    """A person may not do what was asked for. Says why and what would let them."""


@dataclass(frozen=True)
class LogFacts:
    """What a role is held against: where a log belongs, who holds it, which parts would be opened.

    `unit` has every name that the unit goes by. `addressed_to` is the role that a hold, conflict or proposal waits for.
    """

    unit: frozenset[str] = frozenset()
    service: Service = Service.UNKNOWN
    holder: str = field(default="", repr=False)
    parts: frozenset[Part] = frozenset()
    addressed_to: str = ""


@dataclass(frozen=True)
class Allowed:
    """The person may, by this grant; None where a sandbox has no grants."""

    by: Grant | None


@dataclass(frozen=True)
class Refused:
    """The person may not; `why` says what is missing, without a name."""

    why: str


_OPENS = frozenset({Role.HOLDER, Role.UNIT_LEADER, Role.CASE_READER})
_MAY: Mapping[Act, frozenset[Role]] = MappingProxyType(
    {
        Act.READ: _OPENS,
        Act.REASON: _OPENS | {Role.RULE_OWNER, Role.ARCHIVIST},
        Act.DECIDE: frozenset({Role.HOLDER, Role.UNIT_LEADER, Role.RULE_OWNER, Role.ARCHIVIST, Role.OPERATOR}),
        Act.CONTROL: frozenset({Role.UNIT_LEADER, Role.DATA_PROTECTION_OFFICER}),
        Act.BREACH: frozenset({Role.DATA_PROTECTION_OFFICER, Role.AUDITOR}),
        Act.INSIGHT: frozenset({Role.DATA_PROTECTION_OFFICER, Role.AUDITOR}),
        Act.RIGHTS: _OPENS | {Role.RULE_OWNER, Role.DATA_PROTECTION_OFFICER},
        Act.RULE_RIGHTS: frozenset({Role.UNIT_LEADER, Role.RULE_OWNER}),
    }
)
"""The roles that may do each act at all."""


def may(
    user: str, act: Act, facts: LogFacts, now: datetime, grants: Iterable[Grant], purpose: str = ""
) -> Allowed | Refused:
    """Tell whether a user may do something to a log on a day, and by which grant; pure.

    The answer for one who lacks several things names the one that is closest to enough.
    """
    mine = [grant for grant in grants if grant.user == user and grant.holds_on(now.date())]
    reasons = [_lacks(grant, act, facts, purpose) for grant in mine]
    for grant, reason in zip(mine, reasons, strict=True):
        if reason is None:
            return Allowed(grant)
    roles = ", ".join(sorted(_fitting(act, facts)))
    lacks = [reason for reason in reasons if reason]
    closest = max(lacks, key=lambda reason: reason.step, default=_Lack(0, f"this takes the role {roles}"))
    return Refused(closest.why.replace("ROLES", roles))


@dataclass(frozen=True)
class _Lack:
    """What a grant lacks, and how far it got: a later step is closer to enough."""

    step: int
    why: str


def _fitting(act: Act, facts: LogFacts) -> frozenset[Role]:
    """Return the roles that may do an act; to decide, only who it waits for, and the leader in a holder's place."""
    if act not in (Act.DECIDE, Act.REASON) or not facts.addressed_to:
        return _MAY[act]
    asked = {role for role in Role if role == facts.addressed_to}
    return _MAY[act] & (asked | {Role.UNIT_LEADER} if Role.HOLDER in asked else asked)


def _lacks(grant: Grant, act: Act, facts: LogFacts, purpose: str) -> _Lack | None:
    """Return what keeps a grant from being enough; None where nothing does."""
    if grant.role not in _fitting(act, facts):
        return _Lack(1, "this takes the role ROLES")
    if not _reaches(grant, facts):
        return _Lack(2, f"the role {grant.role} is granted for other units, services or logs")
    if grant.role is Role.CASE_READER and not purpose:
        return _Lack(3, f"the role {grant.role} takes a purpose: --purpose")
    missing = sorted(OWN_GRANT[part] for part in facts.parts & OWN_GRANT.keys() if OWN_GRANT[part] not in grant.parts)
    return _Lack(4, f"the log has text of {missing[0]}, which takes a grant of its own (`parts`)") if missing else None


def _reaches(grant: Grant, facts: LogFacts) -> bool:
    """A holder reaches own logs only, a leader own units; others what their grant names, or all where it names none."""
    if grant.role is Role.HOLDER and (not grant.known_as or grant.known_as != facts.holder):
        return False
    if grant.role is Role.UNIT_LEADER and not grant.units:
        return False
    in_unit = not grant.units or not facts.unit.isdisjoint(grant.units)
    return in_unit and (not grant.services or facts.service in grant.services)


def facts_of(log: RelayLog, tenant: TenantSettings, parts: Collection[Part] | None = None) -> LogFacts:
    """Return what roles are held against for a log. `parts` are those that are opened; all that have text if left out.

    A unit goes by its id, number and name in the log, and by those of the configured unit that it is.
    """
    names = names_of({log.unit.id, log.unit.organisation_number, log.unit.name} - {""}, tenant)
    written = frozenset(part for _, part, _ in texts(log))
    opened = written if parts is None else written & frozenset(parts)
    return LogFacts(names, log.unit.service, log.holder.name if log.holder else "", opened)


def names_of(called: Collection[str], tenant: TenantSettings) -> frozenset[str]:
    """Return what units go by that are called so: that, and every name of the configured units that they are."""
    names = frozenset(called)
    for unit in tenant.units:
        own = {unit.id, unit.organisation_number, unit.name}
        names |= own if names & own else set()
    return names


@dataclass(frozen=True)
class Door:
    """Where a person asks before something is opened. Refusals are written in the log of events.

    `lets_all` is a sandbox's: where a tenant has no grants, everybody may.
    """

    db: Database
    tenant: TenantSettings
    now: datetime
    lets_all: bool

    def ask(self, user: str, act: Act, facts: LogFacts, subject: tuple[str, str], purpose: str = "") -> Allowed:
        """Let a user do something to a subject, given by kind and id. Raises NotAllowed, and NotACode for no user id.

        A holder, leader or reader who opens a log is written down by whoever opens it.
        """
        grants = self.tenant.roles
        if grants is None and self.lets_all:
            return Allowed(None)
        answer = may(user, act, facts, self.now, grants or (), purpose)
        if isinstance(answer, Allowed):
            return answer
        number = self.tenant.organisation_number
        with self.db.of(number).write() as tx:
            append(tx, number, Action.PERSON_ACCESS_REFUSED, *subject, user, self.now, act=act.value)
        where = f"config/tenants/{number}/roles.yaml"
        remedy = f"Grants stand in {where}" if grants is not None else f"There are none: make {where}"
        raise NotAllowed(f"Not allowed: {answer.why}. {remedy}")
