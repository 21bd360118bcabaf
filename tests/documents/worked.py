"""A log that a kindergarten has worked with on levels 0 and 1 and now refers to PPT, as tests of papers use it."""

from __future__ import annotations

from datetime import UTC, date, datetime

from hub.relaylog import codes as c
from hub.relaylog.model import (
    Actor,
    Concern,
    Consent,
    Evaluation,
    Goal,
    Guardian,
    LevelChange,
    Measure,
    Meeting,
    Note,
    OrgUnit,
    RelayLog,
    Signer,
    Subject,
)

LOG_ID = "c0a2f4a0-51d0-4f1a-8a26-53a9f6c6b3aa"
TODAY = date(2026, 11, 21)
HEALTH_TEXT = "Høyrselen er undersøkt hos helsestasjonen."
WELFARE_TEXT = "Barnevernet har vore på heimebesøk."

_KINDERGARTEN, _EDUCATION = c.Service.KINDERGARTEN, c.Part.EDUCATION


def consent(recipient: c.Service, *parts: c.Part, valid_to: date | None = None, **more: object) -> Consent:
    """Give a consent from the first of March by the mother, who lives with the father."""
    return Consent.model_validate(
        {
            "recipient": recipient,
            "parts": parts,
            "signed_by": (Signer(name="Solvår Testmor", role=c.SignerRole.MOTHER, on=date(2026, 3, 1)),),
            "status": c.ConsentStatus.GIVEN,
            "valid_from": date(2026, 3, 1),
            "valid_to": valid_to,
            "writer": _KINDERGARTEN,
            "part": _EDUCATION,
            **more,
        }
    )


def worked_log(**changes: object) -> RelayLog:
    """Give the log, with some of its fields otherwise."""
    return _LOG.model_copy(update=changes)


_LOG = RelayLog(
    id=LOG_ID,
    status=c.LogStatus.ACTIVE,
    level=c.BtiLevel.ONE_SERVICE,
    language="nn",
    opened_on=date(2026, 3, 1),
    changed_at=datetime(2026, 11, 2, 9, tzinfo=UTC),
    subject=Subject(
        name="Solskinn Testbarn",
        national_id="10915596784",  # an official example of a synthetic number
        birth_date=date(2022, 5, 4),
        address="Oppdikta veg 1",
        address_protection=c.AddressProtection.NONE,
    ),
    unit=OrgUnit(id="bhg-1", name="Tussebu barnehage", service=_KINDERGARTEN),
    holder=Actor(name="Blåklokke Testlærar", title="Pedagogisk leiar", service=_KINDERGARTEN),
    guardians=(
        Guardian(
            id="g1",
            name="Solvår Testmor",
            parental_responsibility=True,
            residence=c.Residence.TOGETHER,
            address_protection=c.AddressProtection.NONE,
        ),
    ),
    consents=(
        consent(c.Service.PPT, _EDUCATION, id="s1"),
        consent(c.Service.FAMILY, _EDUCATION, c.Part.HEALTH, id="s2"),
    ),
    concerns=(
        Concern(id="b1", text="Leiker lite med andre.", on=date(2026, 3, 2), writer=_KINDERGARTEN, part=_EDUCATION),
    ),
    goals=(Goal(id="m1", text="Får minst éin leikekamerat.", concern="b1", writer=_KINDERGARTEN, part=_EDUCATION),),
    measures=(
        Measure(
            id="t1",
            text="Leikegruppe med to andre kvar dag.",
            goal="m1",
            starts_on=date(2026, 3, 10),
            deadline=date(2026, 6, 1),
            evaluate_by=date(2026, 6, 10),
            status=c.MeasureStatus.CONTINUED,
            writer=_KINDERGARTEN,
            part=_EDUCATION,
        ),
        Measure(
            id="t2",
            text="Rettleiing i samspel.",
            starts_on=date(2026, 9, 1),
            deadline=date(2026, 11, 20),
            evaluate_by=date(2026, 11, 20),
            status=c.MeasureStatus.STARTED,
            writer=_KINDERGARTEN,
            part=_EDUCATION,
        ),
    ),
    evaluations=(
        Evaluation(
            id="v1",
            measure="t1",
            on=date(2026, 6, 9),
            effect=c.Effect.SOME,
            decision=c.Decision.CONTINUE,
            text="Tek meir initiativ.",
            writer=_KINDERGARTEN,
            part=_EDUCATION,
        ),
    ),
    meetings=(
        Meeting(
            id="mo1",
            kind=c.MeetingKind.EVALUATION,
            starts_at=datetime(2026, 6, 9, 11, tzinfo=UTC),
            writer=_KINDERGARTEN,
            part=_EDUCATION,
        ),
    ),
    notes=(
        Note(id="n1", text=HEALTH_TEXT, on=date(2026, 4, 1), writer=c.Service.HEALTH_STATION, part=c.Part.HEALTH),
        Note(
            id="n2", text=WELFARE_TEXT, on=date(2026, 4, 2), writer=c.Service.CHILD_WELFARE, part=c.Part.CHILD_WELFARE
        ),
    ),
    level_changes=(
        LevelChange(id="l1", level=c.BtiLevel.CLARIFY, on=date(2026, 3, 1), writer=_KINDERGARTEN, part=_EDUCATION),
        LevelChange(id="l2", level=c.BtiLevel.ONE_SERVICE, on=date(2026, 4, 1), writer=_KINDERGARTEN, part=_EDUCATION),
    ),
)
