"""Rights of the people that a log is about, as cases: what was asked, what a decision needs, and which make sense.

A case is always decided by a person, with an assessment and the basis in law; nothing is deleted or refused by a rule
alone. An objection, or a demand that use be restricted, stops every sending from the day that it is
opened until it is decided against.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from types import MappingProxyType

from hub.relaylog.answers import Answer
from hub.relaylog.codes import LogStatus
from hub.relaylog.gates import Decider, Stop
from hub.relaylog.keeping import UNKEPT
from hub.relaylog.months import months_on


class RightsKind(Answer):
    """What somebody may ask for."""

    DELETION = "deletion", "Sletting", "Sletting", "Deletion"
    ACCESS = "access", "Innsyn", "Innsyn", "Access"
    CORRECTION = "correction", "Retting", "Retting", "Correction"
    OBJECTION = "objection", "Protest", "Protest", "Objection"
    RESTRICTION = "restriction", "Begrensning", "Avgrensing", "Restriction"


class RightsState(Answer):
    """Where a case is. `done`: what was decided is carried out, and whoever asked has been told."""

    OPEN = "open", "Venter på avgjørelse", "Ventar på avgjerd", "Awaits a decision"
    DECIDED = "decided", "Avgjort", "Avgjord", "Decided"
    DONE = "done", "Gjennomført", "Gjennomført", "Carried out"


class RightsDecision(Answer):
    """How a case was decided."""

    GRANTED = "granted", "Tatt til følge", "Teke til følgje", "Granted"
    REFUSED = "refused", "Avslått", "Avslått", "Refused"


class AskedBy(Answer):
    """Who asked, by role and never by name."""

    CHILD = "child", "Barnet eller ungdommen", "Barnet eller ungdommen", "The child or youth"
    GUARDIAN = "guardian", "En foresatt", "Ein føresett", "A guardian"
    OTHER = "other", "En annen", "Ein annan", "Somebody else"


class Basis(Answer):
    """The basis in law that a decision names."""

    EXCESSIVE = "gdpr_12_5", "GDPR art. 12 nr. 5", "GDPR art. 12 nr. 5", "GDPR article 12(5)"
    ACCESS = "gdpr_15", "GDPR art. 15", "GDPR art. 15", "GDPR article 15"
    OTHERS_RIGHTS = "gdpr_15_4", "GDPR art. 15 nr. 4", "GDPR art. 15 nr. 4", "GDPR article 15(4)"
    CORRECTION = "gdpr_16", "GDPR art. 16", "GDPR art. 16", "GDPR article 16"
    DELETION = "gdpr_17_1", "GDPR art. 17 nr. 1", "GDPR art. 17 nr. 1", "GDPR article 17(1)"
    PUBLIC_TASK = "gdpr_17_3_b", "GDPR art. 17 nr. 3 b", "GDPR art. 17 nr. 3 b", "GDPR article 17(3)(b)"
    ARCHIVING = "gdpr_17_3_d", "GDPR art. 17 nr. 3 d", "GDPR art. 17 nr. 3 d", "GDPR article 17(3)(d)"
    RESTRICTION = "gdpr_18_1", "GDPR art. 18 nr. 1", "GDPR art. 18 nr. 1", "GDPR article 18(1)"
    LIFTED = "gdpr_18_3", "GDPR art. 18 nr. 3", "GDPR art. 18 nr. 3", "GDPR article 18(3)"
    OBJECTION = "gdpr_21_1", "GDPR art. 21 nr. 1", "GDPR art. 21 nr. 1", "GDPR article 21(1)"
    NATIONAL_EXCEPTION = (
        "popplyl_16", "Personopplysningsloven § 16", "Personopplysningslova § 16", "Personal Data Act section 16"
    )  # fmt: skip
    ARCHIVE_RELEASED = (
        "archive_released", "Arkivplikten er opphevet for denne loggen (vedtaket står i vurderingen)",
        "Arkivplikta er oppheva for denne loggen (vedtaket står i vurderinga)",
        "The duty to archive is lifted for this log (the assessment names by what)",
    )  # fmt: skip


BASES: Mapping[tuple[RightsKind, RightsDecision], frozenset[Basis]] = MappingProxyType(
    {
        (RightsKind.DELETION, RightsDecision.GRANTED): frozenset({Basis.DELETION, Basis.ARCHIVE_RELEASED}),
        (RightsKind.DELETION, RightsDecision.REFUSED): frozenset(
            {Basis.DELETION, Basis.PUBLIC_TASK, Basis.ARCHIVING, Basis.EXCESSIVE}
        ),
        (RightsKind.ACCESS, RightsDecision.GRANTED): frozenset({Basis.ACCESS}),
        (RightsKind.ACCESS, RightsDecision.REFUSED): frozenset(
            {Basis.OTHERS_RIGHTS, Basis.NATIONAL_EXCEPTION, Basis.EXCESSIVE}
        ),
        (RightsKind.CORRECTION, RightsDecision.GRANTED): frozenset({Basis.CORRECTION}),
        (RightsKind.CORRECTION, RightsDecision.REFUSED): frozenset({Basis.CORRECTION, Basis.EXCESSIVE}),
        (RightsKind.OBJECTION, RightsDecision.GRANTED): frozenset({Basis.OBJECTION}),
        (RightsKind.OBJECTION, RightsDecision.REFUSED): frozenset({Basis.OBJECTION, Basis.EXCESSIVE}),
        (RightsKind.RESTRICTION, RightsDecision.GRANTED): frozenset({Basis.RESTRICTION}),
        (RightsKind.RESTRICTION, RightsDecision.REFUSED): frozenset({Basis.RESTRICTION, Basis.LIFTED, Basis.EXCESSIVE}),
    }
)
"""What a decision of each kind can rest on. A refusal may rest on the right itself: what it asks for is not there."""


class NoDecision(Answer):
    """Why a case cannot be changed so."""

    DECIDED = (
        "decided_already", "Saken er avgjort", "Saka er avgjord", "The case is decided already",
    )  # fmt: skip
    UNDECIDED = (
        "not_decided", "Saken er ikke avgjort ennå", "Saka er ikkje avgjord enno", "The case is not decided yet",
    )  # fmt: skip
    DONE = "done_already", "Saken er gjennomført", "Saka er gjennomført", "The case is carried out already"
    NO_ASSESSMENT = (
        "no_assessment", "En avgjørelse trenger en vurdering", "Ei avgjerd treng ei vurdering",
        "A decision takes an assessment",
    )  # fmt: skip
    NO_DECIDER = (
        "no_decider", "En avgjørelse tas av en person", "Ei avgjerd blir teken av ein person",
        "A decision is a person's",
    )  # fmt: skip
    WRONG_BASIS = (
        "wrong_basis", "Hjemmelen passer ikke til avgjørelsen", "Heimelen passar ikkje til avgjerda",
        "The basis does not fit the decision",
    )  # fmt: skip
    MONTH_OVER = (
        "month_over", "Fristen forlenges før den første måneden er ute",
        "Fristen blir forlengd før den første månaden er ute", "A term is extended within the first month",
    )  # fmt: skip
    TOO_LONG = (
        "too_long", "Fristen forlenges med én eller to måneder, og ikke mer enn to til sammen",
        "Fristen blir forlengd med éin eller to månader, og ikkje meir enn to til saman",
        "A term is extended by one or two months, and by no more than two in sum",
    )  # fmt: skip
    NO_REASON = (
        "no_reason", "En forlengelse trenger en grunn", "Ei forlenging treng ein grunn", "An extension takes a reason",
    )  # fmt: skip
    ARCHIVE_DUTY = (
        "archive_duty", "Loggen skal arkiveres, og arkivet har den ikke",
        "Loggen skal arkiverast, og arkivet har han ikkje", "The log must be archived, and is not in the archive",
    )  # fmt: skip


STOPPING = frozenset({RightsKind.OBJECTION, RightsKind.RESTRICTION})
"""The kinds that stop every sending while they stand."""

RESTRICTED = Stop(
    "restricted", Decider.RULE_OWNER, "the objection or restriction is decided against: `hub rights`", of_log=True
)
"""What such a case does: the log is kept, and goes nowhere. Archiving is no sending."""


@dataclass(frozen=True)
class RightsCase:
    """One case, as far as rules ask: what was asked, where it is, and how it was decided."""

    kind: RightsKind
    state: RightsState = RightsState.OPEN
    decision: RightsDecision | None = None


@dataclass(frozen=True)
class Ruling:
    """A decision as a person makes it: which, on what basis, after what assessment, and by whom (a user id)."""

    decision: RightsDecision
    basis: Basis
    assessment: str
    decider: str


@dataclass(frozen=True)
class Extension:
    """More time as a person takes it: how many months, why, by whom (a user id), and on what day."""

    months: int
    why: str = field(repr=False)
    who: str
    on: date


EXTENSION = 2
"""By how many months, in sum, the term to answer may be extended (GDPR article 12(3))."""


def due_on(asked_on: date, months: int = 0) -> date:
    """Return the last day to answer: one month after the demand (GDPR article 12(3)), in a shorter month its last.

    `months` is by how many months that term has been extended.
    """
    return months_on(asked_on, 1 + months)


def months_extended(asked_on: date, due: date) -> int:
    """Return by how many months a term has been extended, by its first and its last day."""
    return (due.year - asked_on.year) * 12 + due.month - asked_on.month - 1


def extended(case: RightsCase, asked_on: date, due: date, extension: Extension) -> date | NoDecision:
    """Return the new last day to answer, or why there can be none.

    Only an open case has a term, and it is extended within the first month: by then whoever asked is to be told.
    """
    if case.state is not RightsState.OPEN:
        return NoDecision.DONE if case.state is RightsState.DONE else NoDecision.DECIDED
    if not extension.who.strip():
        return NoDecision.NO_DECIDER
    if not extension.why.strip():
        return NoDecision.NO_REASON
    if extension.on > due_on(asked_on):
        return NoDecision.MONTH_OVER
    months = months_extended(asked_on, due) + extension.months
    if extension.months < 1 or months > EXTENSION:
        return NoDecision.TOO_LONG
    return due_on(asked_on, months)


def is_stopping(case: RightsCase) -> bool:
    """Tell whether a case stops every sending of its log. Carrying it out ends nothing: deciding against it does."""
    return case.kind in STOPPING and case.decision is not RightsDecision.REFUSED


def must_be_archived(status: LogStatus, *, archived: bool) -> bool:
    """Tell whether a log must be archived and is not: each that has begun. `archived` is the archive's own proof."""
    return status not in UNKEPT and not archived


