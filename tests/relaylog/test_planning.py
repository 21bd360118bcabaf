"""The plan after a log: when it is wanted, what stops it, and who may be ticked."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from hub.relaylog.codes import (
    AddressProtection,
    ClosureReason,
    ConsentStatus,
    LogStatus,
    Residence,
    Service,
)
from hub.relaylog.consent import ConsentPolicy
from hub.relaylog.gates import Rules
from hub.relaylog.model import Actor, Closure, Guardian, Party, RelayLog
from hub.relaylog.planning import BEFORE, Unfit, fitting, participant, plan_stops, plan_wanted
from hub.relaylog.sharing import Sharing
from tests.documents.worked import TODAY, consent, worked_log

RULES = Rules(Sharing(), ConsentPolicy())
ENDED = Closure(on=date(2026, 11, 1), reason=ClosureReason.INDIVIDUAL_PLAN)
MOTHER = worked_log().guardians[0]
FATHER = Guardian(
    id="g2", name="Stein Testfar", parental_responsibility=True, residence=Residence.TOGETHER, barred=True
)
PARTIES = (
    Party(id="p1", name="Kontakt Testlærar", service=Service.KINDERGARTEN),
    Party(id="p2", name="Helse Testsyster", service=Service.HEALTH_STATION),
    Party(id="p3", name="Vern Testvakt", service=Service.CHILD_WELFARE),
)


def _log(**changes: Any) -> RelayLog:
    ended = {"status": LogStatus.CLOSED, "closure": ENDED, "parties": PARTIES, "guardians": (MOTHER, FATHER)}
    return worked_log(**{**ended, **changes})


def test_a_plan_is_wanted_by_the_closing_that_names_one() -> None:
    """Another reason, or a log that is still active, asks for none."""
    assert plan_wanted(_log())
    assert plan_wanted(_log(status=LogStatus.ARCHIVED))
    assert not plan_wanted(_log(status=LogStatus.ACTIVE))
    assert not plan_wanted(_log(closure=Closure(on=ENDED.on, reason=ClosureReason.MOVED)))
    assert not plan_wanted(_log(closure=None))


def test_what_is_said_before_names_accounts_and_the_lasting_right_in_every_language() -> None:
    """Bokmål, nynorsk and English each tell of both."""
    assert all(word in BEFORE.nb for word in ("kontoer", "varig rett"))
    assert all(word in BEFORE.nn for word in ("kontoar", "varig rett"))
    assert all(word in BEFORE.en for word in ("accounts", "lasting right"))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"consents": ()}, "no_consent"),
        ({"violence": True}, "violence"),
        ({"subject": AddressProtection.STRICTLY_CONFIDENTIAL}, "address_protected"),
        ({"subject": AddressProtection.CLIENT_ADDRESS}, "address_protected"),
        ({"subject": AddressProtection.UNKNOWN}, "protection_unknown"),
    ],
)
def test_what_would_stop_the_log_stops_its_plan(changes: dict[str, Any], reason: str) -> None:
    """Without consent, with violence, and under any protection, the mildest too, the hub makes none."""
    grade = changes.pop("subject", None)
    subject = worked_log().subject.model_copy(update={"address_protection": grade or AddressProtection.NONE})
    log = _log(subject=subject, **({"consents": (consent(Service.HEALTH_STATION),)} | changes))
    found = plan_stops(log, {Service.HEALTH_STATION}, TODAY, RULES, there=False)
    assert reason in [stop.reason for stop in found]


def test_with_consent_nothing_stops_it() -> None:
    """Whoever reads there is named by a consent in force, and nobody is protected."""
    log = _log(consents=(consent(Service.HEALTH_STATION),))
    assert plan_stops(log, {Service.HEALTH_STATION}, TODAY, RULES, there=False) == ()


def test_where_the_log_is_already_its_readers_need_no_consent_but_a_refusal_counts() -> None:
    """They have the log of their own; what the family has refused or ended stops the plan there too."""
    readers = {Service.HEALTH_STATION}
    assert plan_stops(_log(consents=()), readers, TODAY, RULES, there=True) == ()
    for status in (ConsentStatus.REFUSED, ConsentStatus.WITHDRAWN, ConsentStatus.PENDING):
        ended = _log(consents=(consent(Service.HEALTH_STATION, status=status),))
        assert len(plan_stops(ended, readers, TODAY, RULES, there=True)) == 1
    violent = plan_stops(_log(consents=(), violence=True), readers, TODAY, RULES, there=True)
    assert [stop.reason for stop in violent] == ["violence"]


def test_who_can_be_ticked() -> None:
    """A guardian who may read, and parties of the holder's service or of one that a consent names."""
    log = _log(consents=(consent(Service.CHILD_WELFARE),), holder=Actor(name="x", service=Service.KINDERGARTEN))
    assert [one.id for one in fitting(log, TODAY, RULES)] == ["g1", "p1"]
    assert participant(log, "g2", TODAY, RULES) is Unfit.GUARDIAN
    assert participant(log, "p2", TODAY, RULES) is Unfit.NO_CONSENT
    assert participant(log, "p2", TODAY, RULES, frozenset({Service.HEALTH_STATION})) == PARTIES[1]
    assert participant(log, "p3", TODAY, RULES, frozenset({Service.CHILD_WELFARE})) is Unfit.SPECIAL
    assert participant(log, "", TODAY, RULES) is Unfit.UNKNOWN
    named = _log(consents=(consent(Service.HEALTH_STATION),))
    assert participant(named, "p2", TODAY, RULES) == PARTIES[1]


def test_no_guardian_takes_part_when_the_subject_is_of_age() -> None:
    """From eighteen nobody reads in another's place."""
    subject = worked_log().subject.model_copy(update={"birth_date": date(2007, 1, 1)})
    assert participant(_log(subject=subject), "g1", TODAY, RULES) is Unfit.GUARDIAN
