"""The life of a log: what may follow what, from which level it starts, and that its end is obeyed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.relaylog.codes import BtiLevel, ClosedBy, LogStatus
from hub.relaylog.life import BY_FAMILY, ENDED, FOLLOWS, LifePolicy, Senseless, change, ended_by_family, reopened
from hub.relaylog.model import Closure, Note, RelayLog
from tests.relaylog.strategies import DAY

POLICY = LifePolicy()
ACTIVE = RelayLog(status=LogStatus.ACTIVE, level=BtiLevel.ONE_SERVICE)
CLOSED = ACTIVE.model_copy(update={"status": LogStatus.CLOSED, "closure": Closure(on=DAY, decided_by=ClosedBy.HOLDER)})
BY_GUARDIAN = CLOSED.model_copy(update={"closure": Closure(on=DAY, decided_by=ClosedBy.GUARDIAN)})
MORE = {"notes": (Note(id="n1", text="tekst"),)}


@pytest.mark.parametrize(
    ("before", "after", "makes_sense"),
    [
        (LogStatus.DRAFT, LogStatus.ACTIVE, True),
        (LogStatus.AWAITING_CONSENT, LogStatus.ACTIVE, True),
        (LogStatus.ACTIVE, LogStatus.PAUSED, True),
        (LogStatus.PAUSED, LogStatus.ACTIVE, True),
        (LogStatus.ACTIVE, LogStatus.DRAFT, False),
        (LogStatus.ACTIVE, LogStatus.AWAITING_CONSENT, False),
        (LogStatus.ACTIVE, LogStatus.ARCHIVED, False),
        (LogStatus.ACTIVE, LogStatus.UNKNOWN, False),
        (LogStatus.UNKNOWN, LogStatus.ACTIVE, True),
        (LogStatus.REJECTED, LogStatus.ACTIVE, False),
    ],
)
def test_which_status_follows_which(before: LogStatus, after: LogStatus, *, makes_sense: bool) -> None:
    """A log goes forward, pauses and resumes; it is archived only when closed and never becomes unknown."""
    found = change(ACTIVE.model_copy(update={"status": before}), ACTIVE.model_copy(update={"status": after}), POLICY)
    assert (Senseless.STATUS not in found) is makes_sense


def test_every_status_says_what_follows() -> None:
    """No status is forgotten."""
    assert set(FOLLOWS) == set(LogStatus)


@pytest.mark.parametrize(
    ("level", "starts_at", "found"),
    [
        (BtiLevel.ONE_SERVICE, BtiLevel.ONE_SERVICE, ()),
        (BtiLevel.CLARIFY, BtiLevel.ONE_SERVICE, (Senseless.TOO_LOW,)),
        (BtiLevel.ONE_SERVICE, BtiLevel.TWO_SERVICES, (Senseless.TOO_LOW,)),
        (BtiLevel.CLARIFY, BtiLevel.CLARIFY, ()),
        (None, BtiLevel.CLARIFY, (Senseless.NO_LEVEL,)),
    ],
)
def test_when_a_log_may_start(level: BtiLevel | None, starts_at: BtiLevel, found: tuple[Senseless, ...]) -> None:
    """From which level a log may be active is the municipality's to say; a draft may have any level or none."""
    draft = RelayLog(status=LogStatus.DRAFT, level=level)
    started = draft.model_copy(update={"status": LogStatus.ACTIVE})
    policy = LifePolicy(starts_at=starts_at)
    assert change(draft, started, policy) == found
    assert change(draft, draft, policy) == ()


def test_steps_are_local() -> None:
    """Where the municipality has steps for a level only those are known there; at other levels any word is."""
    policy = LifePolicy(steps={BtiLevel.ONE_SERVICE: ("kontakt", "tiltak")})
    assert change(ACTIVE, ACTIVE.model_copy(update={"step": "tiltak"}), policy) == ()
    other = ACTIVE.model_copy(update={"step": "drøfting"})
    assert change(ACTIVE, other, policy) == (Senseless.STEP,)
    assert change(ACTIVE, other.model_copy(update={"level": BtiLevel.TWO_SERVICES}), policy) == ()


def test_a_closing_says_when() -> None:
    """A log is not closed without a day."""
    assert change(ACTIVE, CLOSED, POLICY) == ()
    for closure in (None, Closure()):
        assert change(ACTIVE, CLOSED.model_copy(update={"closure": closure}), POLICY) == (Senseless.NOT_CLOSED,)


def test_what_is_closed_is_read_only() -> None:
    """After the end nothing changes but that it is archived; a later change is told, never written over."""
    archived = CLOSED.model_copy(update={"status": LogStatus.ARCHIVED})
    assert (
        change(CLOSED, CLOSED, POLICY) == change(CLOSED, archived, POLICY) == change(archived, archived, POLICY) == ()
    )
    for ended in (CLOSED, archived):
        assert change(ended, ended.model_copy(update=MORE), POLICY) == (Senseless.READ_ONLY,)
    assert change(archived, CLOSED, POLICY) == (Senseless.READ_ONLY,)


def test_a_later_change_is_a_new_version() -> None:
    """Reopened, the log is active with the change and without the closing; the closed one is as it was."""
    said = CLOSED.model_copy(update=MORE)
    again = reopened(CLOSED, said)
    assert again == said.model_copy(update={"status": LogStatus.ACTIVE, "closure": None})
    assert CLOSED.notes == ()
    assert reopened(ACTIVE, said) is Senseless.STATUS


@pytest.mark.parametrize("who", sorted(BY_FAMILY))
def test_the_familys_closing_is_obeyed(who: ClosedBy) -> None:
    """What the guardians or the youth closed is neither changed nor opened again by anybody."""
    closed = CLOSED.model_copy(update={"closure": Closure(on=DAY, decided_by=who)})
    assert ended_by_family(closed)
    assert change(closed, closed.model_copy(update={**MORE, "status": LogStatus.ACTIVE}), POLICY) == (
        Senseless.ENDED_BY_FAMILY,
    )
    assert reopened(closed, ACTIVE) is Senseless.ENDED_BY_FAMILY
    assert not ended_by_family(CLOSED)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.sampled_from(LogStatus), max_size=10))
def test_no_way_leads_back_from_the_end(wanted: list[LogStatus]) -> None:
    """Whatever statuses are tried one after another, an ended log stays ended."""
    log, ended = BY_GUARDIAN.model_copy(update={"status": LogStatus.ACTIVE}), False
    for status in wanted:
        tried = log.model_copy(update={"status": status})
        log = log if change(log, tried, POLICY) else tried
        assert not ended or log.status in ENDED
        ended = log.status in ENDED
