"""Whole relay logs for property tests, made from the model's own annotations so that no field is forgotten.

A log comes of one drawn seed and is made once: drawing each of its some two hundred values by itself would be many
times slower. Every text is a token of its own, found again wherever it ends up. Consents lean towards being valid, so
that parts open.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from functools import cache
from itertools import combinations
from random import Random
from typing import Any, Literal, Union, get_args, get_origin

from hypothesis import strategies as st

from hub.relaylog.codes import AddressProtection, ConsentStatus, LogStatus, Part, Residence, Service, SignerRole
from hub.relaylog.consent import ConsentPolicy
from hub.relaylog.gates import Rules
from hub.relaylog.model import COLLECTIONS, Consent, Element, Frozen, Guardian, RelayLog, Signer, references
from hub.relaylog.sharing import Sharing

DAY = date(2026, 11, 20)
RULES = Rules(Sharing(), ConsentPolicy())
READERS = tuple(service for service in Service if service is not Service.UNKNOWN)
_BUSY = (Service.SCHOOL, Service.PPT, Service.HEALTH_STATION, Service.CHILD_WELFARE, Service.FAMILY, Service.NAV)


class _Maker:
    """Makes one log. Ids and texts count upwards, so that each is found only where it was put."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - a test's seed
        self._count = 0
        self._plain: dict[Any, Callable[[], Any]] = {
            str: self._token,
            bool: lambda: self._random.random() < 0.5,
            int: lambda: self._random.randrange(5),
            date: self._date,
            type(None): lambda: None,
        }

    def log(self) -> RelayLog:
        """Make a log whose references lead to its own elements."""
        lists: dict[str, tuple[Element, ...]] = {}
        for name, model in COLLECTIONS.items():
            counts = (3, 4, 5) if model is Consent else (0, 1, 1, 2)
            lists[name] = tuple(self._element(model, lists) for _ in range(self._random.choice(counts)))
        guardians = [self._adult(element) for element in lists["guardians"] if isinstance(element, Guardian)]
        consents = [self._lean(element, guardians) for element in lists["consents"] if isinstance(element, Consent)]
        own = {name: self._field(RelayLog, name) for name in RelayLog.model_fields if name not in COLLECTIONS}
        return RelayLog(**{**own, **lists, "guardians": guardians, "consents": consents})

    def _token(self) -> str:
        self._count += 1
        return f"<{self._count}>"

    def _element(self, model: type[Element], lists: dict[str, tuple[Element, ...]]) -> Element:
        values = {name: self._field(model, name) for name in model.model_fields}
        for name, collection in references(model).items():
            values[name] = self._random.choice(["", *(element.id for element in lists[collection])])
        return model(**values)

    def _field(self, model: type[Frozen], name: str) -> Any:
        return self._of(model.model_fields[name].annotation)

    def _of(self, annotation: Any) -> Any:
        """Make a value of a type as the model declares it."""
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin in (Union, types.UnionType):
            return self._of(self._random.choice(arguments))
        if origin is tuple:
            return tuple(self._of(arguments[0]) for _ in range(self._random.choice((0, 1, 2))))
        if origin is Literal:
            return self._random.choice(arguments)
        if isinstance(annotation, type) and issubclass(annotation, Frozen):
            return annotation(**{name: self._field(annotation, name) for name in annotation.model_fields})
        if annotation is Service:
            return self._random.choice((*_BUSY, *_BUSY, *Service))
        if isinstance(annotation, type) and issubclass(annotation, Enum):
            return self._random.choice(list(annotation))
        return self._plain.get(annotation, self._instant)()

    def _date(self) -> date:
        return DAY - timedelta(days=self._random.randrange(-60, 7000))

    def _instant(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=self._random.randrange(500_000))

    def _adult(self, guardian: Guardian) -> Guardian:
        known = self._random.random() < 0.8
        changes = {"barred": not known, "parental_responsibility": True, "residence": Residence.TOGETHER}
        return guardian.model_copy(update=changes) if known else guardian

    def _lean(self, consent: Consent, guardians: list[Guardian]) -> Consent:
        """Make four of five consents valid on the day, as far as signatures go."""
        if self._random.random() < 0.2:
            return consent
        signers = [Signer(name=guardian.name, role=SignerRole.MOTHER) for guardian in guardians]
        roles = (SignerRole.YOUTH, SignerRole.PREGNANT)
        changes = {
            "recipient": self._random.choice(_BUSY),
            "status": ConsentStatus.GIVEN,
            "valid_from": DAY - timedelta(days=self._random.randrange(400)),
            "valid_to": None,
            "withdrawn_on": None,
            "parts": tuple(part for part in Part if self._random.random() < 0.6),
            "signed_by": (*signers, *(Signer(name="-", role=role) for role in roles)),
        }
        return consent.model_copy(update=changes)


@cache
def make_log(seed: int) -> RelayLog:
    """Make the log of a seed: the same seed, the same log."""
    return _Maker(seed).log()


def logs() -> st.SearchStrategy[RelayLog]:
    """Draw whole relay logs of every kind, also ones that no gate would let pass."""
    return st.integers(0, 2**32).map(lambda seed: make_log(seed % 1000))


def sendable(log: RelayLog) -> RelayLog:
    """Return the log without what stops it whoever reads: active, no violence, nobody protected or barred."""
    free = {"address_protection": AddressProtection.NONE}
    changes: dict[str, object] = {"status": LogStatus.ACTIVE, "violence": False}
    changes["subject"] = log.subject.model_copy(update=free)
    changes["guardians"] = tuple(one.model_copy(update={**free, "barred": False}) for one in log.guardians)
    changes["relatives"] = tuple(one.model_copy(update=free) for one in log.relatives)
    return log.model_copy(update=changes)


def _groups(services: tuple[Service, ...]) -> list[frozenset[Service]]:
    return [frozenset(group) for size in range(3) for group in combinations(services, size)]


_GROUPS = (*(6 * _groups(_BUSY)), *_groups(READERS))


def reader_sets() -> st.SearchStrategy[frozenset[Service]]:
    """Draw which services read behind a system, or work in it: none, one or two, mostly those that logs are about."""
    return st.sampled_from(_GROUPS)
