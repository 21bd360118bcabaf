"""What a case of rights needs to be decided, which changes make sense, and when it stops a log."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.relaylog.codes import LogStatus
from hub.relaylog.rights import (
    BASES,
    EXTENSION,
    RESTRICTED,
    STOPPING,
    AskedBy,
    Basis,
    Extension,
    NoDecision,
    RightsCase,
    RightsDecision,
    RightsKind,
    RightsState,
    Ruling,
    carried_out,
    decided,
    due_on,
    extended,
    is_stopping,
    months_extended,
    must_be_archived,
)

GRANTED, REFUSED = RightsDecision.GRANTED, RightsDecision.REFUSED


def _ruling(decision: RightsDecision, basis: Basis, assessment: str = "Vurdert.", decider: str = "leiar-1") -> Ruling:
    return Ruling(decision, basis, assessment, decider)


@pytest.mark.parametrize(
    ("asked", "due"),
    [
        (date(2026, 11, 20), date(2026, 12, 20)),
        (date(2026, 12, 31), date(2027, 1, 31)),
        (date(2027, 1, 29), date(2027, 2, 28)),
        (date(2028, 1, 31), date(2028, 2, 29)),
    ],
)
def test_an_answer_is_due_a_month_after_the_demand(asked: date, due: date) -> None:
    """On the same day of the next month, or on its last where it has no such day."""
    assert due_on(asked) == due


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)))
def test_the_term_is_never_longer_than_a_month(asked: date) -> None:
    """From any day it is 28 to 31 days, so that nobody is given more time than the law gives."""
    assert 28 <= (due_on(asked) - asked).days <= 31


def _more(months: int, on: date, why: str = "Mange systemer.", who: str = "leiar-1") -> Extension:
    return Extension(months, why, who, on)


@pytest.mark.parametrize(
    ("asked", "months", "due"),
    [
        (date(2026, 11, 20), 1, date(2027, 1, 20)),
        (date(2026, 11, 20), 2, date(2027, 2, 20)),
        (date(2026, 12, 31), 1, date(2027, 2, 28)),
        (date(2026, 12, 31), 2, date(2027, 3, 31)),
    ],
)
def test_more_time_is_counted_from_the_demand(asked: date, months: int, due: date) -> None:
    """A month or two after the first one's end, and a short month between them takes no day from the last."""
    assert extended(RightsCase(RightsKind.ACCESS), asked, due_on(asked), _more(months, asked)) == due


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(0, EXTENSION), st.integers(-1, 4))
def test_a_term_is_never_extended_beyond_two_months_in_sum(asked: date, before: int, more: int) -> None:
    """Whatever was added before, the sum decides; how much was added is read from the days alone."""
    due = due_on(asked, before)
    assert months_extended(asked, due) == before
    answer = extended(RightsCase(RightsKind.ACCESS), asked, due, _more(more, asked))
    fits = more >= 1 and before + more <= EXTENSION
    assert answer == (due_on(asked, before + more) if fits else NoDecision.TOO_LONG)


def test_a_term_is_extended_within_the_first_month_alone() -> None:
    """On its last day it can be; the day after it can not, even where it was extended before."""
    case, asked = RightsCase(RightsKind.DELETION), date(2026, 11, 20)
    assert extended(case, asked, due_on(asked), _more(2, date(2026, 12, 20))) == date(2027, 2, 20)
    for due in (due_on(asked), due_on(asked, 1)):
        assert extended(case, asked, due, _more(1, date(2026, 12, 21))) is NoDecision.MONTH_OVER


def test_more_time_takes_an_open_case_a_reason_and_a_person() -> None:
    """A case that is decided or carried out has no term left; without words or a person nothing is extended."""
    case, asked = RightsCase(RightsKind.ACCESS), date(2026, 11, 20)
    due = due_on(asked)
    for state, why in ((RightsState.DECIDED, NoDecision.DECIDED), (RightsState.DONE, NoDecision.DONE)):
        assert extended(RightsCase(case.kind, state, REFUSED), asked, due, _more(1, asked)) is why
    assert extended(case, asked, due, _more(1, asked, why=" \n")) is NoDecision.NO_REASON
    assert extended(case, asked, due, _more(1, asked, who="")) is NoDecision.NO_DECIDER


