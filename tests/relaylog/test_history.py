"""What a reader gets through a whole history of consents, against a judge that replays the history day by day.

The judge knows the municipalities' rules, not the code: it walks the calendar, keeps one answer per reader, and says
for each text on each day whether it may be seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.relaylog.codes import (
    AddressProtection,
    ConsentStatus,
    GoalStatus,
    LogStatus,
    MeasureStatus,
    Part,
    Residence,
    Service,
    SignerRole,
)
from hub.relaylog.consent import ConsentPolicy
from hub.relaylog.gates import Rules, stops
from hub.relaylog.merge import System, merge
from hub.relaylog.model import (
    Actor,
    Consent,
    Goal,
    Guardian,
    Measure,
    Meeting,
    Note,
    Relative,
    RelayLog,
    Signer,
    Subject,
)
from hub.relaylog.sharing import DEFAULT_CEILING, Later, Sharing
from hub.relaylog.view import texts, view
from tests.relaylog.strategies import DAY, RULES

FIRST = date(2026, 1, 1)
SPAN = 120
READERS = (Service.PPT, Service.SCHOOL, Service.FAMILY)
PARTS = (Part.EDUCATION, Part.PPT, Part.HEALTH, Part.CHILD_VOICE, Part.CHILD_WELFARE, Part.OWN, Part.ABOUT_OTHERS)
days = st.integers(0, SPAN).map(lambda number: FIRST + timedelta(days=number))


@dataclass(frozen=True)
class Given:
    """One consent of the scenario, as a family would tell it."""

    reader: Service
    begins: date
    parts: frozenset[Part]
    by: frozenset[str]
    ends: date | None
    withdrawn: date | None
    refused: bool
    asked: bool


@dataclass(frozen=True)
class Story:
    """A child, what was consented to, and what was written when."""

    born: date
    opened_on: date
    given: tuple[Given, ...]
    written: tuple[tuple[Part, date | None], ...]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Draw a child near a birthday that matters, or far from one, and up to six consents on different days."""
    age = draw(st.sampled_from((9, 15, 16, 18)))
    birthday = draw(days)
    given_ = st.builds(
        Given,
        reader=st.sampled_from(READERS),
        begins=days,
        parts=st.frozensets(st.sampled_from(PARTS), min_size=1),
        by=st.sampled_from((frozenset({"mother"}), frozenset({"youth"}), frozenset({"mother", "youth"}))),
        ends=st.none() | days,
        withdrawn=st.none() | st.none() | days,
        refused=st.sampled_from((False, False, False, True)),
        asked=st.booleans(),
    )
    consents = st.lists(given_, min_size=1, max_size=6, unique_by=lambda one: (one.reader, one.begins))
    return Story(
        born=birthday.replace(year=birthday.year - age),
        opened_on=draw(days),
        given=tuple(draw(consents)),
        written=tuple((part, draw(st.none() | days)) for part in PARTS),
    )


# --- the judge ---------------------------------------------------------------------------------------------------


def _age(story: Story, on: date) -> int:
    return on.year - story.born.year - ((on.month, on.day) < (story.born.month, story.born.day))


def _good(story: Story, one: Given, on: date) -> bool:
    """Judge a consent by itself: signed by those of its first day, not ended, and a grown person's own."""
    age = _age(story, one.begins)
    needed = {"youth"} if age >= 16 else {"mother", "youth"} if age == 15 else {"mother"}
    if one.refused or not needed <= one.by or (one.ends and on > one.ends):
        return False
    if _age(story, on) >= 18:
        return "youth" in one.by and (one.reader is not Service.FAMILY or _age(story, one.begins) >= 18)
    return True


def _stands(story: Story, reader: Service) -> dict[date, Given | None]:
    """Replay the calendar: the latest consent replaces the one before, and a withdrawal ends whatever stands."""
    standing: dict[date, Given | None] = {}
    latest: Given | None = None
    taken_back = False
    for number in range(SPAN + 1):
        today = FIRST + timedelta(days=number)
        mine = [one for one in story.given if one.reader is reader]
        for one in mine:
            if one.begins == today:
                latest, taken_back = one, one.withdrawn is not None and one.withdrawn <= today
        taken_back = taken_back or any(one.withdrawn == today for one in mine)
        open_ = latest is not None and not taken_back and _good(story, latest, today)
        standing[today] = latest if open_ else None
    return standing


def _names(one: Given | None, part: Part, reader: Service) -> bool:
    if one is None or part in (Part.OWN, Part.ABOUT_OTHERS):
        return False
    if part is Part.EDUCATION:
        return True
    if part is Part.CHILD_VOICE:
        return part in one.parts and one.asked
    return part in one.parts and (part is not Part.CHILD_WELFARE or reader is Service.FAMILY)


