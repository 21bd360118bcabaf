"""The sharing ceiling: what a consent may open at most, per part. A consent can open less, never more.

Beside it stand the agreements without which nothing goes to a system that another controller answers for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from hub.relaylog.codes import Part, Service

Later = Literal["from_consent", "summary", "all"]

COMMON = frozenset(
    {
        Service.KINDERGARTEN,
        Service.SCHOOL,
        Service.AFTER_SCHOOL,
        Service.PPT,
        Service.HEALTH_STATION,
        Service.SCHOOL_HEALTH,
        Service.MIDWIFE,
        Service.THERAPY,
        Service.COORDINATING_UNIT,
        Service.NAV_REFUGEE,
        Service.CHILD_WELFARE,
        Service.FAMILY,
    }
)
"""Kindergarten, school, PPT, health, child welfare and the family: those who may read the common text at all."""


class Ceiling(BaseModel):
    """How far one part may go: to whom, whether a consent must name the part, what a later reader gets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    readers: frozenset[Service] = frozenset()
    must_be_named: bool = True
    child_asked: bool = False
    later: Later = "from_consent"


DEFAULT_CEILING: Mapping[Part, Ceiling] = MappingProxyType(
    {
        Part.EDUCATION: Ceiling(readers=COMMON, must_be_named=False),
        Part.PPT: Ceiling(readers=COMMON),
        Part.HEALTH: Ceiling(readers=COMMON),
        Part.CHILD_WELFARE: Ceiling(readers=frozenset({Service.FAMILY})),
        Part.CHILD_VOICE: Ceiling(readers=COMMON, child_asked=True),
        Part.ABOUT_OTHERS: Ceiling(),
        Part.CONTACT: Ceiling(),
        Part.OWN: Ceiling(),
    }
)
"""`contact` is opened to the holder by its own rule, `about_others` and `own` to nobody."""


class ControllerAgreement(BaseModel):
    """An agreement with another controller: for which services logs may go there, from which day, decided by whom.

    `controller` is the other's organisation number, `number` the agreement's own in the municipality's archive.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    controller: str = Field(min_length=1)
    number: str = Field(min_length=1)
    date: date
    by: str = Field(min_length=1)
    services: frozenset[Service] = Field(min_length=1)


class Sharing(BaseModel):
    """The municipality's sharing ceiling, the services whose part in a log is itself hidden, and its agreements."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parts: Mapping[Part, Ceiling] = Field(default_factory=lambda: dict(DEFAULT_CEILING))
    hidden_services: frozenset[Service] = frozenset({Service.CHILD_WELFARE})
    agreements: tuple[ControllerAgreement, ...] = ()

    def agreed(self, controller: str, services: Iterable[Service], day: date) -> bool:
        """Tell whether agreements with a controller that hold on a day cover every one of these services."""
        held = [each for each in self.agreements if each.controller == controller and each.date <= day]
        return bool(held) and frozenset(services) <= frozenset[Service]().union(*(each.services for each in held))

    def allows(self, part: Part, reader: Service, *, named: bool, child_asked: bool) -> bool:
        """Tell whether the ceiling lets a part reach a reader, given what the consent says."""
        ceiling = self.parts.get(part, Ceiling())
        return (
            reader in ceiling.readers
            and (named or not ceiling.must_be_named)
            and (child_asked or not ceiling.child_asked)
        )