@pytest.mark.parametrize("kind", list(RightsKind))
@pytest.mark.parametrize("decision", list(RightsDecision))
@pytest.mark.parametrize("basis", list(Basis))
def test_a_decision_rests_on_a_basis_of_its_kind(kind: RightsKind, decision: RightsDecision, basis: Basis) -> None:
    """Each kind has bases for granting and for refusing, and no other one will do."""
    answer = decided(RightsCase(kind), _ruling(decision, basis))
    fits = basis in BASES[kind, decision]
    assert answer == (RightsCase(kind, RightsState.DECIDED, decision) if fits else NoDecision.WRONG_BASIS)


def test_a_decision_takes_an_assessment_and_a_person() -> None:
    """Without words, or without somebody who decides, nothing is decided."""
    case = RightsCase(RightsKind.ACCESS)
    assert decided(case, _ruling(GRANTED, Basis.ACCESS, " \n")) is NoDecision.NO_ASSESSMENT
    assert decided(case, _ruling(GRANTED, Basis.ACCESS, decider="")) is NoDecision.NO_DECIDER


@pytest.mark.parametrize("status", list(LogStatus))
def test_whatever_has_begun_must_be_archived(status: LogStatus) -> None:
    """Only what has never been active is free of the duty; the archive's proof ends it for every log."""
    free = {LogStatus.DRAFT, LogStatus.AWAITING_CONSENT, LogStatus.REJECTED}
    assert must_be_archived(status, archived=False) == (status not in free)
    assert not must_be_archived(status, archived=True)


def test_a_log_that_must_be_archived_is_deleted_only_where_the_duty_is_lifted() -> None:
    """The right alone does not open for it; a named lifting does, and a refusal is always possible."""
    case = RightsCase(RightsKind.DELETION)
    assert decided(case, _ruling(GRANTED, Basis.DELETION), archive_duty=True) is NoDecision.ARCHIVE_DUTY
    assert decided(case, _ruling(GRANTED, Basis.DELETION)) == RightsCase(case.kind, RightsState.DECIDED, GRANTED)
    lifted = decided(case, _ruling(GRANTED, Basis.ARCHIVE_RELEASED), archive_duty=True)
    assert lifted == RightsCase(case.kind, RightsState.DECIDED, GRANTED)
    refused = decided(case, _ruling(REFUSED, Basis.PUBLIC_TASK), archive_duty=True)
    assert refused == RightsCase(case.kind, RightsState.DECIDED, REFUSED)


@pytest.mark.parametrize("kind", list(RightsKind))
@pytest.mark.parametrize("state", [RightsState.DECIDED, RightsState.DONE])
def test_only_what_still_stops_a_log_is_decided_again(kind: RightsKind, state: RightsState) -> None:
    """A granted objection or restriction may be decided against later; everything else is decided once."""
    against = _ruling(REFUSED, next(iter(BASES[kind, REFUSED])))
    answer = decided(RightsCase(kind, state, GRANTED), against)
    again = RightsCase(kind, RightsState.DECIDED, REFUSED)
    assert answer == (again if kind in STOPPING else NoDecision.DECIDED)
    assert decided(RightsCase(kind, state, REFUSED), against) is NoDecision.DECIDED


@pytest.mark.parametrize("kind", list(RightsKind))
def test_what_stops_a_log_stops_it_until_it_is_decided_against(kind: RightsKind) -> None:
    """From the day it is opened, through being granted and carried out; no other kind ever stops anything."""
    stands = [
        RightsCase(kind),
        *(RightsCase(kind, state, GRANTED) for state in (RightsState.DECIDED, RightsState.DONE)),
    ]
    assert [is_stopping(case) for case in stands] == [kind in STOPPING] * 3
    assert not is_stopping(RightsCase(kind, RightsState.DECIDED, REFUSED))
    assert RESTRICTED.of_log


@pytest.mark.parametrize("decision", list(RightsDecision))
def test_a_case_is_carried_out_once_and_after_its_decision(decision: RightsDecision) -> None:
    """An open case is not done, and one that is done is not done again."""
    case = RightsCase(RightsKind.CORRECTION, RightsState.DECIDED, decision)
    done = carried_out(case)
    assert done == RightsCase(RightsKind.CORRECTION, RightsState.DONE, decision)
    assert carried_out(RightsCase(RightsKind.CORRECTION)) is NoDecision.UNDECIDED
    assert isinstance(done, RightsCase)
    assert carried_out(done) is NoDecision.DONE


@pytest.mark.parametrize("codes", [RightsKind, RightsState, RightsDecision, AskedBy, Basis, NoDecision])
def test_every_code_has_its_words(codes: type[RightsKind]) -> None:
    """In bokmål, nynorsk and English; a code fits its column in the store."""
    assert all(each.label(language) for each in codes for language in ("nb", "nn", "en"))
    assert all(len(each) <= 16 for each in codes)
