"""Control rounds: each check finds exactly what a leader must look at, and shows ids and dates alone."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime
from io import BytesIO, StringIO

import pytest
from pypdf import PdfReader

from hub.documents.control import CHECKS, DATES, Check, ControlPage, Finding, control_csv, control_pdf, lines, terms
from hub.operate.control import control_round
from hub.relaylog import codes as c
from hub.relaylog.codes import Language
from hub.relaylog.model import Actor, Handover, Measure, Note, Party, RelayLog, Signer
from tests.documents.worked import LOG_ID, TODAY, consent, worked_log

DAY = date(2026, 11, 1)


def _round(*logs: RelayLog, idle_days: int = 60) -> ControlPage:
    return control_round(logs, "Tussebu", TODAY, idle_days=idle_days)


def _found(check: Check, log: RelayLog, idle_days: int = 60) -> list[tuple[date | None, int]]:
    """Return what one check found in a log: the date and the number."""
    findings = dict(_round(log, idle_days=idle_days).findings)[check]
    assert {finding.log_id for finding in findings} <= {LOG_ID}
    return [(finding.on, finding.number) for finding in findings]


def test_active_and_paused_logs_are_controlled_and_closed_ones_are_not() -> None:
    """A round lists the open logs of the unit, with the day that each was opened."""
    logs = (worked_log(id="b", status=c.LogStatus.PAUSED), worked_log(id="a"), worked_log(status=c.LogStatus.CLOSED))
    opened = date(2026, 3, 1)
    assert dict(_round(*logs).findings)[Check.ACTIVE] == (Finding("a", opened), Finding("b", opened))


def test_measures_past_their_deadline_count_until_they_have_ended() -> None:
    """The deadline itself is not past; the oldest one is shown, and an ended measure is not counted."""
    assert _found(Check.OVERDUE, worked_log()) == [(date(2026, 6, 1), 2)]
    measures = (
        Measure(id="t1", deadline=TODAY, status=c.MeasureStatus.STARTED),
        Measure(id="t2", deadline=DAY, status=c.MeasureStatus.GOAL_REACHED),
        Measure(id="t3", status=c.MeasureStatus.STARTED),
    )
    assert _found(Check.OVERDUE, worked_log(measures=measures)) == []


def test_a_measure_whose_evaluation_is_due_and_missing_is_found() -> None:
    """One that was evaluated, or stopped, is not; one that waits for it is, even without a date."""
    assert _found(Check.NOT_EVALUATED, worked_log()) == [(date(2026, 11, 20), 1)]
    waiting = Measure(id="t3", status=c.MeasureStatus.TO_EVALUATE)
    assert _found(Check.NOT_EVALUATED, worked_log(measures=(waiting,))) == [(None, 1)]
    stopped = Measure(id="t3", evaluate_by=DAY, status=c.MeasureStatus.STOPPED)
    assert _found(Check.NOT_EVALUATED, worked_log(measures=(stopped,))) == []


def test_a_log_without_a_holder_or_whose_holder_has_left_is_found() -> None:
    """The participation of who holds has ended, or nobody is named; a holder who takes part is no finding."""
    assert _found(Check.NO_HOLDER, worked_log(holder=None)) == [(None, 1)]
    assert _found(Check.NO_HOLDER, worked_log(holder=Actor(title="Lærar"))) == [(None, 1)]
    holder = Party(name="Blåklokke Testlærar", role=c.Role.HOLDER, to_on=DAY)
    assert _found(Check.NO_HOLDER, worked_log(parties=(holder,))) == [(DAY, 1)]
    back = holder.model_copy(update={"to_on": None})
    assert _found(Check.NO_HOLDER, worked_log(parties=(holder, back))) == []
    assert _found(Check.NO_HOLDER, worked_log()) == []


def test_an_offered_baton_that_nobody_answered_is_found() -> None:
    """An accepted or declined offer waits for nobody."""
    offers = (
        Handover(offered_on=DAY, answer=c.BatonAnswer.OFFERED),
        Handover(offered_on=date(2026, 10, 1), answer=c.BatonAnswer.DECLINED),
    )
    assert _found(Check.BATON_WAITING, worked_log(handovers=offers)) == [(DAY, 1)]
    assert _found(Check.BATON_WAITING, worked_log(handovers=offers[1:])) == []


def test_no_activity_counts_from_the_term_that_is_asked_for() -> None:
    """The last change was 19 days ago, in Norway; a log of unknown change is found, with no date."""
    late = datetime(2026, 11, 1, 23, 30, tzinfo=UTC)  # the second of November in Norway
    assert _found(Check.IDLE, worked_log(changed_at=late), idle_days=19) == [(date(2026, 11, 2), 1)]
    assert _found(Check.IDLE, worked_log(changed_at=late), idle_days=20) == []
    assert _found(Check.IDLE, worked_log(changed_at=None)) == [(None, 1)]


def test_a_consent_that_runs_out_is_found_unless_a_later_one_takes_its_place() -> None:
    """Within thirty days, or run out already; a longer one to the same service, or a withdrawal, ends the question."""
    soon, past, later = date(2026, 12, 21), date(2026, 10, 1), date(2026, 12, 22)
    ending = consent(c.Service.PPT, valid_to=soon)
    assert _found(Check.CONSENT_ENDING, worked_log(consents=(ending,))) == [(soon, 1)]
    assert _found(Check.CONSENT_ENDING, worked_log(consents=(consent(c.Service.PPT, valid_to=later),))) == []
    both = (consent(c.Service.PPT, valid_to=past), consent(c.Service.SCHOOL, valid_to=soon))
    assert _found(Check.CONSENT_ENDING, worked_log(consents=both)) == [(past, 2)]
    assert _found(Check.CONSENT_ENDING, worked_log(consents=(ending, consent(c.Service.PPT)))) == []
    expired = consent(c.Service.PPT, status=c.ConsentStatus.EXPIRED)
    assert _found(Check.CONSENT_ENDING, worked_log(consents=(expired,))) == [(None, 1)]
    gone = consent(c.Service.PPT, valid_to=soon, withdrawn_on=DAY)
    assert _found(Check.CONSENT_ENDING, worked_log(consents=(gone,))) == []


def test_what_guardians_signed_runs_out_when_the_child_comes_of_age() -> None:
    """The day before the eighteenth birthday is the last of it; what the youth has signed as well goes on."""
    soon = worked_log().subject.model_copy(update={"birth_date": date(2008, 12, 1)})
    guardian, youth = (Signer(name="N. N.", role=role) for role in (c.SignerRole.MOTHER, c.SignerRole.YOUTH))
    by_guardian = consent(c.Service.PPT, signed_by=(guardian,))
    by_both = consent(c.Service.PPT, signed_by=(guardian, youth))
    assert _found(Check.CONSENT_ENDING, worked_log(subject=soon, consents=(by_guardian,))) == [(date(2026, 11, 30), 1)]
    assert _found(Check.CONSENT_ENDING, worked_log(subject=soon, consents=(by_both,))) == []
    assert _found(Check.CONSENT_ENDING, worked_log(consents=(by_guardian,))) == []


def test_nobody_has_talked_with_the_child_since_the_last_meeting() -> None:
    """A conversation on the day of the meeting or later will do; a pregnant woman's log has no child to talk with."""
    met = date(2026, 6, 9)
    before, after = (Note(kind=c.NoteKind.CHILD_CONVERSATION, on=date(2026, 6, day)) for day in (8, 9))
    assert _found(Check.CHILD_NOT_HEARD, worked_log(notes=(before,))) == [(met, 1)]
    assert _found(Check.CHILD_NOT_HEARD, worked_log(notes=(before, after))) == []
    assert _found(Check.CHILD_NOT_HEARD, worked_log(meetings=())) == []
    pregnant = worked_log().subject.model_copy(update={"kind": c.SubjectKind.PREGNANT})
    assert _found(Check.CHILD_NOT_HEARD, worked_log(subject=pregnant)) == []