def decided(case: RightsCase, ruling: Ruling, *, archive_duty: bool = False) -> RightsCase | NoDecision:
    """Return a case as it is decided, or why it cannot be decided so.

    A case is decided once; but what was granted and still stops a log may be decided against later, when its reason is
    gone. `archive_duty` tells that the log must be archived and is not: then it is deleted only where the duty is
    lifted.
    """
    lifts = is_stopping(case) and ruling.decision is RightsDecision.REFUSED
    if case.state is not RightsState.OPEN and not lifts:
        return NoDecision.DECIDED
    if not ruling.assessment.strip():
        return NoDecision.NO_ASSESSMENT
    if not ruling.decider.strip():
        return NoDecision.NO_DECIDER
    if ruling.basis not in BASES[case.kind, ruling.decision]:
        return NoDecision.WRONG_BASIS
    deletes = case.kind is RightsKind.DELETION and ruling.decision is RightsDecision.GRANTED
    if deletes and archive_duty and ruling.basis is not Basis.ARCHIVE_RELEASED:
        return NoDecision.ARCHIVE_DUTY
    return replace(case, state=RightsState.DECIDED, decision=ruling.decision)


def carried_out(case: RightsCase) -> RightsCase | NoDecision:
    """Return a decided case as carried out, or why it cannot be."""
    if case.state is RightsState.OPEN:
        return NoDecision.UNDECIDED
    if case.state is RightsState.DONE:
        return NoDecision.DONE
    return replace(case, state=RightsState.DONE)