def _may_see(story: Story, reader: Service, part: Part, written: date | None, on: date) -> bool:
    standing = _stands(story, reader)
    if not _names(standing[on], part, reader):
        return False
    since = on
    while since > FIRST and _names(standing[since - timedelta(days=1)], part, reader):
        since -= timedelta(days=1)
    return since <= story.opened_on or (written is not None and written >= since)


# --- the log of a story ------------------------------------------------------------------------------------------

_SIGNERS = {
    "mother": Signer(name="Solskinn Testmor", role=SignerRole.MOTHER),
    "youth": Signer(name="Skybrudd Testbarn", role=SignerRole.YOUTH),
}
_WRITERS = {Part.CHILD_WELFARE: Service.CHILD_WELFARE}


def _log(story: Story, protection: AddressProtection = AddressProtection.NONE) -> RelayLog:
    consents = tuple(
        Consent(
            id=f"c{number}",
            recipient=one.reader,
            status=ConsentStatus.REFUSED if one.refused else ConsentStatus.GIVEN,
            parts=tuple(one.parts),
            valid_from=one.begins,
            valid_to=one.ends,
            withdrawn_on=one.withdrawn,
            child_asked=one.asked,
            signed_by=tuple(_SIGNERS[name] for name in sorted(one.by)),
        )
        for number, one in enumerate(story.given)
    )
    notes = tuple(
        Note(
            id=part, text=f"<{part}>", part=part, writer=_WRITERS.get(part, Service.HEALTH_STATION), written_on=written
        )
        for part, written in story.written
    )
    mother = Guardian(
        id="g1",
        name="Solskinn Testmor",
        parental_responsibility=True,
        residence=Residence.TOGETHER,
        address_protection=AddressProtection.NONE,
    )
    return RelayLog(
        status=LogStatus.ACTIVE,
        subject=Subject(birth_date=story.born, address_protection=AddressProtection.NONE),
        opened_on=story.opened_on,
        guardians=(mother,),
        relatives=(Relative(id="r1", address_protection=protection),),
        consents=consents,
        notes=notes,
    )


def _system(name: str, seen: RelayLog, agreed: RelayLog, *services: Service) -> System:
    return System(name, frozenset(services), seen, agreed, agreed)


@settings(deadline=None, max_examples=400)
@given(stories(), st.sampled_from(READERS), days)
def test_a_reader_sees_what_the_judge_allows_and_no_more(story: Story, reader: Service, on: date) -> None:
    """On every day of every history the texts in a view are exactly those that consent opens to the reader that day."""
    shown = {note.text for note in view(_log(story), (reader,), on, RULES).notes}
    allowed = {f"<{part}>" for part, written in story.written if _may_see(story, reader, part, written, on)}
    assert shown == allowed


@settings(deadline=None, max_examples=150)
@given(stories(), st.sampled_from(READERS), days, st.sampled_from(AddressProtection))
def test_what_stops_holds_through_every_history(
    story: Story, reader: Service, on: date, protection: AddressProtection
) -> None:
    """Where no consent stands the log is stopped, a sibling's protection stops it besides, and neither ever shows."""
    log = _log(story, protection)
    reasons = {stop.reason for stop in stops(log, (reader,), on, RULES)}
    assert bool(reasons - {"address_protected", "free_text_unread"}) is (_stands(story, reader)[on] is None)
    strict = protection is AddressProtection.STRICTLY_CONFIDENTIAL
    other = protection in (AddressProtection.CONFIDENTIAL, AddressProtection.CLIENT_ADDRESS)
    assert ("address_protected" in reasons, "free_text_unread" in reasons) == (strict, other)


@settings(deadline=None, max_examples=100)
@given(stories(), stories(), st.sampled_from(READERS), days)
def test_a_second_systems_no_survives_the_merge(story: Story, other: Story, reader: Service, on: date) -> None:
    """Where two systems hold the same consents, one withdrawn in either is withdrawn: no text is seen after it."""
    mine = _log(story)
    withdrawn = tuple(
        consent.model_copy(update={"withdrawn_on": FIRST, "status": ConsentStatus.WITHDRAWN})
        for consent in mine.consents
        if consent.recipient is reader
    )
    kept = tuple(consent for consent in mine.consents if consent.recipient is not reader)
    theirs = mine.model_copy(update={"consents": (*withdrawn, *kept), "notes": _log(other).notes})
    merged = merge(mine, [_system("vigilo", mine, mine), _system("samspill", theirs, mine)]).log
    assert not [text for _, _, text in texts(view(merged, (reader,), on, RULES))]


# --- history, by hand --------------------------------------------------------------------------------------------

