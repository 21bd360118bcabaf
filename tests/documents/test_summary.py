"""The summary for PPT and child welfare: it shows the work that was done, and nothing that is not opened to them."""

from __future__ import annotations

import re
from datetime import date, timedelta
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader

from hub.documents.summary import Period, periods
from hub.operate.opened import NotOpen, summary_pdf
from hub.relaylog.codes import (
    AddressProtection,
    BtiLevel,
    ClosureReason,
    ConsentStatus,
    LogStatus,
    Part,
    Service,
    SignerRole,
)
from hub.relaylog.consent import ConsentPolicy
from hub.relaylog.gates import Rules
from hub.relaylog.model import Closure, LevelChange, RelayLog, Signer
from hub.relaylog.sharing import Sharing
from tests.documents.worked import HEALTH_TEXT, TODAY, WELFARE_TEXT, consent, worked_log

_RULES = Rules(Sharing(), ConsentPolicy())
_WHY = "Tiltaka har verka noko, og vi ønskjer råd."


def _summary(log: RelayLog, recipient: Service = Service.PPT) -> bytes:
    return summary_pdf(log, recipient, _WHY, "Oppdikta kommune", TODAY, _RULES)


def _text(pdf: bytes) -> str:
    """Return what stands in a PDF, with every blank and line end as one space."""
    return re.sub(r"\s+", " ", " ".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages))


def test_a_referral_shows_purpose_work_by_level_measures_and_consent() -> None:
    """PPT reads why, what was done on levels 0 and 1, each measure with its outcome, and the consent it rests on."""
    text = _text(_summary(worked_log()))
    assert "BTI-oppsummering – Solskinn Testbarn" in text
    assert "Vedlegg til tilvising til PPT" in text
    assert _WHY in text
    assert "0 – avklaring 1. mars 2026 – 1. april 2026 1 0 0" in text
    assert "1 – innsats i éi teneste 1. april 2026 – no 1 1 1" in text
    assert "Leikegruppe med to andre kvar dag." in text
    assert "Utfall Noko, Vidareføre" in text
    assert "Gitt av Mor" in text


def test_what_the_consent_does_not_open_is_absent() -> None:
    """Health's note, child welfare's note and the address stay out, and child welfare is not mentioned at all."""
    text = _text(_summary(worked_log()))
    assert HEALTH_TEXT not in text
    assert WELFARE_TEXT not in text
    assert "Oppdikta veg" not in text
    assert "arnevern" not in text
    assert "Opna for mottakaren Barnehage og skule Laga" in text


def test_the_summary_is_pdf_a_and_ua_in_the_language_of_the_log_and_always_the_same() -> None:
    """The file says of itself that it keeps both standards, is in nynorsk or bokmål, and has no time of its making."""
    made = _summary(worked_log())
    reader = PdfReader(BytesIO(made))
    assert b"<pdfaid:part>2<" in made
    assert b"<pdfuaid:part>1<" in made
    assert str(reader.root_object["/Lang"]) == "nn-NO"
    assert "Vedlegg til henvisning til PPT" in _text(_summary(worked_log(language="nb")))
    assert made == _summary(worked_log())


def test_without_consent_there_is_no_summary() -> None:
    """Child welfare has no consent here: the error names the rule and the way, and no one."""
    with pytest.raises(NotOpen, match=r"no_consent: until .* a person writes outside the hub") as caught:
        _summary(worked_log(), Service.CHILD_WELFARE)
    assert "Solskinn" not in str(caught.value)
    withdrawn = worked_log(consents=(consent(Service.PPT, Part.EDUCATION, status=ConsentStatus.WITHDRAWN),))
    with pytest.raises(NotOpen, match="consent_withdrawn"):
        _summary(withdrawn)


def test_a_report_to_child_welfare_needs_a_consent_that_names_it() -> None:
    """With one, child welfare reads what it opens."""
    text = _text(
        _summary(worked_log(consents=(consent(Service.CHILD_WELFARE, Part.EDUCATION),)), Service.CHILD_WELFARE)
    )
    assert "Vedlegg til melding til barnevernstenesta" in text
    assert "Leikegruppe" in text
    assert HEALTH_TEXT not in text


@pytest.mark.parametrize("kept", ["violence", "protected"])
def test_a_special_rule_keeps_the_summary_back_and_is_not_told(kept: str) -> None:
    """A mark of violence or a protected address stops it; the error says only that there is a special rule."""
    protected = worked_log().subject.model_copy(update={"address_protection": AddressProtection.CONFIDENTIAL})
    log = worked_log(violence=True) if kept == "violence" else worked_log(subject=protected)
    with pytest.raises(NotOpen, match="særskilt regel") as caught:
        _summary(log)
    assert kept not in str(caught.value)


def test_a_log_without_dated_levels_is_one_period() -> None:
    """Where no system tells when the level changed, the whole time counts, and the document says so."""
    log = worked_log(level_changes=())
    assert periods(log) == (Period(BtiLevel.ONE_SERVICE, date(2026, 3, 1), None),)
    assert "Loggen seier ikkje når" in _text(_summary(log))


@given(st.lists(st.dates(date(2025, 1, 1), date(2026, 12, 31)), min_size=1), st.dates(date(2024, 1, 1)))
def test_every_day_since_the_first_change_is_on_one_level(changes: list[date], day: date) -> None:
    """Periods neither overlap nor leave a gap, in whatever order the changes came."""
    log = RelayLog(level_changes=tuple(LevelChange(level=BtiLevel.CLARIFY, on=on) for on in changes))
    assert sum(period.holds(day) for period in periods(log)) == (day >= min(changes))
    assert not any(period.holds(min(changes) - timedelta(days=1)) for period in periods(log))


def test_a_copy_for_a_new_municipality_holds_what_the_new_consent_names_and_no_place() -> None:
    """The work from before the move is in it, health's is not, and where the family went is left out."""
    moved = Closure(on=date(2026, 11, 2), reason=ClosureReason.MOVED, text="Til Nyvik.", continues_as="Nyvik kommune")
    signed = (Signer(name="Solvår Testmor", role=SignerRole.MOTHER, on=date(2026, 11, 9)),)
    new: dict[str, Any] = {"valid_from": date(2026, 11, 9), "signed_by": signed, "recipient_unit": "Nyvik kommune"}
    given = consent(Service.EXTERNAL, Part.EDUCATION, **new)
    text = _text(_summary(worked_log(status=LogStatus.CLOSED, closure=moved, consents=(given,)), Service.EXTERNAL))
    assert "Kopi til ny kommune, etter nytt samtykke" in text
    assert "Leikegruppe med to andre kvar dag." in text
    assert HEALTH_TEXT not in text
    assert "yvik" not in text


def test_there_is_no_copy_of_a_log_that_was_not_moved() -> None:
    """The error says why, and names nobody."""
    with pytest.raises(NotOpen, match="not closed because the family moved") as caught:
        _summary(worked_log(), Service.EXTERNAL)
    assert "Solskinn" not in str(caught.value)