def test_the_csv_has_a_row_for_each_finding_and_no_name() -> None:
    """A spreadsheet opens it: semicolons, the mark of UTF-8, codes that stay the same in every language."""
    made = control_csv(_round(worked_log())).decode("utf-8-sig")
    rows = list(csv.DictReader(StringIO(made), delimiter=";"))
    assert [row["check"] for row in rows] == ["active", "overdue", "not_evaluated", "child_not_heard"]
    assert rows[1] == {
        "unit": "Tussebu", "controlled_on": "2026-11-21", "check": "overdue", "log": LOG_ID, "date": "2026-06-01",
        "number": "2",
    }  # fmt: skip
    assert "Test" not in made


@pytest.mark.parametrize(("language", "word"), [("nb", "Sykmelding"), ("nn", "Sjukmelding"), ("en", "sick leave")])
def test_the_paper_says_in_each_language_what_is_not_known(language: Language, word: str) -> None:
    """A holder's absence stands on the page as something that the leader must look at."""
    made = control_pdf(_round(worked_log()), "Oppdikta kommune", language)
    text = " ".join(page.extract_text() for page in PdfReader(BytesIO(made)).pages)
    assert word in text
    assert CHECKS[Check.OVERDUE].text(language) in text
    assert "Testbarn" not in text


@pytest.mark.parametrize("language", ["nb", "nn", "en"])
def test_the_screen_shows_the_words_of_every_finding(language: Language) -> None:
    """Each line says what was looked at, which log, and what its date is; the terms are told once."""
    page = _round(worked_log(changed_at=None))
    told = list(lines(page, language))
    assert [line[0] for line in told] == [CHECKS[check].text(language) for check, found in page.findings if found]
    assert (CHECKS[Check.ACTIVE].text(language), LOG_ID, DATES[Check.ACTIVE].text(language), "2026-03-01", "1") in told
    assert "60" in terms(page, language)
    assert "30" in terms(page, language)