OLD, NEW = DAY - timedelta(days=30), DAY
INVITED = Consent(
    id="c1",
    recipient=Service.PPT,
    status=ConsentStatus.GIVEN,
    parts=(Part.EDUCATION, Part.HEALTH),
    valid_from=DAY - timedelta(days=10),
    signed_by=(_SIGNERS["mother"],),
)
LATER = RelayLog(
    opened_on=DAY - timedelta(days=60),
    subject=Subject(birth_date=date(2017, 1, 1)),
    guardians=(Guardian(id="g1", name="Solskinn Testmor", parental_responsibility=True, residence=Residence.TOGETHER),),
    consents=(INVITED,),
    goals=(Goal(id="m1", text="<mål>", status=GoalStatus.ONGOING, part=Part.EDUCATION, written_on=OLD),),
    measures=(
        Measure(
            id="t1",
            text="<gammelt>",
            status=MeasureStatus.STARTED,
            goal="m1",
            deadline=NEW,
            responsible=Actor(name="<hvem>", service=Service.PPT),
            part=Part.EDUCATION,
            written_on=OLD,
        ),
        Measure(id="t2", text="<nytt>", part=Part.EDUCATION, written_on=NEW),
        Measure(id="t3", text="<uten dato>", part=Part.EDUCATION),
    ),
    meetings=(
        Meeting(
            id="s1",
            starts_at=datetime(2026, 10, 1, 9, tzinfo=UTC),
            attendees=("<til stede>",),
            minutes="<referat>",
            part=Part.EDUCATION,
        ),
    ),
)


def _seen(later: Later, log: RelayLog = LATER) -> RelayLog:
    ceiling = DEFAULT_CEILING[Part.EDUCATION].model_copy(update={"later": later})
    rules = Rules(Sharing(parts={**DEFAULT_CEILING, Part.EDUCATION: ceiling}), ConsentPolicy())
    return view(log, (Service.PPT,), DAY, rules)


def test_from_consent_gives_what_is_new() -> None:
    """A service invited later gets what was written from its consent on; what has no day counts as older."""
    shown = _seen("from_consent")
    assert [one.id for one in shown.measures] == ["t2"]
    assert (shown.goals, shown.meetings) == ((), ())


def test_all_gives_everything() -> None:
    """Where the municipality says all, a service invited later gets the whole history."""
    assert _seen("all").measures == LATER.measures
    assert _seen("all").meetings == LATER.meetings


def test_a_summary_says_what_and_when_without_a_word() -> None:
    """Of the older, codes, dates and what belongs together are shown, and neither texts nor people."""
    shown = _seen("summary")
    assert shown.measures == (
        Measure(id="t1", status=MeasureStatus.STARTED, goal="m1", deadline=NEW, part=Part.EDUCATION, written_on=OLD),
        LATER.measures[1],
        Measure(id="t3", part=Part.EDUCATION),
    )
    assert shown.goals == (Goal(id="m1", status=GoalStatus.ONGOING, part=Part.EDUCATION, written_on=OLD),)
    assert shown.meetings == (Meeting(id="s1", starts_at=LATER.meetings[0].starts_at, part=Part.EDUCATION),)


@pytest.mark.parametrize(("opened_on", "whole"), [(DAY, True), (INVITED.valid_from, True), (None, False)])
def test_who_was_there_from_the_start_gets_everything(opened_on: date | None, *, whole: bool) -> None:
    """A consent from the day the log was opened, or before, is no later invitation; of an unknown day nobody knows."""
    log = LATER.model_copy(update={"opened_on": opened_on})
    assert (_seen("from_consent", log).measures == LATER.measures) is whole


def test_a_renewal_does_not_take_the_history_away() -> None:
    """Who renews a consent the day after the old one ends goes on from where that began."""
    first = INVITED.model_copy(
        update={"id": "c0", "valid_from": DAY - timedelta(days=60), "valid_to": DAY - timedelta(11)}
    )
    assert _seen("from_consent", LATER.model_copy(update={"consents": (first, INVITED)})).measures == LATER.measures


def test_any_system_may_tighten_a_part_and_only_its_writers_may_loosen_it() -> None:
    """A part tightened anywhere closes the text in the next view, and loosened by another than the writer it stays."""
    note = Note(id="n1", text="<notat>", part=Part.EDUCATION, writer=Service.SCHOOL, written_on=DAY)
    agreed = LATER.model_copy(update={"notes": (note,)})
    ppt = frozenset({Service.PPT})

    def told(part: Part) -> RelayLog:
        return agreed.model_copy(update={"notes": (note.model_copy(update={"part": part}),)})

    unchanged = _system("vigilo", agreed, agreed)
    tightened = merge(agreed, [_system("hk", told(Part.OWN), agreed, Service.PPT), unchanged])
    assert view(agreed, ppt, DAY, RULES).notes == agreed.notes
    assert view(tightened.log, ppt, DAY, RULES).notes == ()
    own = told(Part.OWN)
    loosened = merge(own, [_system("hk", told(Part.EDUCATION), own, Service.PPT), _system("vigilo", own, own)])
    assert view(loosened.log, ppt, DAY, RULES).notes == ()
    by_writer = merge(own, [_system("vigilo", told(Part.EDUCATION), own, Service.SCHOOL), _system("hk", own, own)])
    assert view(by_writer.log, ppt, DAY, RULES).notes == agreed.notes
