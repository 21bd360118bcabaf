"""Views: what leaves is open to every reader or goes back to its writer, and hidden services leave no trace."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hub.relaylog.codes import ClosureReason, LogStatus, Part, Service, part_of
from hub.relaylog.gates import parts_open_to
from hub.relaylog.model import (
    Actor,
    Closure,
    Consent,
    Element,
    Frozen,
    Guardian,
    Handover,
    InvolvedService,
    LevelChange,
    Measure,
    Note,
    OrgUnit,
    Party,
    RelayLog,
    Subject,
    Template,
)
from hub.relaylog.protection import UNSHARED, is_veiled, texts
from hub.relaylog.view import view
from tests.relaylog.strategies import DAY, RULES, logs, reader_sets, sendable

HIDDEN = Service.CHILD_WELFARE
NOBODY: frozenset[Service] = frozenset()
TOKEN = re.compile(r"<\d+>")


def any_logs() -> st.SearchStrategy[RelayLog]:
    """Draw logs in which somebody is often protected, and logs in which nobody is."""
    return st.one_of(logs(), logs().map(sendable))


def _open_to_all(log: RelayLog, readers: frozenset[Service]) -> frozenset[Part]:
    opened = [parts_open_to(log, reader, DAY, RULES) for reader in readers]
    return frozenset.intersection(*opened) if opened else frozenset()


def _tokens(value: Frozen) -> set[str]:
    return set(TOKEN.findall(value.model_dump_json()))


def _everything(log: RelayLog) -> Iterator[Frozen]:
    yield from (log, log.subject, log.unit, *(element for _, element in log.elements()))
    yield from (value for value in (log.holder, log.closure) if value)


@settings(deadline=None, max_examples=400)
@given(any_logs(), reader_sets(), reader_sets())
def test_a_text_is_open_to_all_readers_or_their_own(
    log: RelayLog, readers: frozenset[Service], own: frozenset[Service]
) -> None:
    """Every text in a view has a part that consent and ceiling open to every reader, or was written by `own`."""
    opened = _open_to_all(log, readers)
    for element, part, _ in texts(view(log, readers, DAY, RULES, own)):
        assert part in opened or element.writer in own


@settings(deadline=None, max_examples=150)
@given(any_logs(), reader_sets())
def test_some_texts_never_leave(log: RelayLog, readers: frozenset[Service]) -> None:
    """Own notes, text about others, extensions, attachments and contact details of the family appear in no view."""
    shown = _tokens(view(log, readers, DAY, RULES))
    kept: set[str] = set()
    for name, element in log.elements():
        if name in UNSHARED:
            kept |= _tokens(element)
        if isinstance(element, Note | Measure) and element.part in (Part.OWN, Part.ABOUT_OTHERS):
            kept |= _tokens(element.model_copy(update={"concern": "", "goal": ""})) - {element.id}
    kept |= {token for relative in log.relatives for token in (relative.name, relative.relation)}
    kept |= {log.template.id, log.template.version}
    assert kept.isdisjoint(shown)


@settings(deadline=None, max_examples=150)
@given(any_logs(), reader_sets())
def test_contact_is_for_the_holders_service_alone(log: RelayLog, readers: frozenset[Service]) -> None:
    """Telephone, e-mail, address and guardians' national ids reach only readers who are the holder's service."""
    shown = _tokens(view(log, readers, DAY, RULES))
    contact = {log.subject.address}
    for adult in (*log.guardians, *log.parties, *(measure.responsible for measure in log.measures), log.holder):
        if adult is not None:
            contact |= {getattr(adult, name, "") for name in ("phone", "email", "address", "national_id")}
    holds = log.holder is not None and readers == {log.holder.service} and log.holder.service is not Service.FAMILY
    assert holds or contact.isdisjoint(shown)


def _of_hidden(log: RelayLog) -> Iterator[Frozen]:
    """Yield all that child welfare wrote, takes part in or is named by."""
    for _, element in log.elements():
        services = {element.writer, getattr(element, "service", None), getattr(element, "recipient", None)}
        if HIDDEN in services or part_of(HIDDEN) is element.part:
            yield element
    for actor in _actors(log):
        if actor.service is HIDDEN:
            yield actor
    if log.unit.service is HIDDEN:
        yield log.unit


def _actors(log: RelayLog) -> Iterator[Actor]:
    named = [log.holder, *(measure.responsible for measure in log.measures)]
    for handover in log.handovers:
        named += [handover.from_holder, handover.to_holder]
    yield from (actor for actor in named if actor)


@settings(deadline=None, max_examples=400)
@given(any_logs(), reader_sets())
def test_child_welfare_leaves_no_trace(log: RelayLog, readers: frozenset[Service]) -> None:
    """To others than the family and itself neither a value of child welfare nor its name is in a view."""
    assume(not readers or not readers <= {Service.FAMILY, HIDDEN})
    shown = view(log, readers, DAY, RULES)
    hidden = [value for value in _of_hidden(log) if not (isinstance(value, Consent) and value.recipient in readers)]
    # That an id is referred to tells nothing of whose it is, and a guardian may have signed elsewhere too.
    common = {element.id for _, element in log.elements()} | {guardian.name for guardian in log.guardians}
    traces = {token for value in hidden for token in _tokens(value)} - common
    consents = tuple(consent for consent in shown.consents if consent.recipient not in readers)
    assert traces.isdisjoint(_tokens(shown.model_copy(update={"consents": consents})))
    if HIDDEN not in readers:
        assert HIDDEN.value not in shown.model_copy(update={"consents": consents}).model_dump_json()


def test_one_who_may_know_does_not_tell_the_others() -> None:
    """In a system where both child welfare and the school read, child welfare is as hidden as from the school."""
    consent = Consent(id="c1", recipient=HIDDEN)
    log = RelayLog(parties=(Party(id="p1", name="Torden Testkurator", service=HIDDEN),), consents=(consent,))
    assert view(log, {HIDDEN}, DAY, RULES).parties == log.parties
    assert view(log, {Service.FAMILY}, DAY, RULES).parties == log.parties
    assert view(log, {HIDDEN, Service.SCHOOL}, DAY, RULES).parties == ()
    assert view(log, {Service.FAMILY, Service.SCHOOL}, DAY, RULES).parties == ()


def test_a_baton_that_child_welfare_held_is_not_shown() -> None:
    """A handover to or from a hidden service is absent, not shown with a gap."""
    handovers = (
        Handover(id="h1", from_holder=Actor(service=Service.SCHOOL), to_holder=Actor(service=HIDDEN)),
        Handover(id="h2", from_holder=Actor(service=Service.SCHOOL), to_holder=Actor(service=Service.FAMILY)),
    )
    log = RelayLog(unit=OrgUnit(service=Service.SCHOOL), handovers=handovers)
    assert [one.id for one in view(log, {Service.SCHOOL}, DAY, RULES).handovers] == ["h2"]


def test_a_log_of_child_welfare_does_not_name_its_unit() -> None:
    """Where child welfare owns the log, neither the unit nor who opened it there is shown."""
    log = RelayLog(unit=OrgUnit(name="Barnevernkontoret", service=HIDDEN), opened_by="Torden Testkurator")
    shown = view(log, {Service.SCHOOL}, DAY, RULES)
    assert (shown.unit, shown.opened_by) == (OrgUnit(), "")
    assert view(log, {Service.FAMILY}, DAY, RULES).unit == log.unit


def test_a_scope_that_names_child_welfare_is_for_whom_it_was_given_to() -> None:
    """A consent that names child welfare's part is shown to its recipient and to no other service."""
    consent = Consent(id="c1", recipient=Service.SCHOOL, parts=(Part.EDUCATION, Part.CHILD_WELFARE))
    log = RelayLog(consents=(consent,))
    assert view(log, {Service.SCHOOL}, DAY, RULES).consents == (consent,)
    assert view(log, {Service.PPT}, DAY, RULES).consents == ()


@settings(deadline=None, max_examples=150)
@given(logs().map(sendable), reader_sets())
def test_the_frame_stays(log: RelayLog, readers: frozenset[Service]) -> None:
    """Ids, status, level, dates and the subject's name are in every view, and so is a holder who is not hidden."""
    shown = view(log, readers, DAY, RULES)
    for field in ("id", "source", "status", "level", "step", "opened_on", "changed_at", "language", "violence"):
        assert getattr(shown, field) == getattr(log, field)
    assert shown.subject == log.subject.model_copy(update={"address": shown.subject.address})
    if log.holder is not None and log.holder.service is not HIDDEN:
        assert shown.holder is not None
        assert shown.holder.name == log.holder.name
    if log.closure is not None:
        assert shown.closure is not None
        assert (shown.closure.on, shown.closure.reason) == (log.closure.on, log.closure.reason)
    written = {element.id for element in log.guardians if element.writer is not HIDDEN}
    assert {one.id for one in shown.guardians} >= {one.id for one in log.guardians if one.id in written} - {
        one.id for one in log.guardians if one.part is Part.CHILD_WELFARE
    }


@settings(deadline=None, max_examples=150)
@given(any_logs(), reader_sets(), reader_sets())
def test_a_view_of_a_view_is_the_view(log: RelayLog, readers: frozenset[Service], own: frozenset[Service]) -> None:
    """Restricting twice is restricting once, where neither consents, signers, holder nor a reader are hidden."""
    assume(HIDDEN not in readers or readers <= {HIDDEN, Service.FAMILY})
    hidden = [
        element
        for element in (*log.consents, *log.guardians)
        if element.writer is HIDDEN or (element.part is Part.CHILD_WELFARE and isinstance(element, Guardian))
    ]
    assume(not hidden)
    # A veiled view does not say who holds, and so not why the holder's service is told of.
    assume(log.holder is None or not is_veiled(log))
    once = view(log, readers, DAY, RULES, own)
    assert view(once, readers, DAY, RULES, own) == once


@settings(deadline=None, max_examples=150)
@given(any_logs(), reader_sets())
def test_a_view_only_takes_away(log: RelayLog, readers: frozenset[Service]) -> None:
    """A view holds nothing that the log does not hold, and each of its elements is one of the log's."""
    shown = view(log, readers, DAY, RULES)
    assert _tokens(shown) <= _tokens(log)
    ids = {(name, element.id) for name, element in log.elements()}
    assert {(name, element.id) for name, element in shown.elements()} <= ids


@settings(deadline=None, max_examples=100)
@given(any_logs(), reader_sets(), reader_sets())
def test_more_readers_see_less(log: RelayLog, some: frozenset[Service], others: frozenset[Service]) -> None:
    """No text is in the view of two groups together that is not in the view of each."""
    assume(some and others)
    together = {(e.id, text) for e, _, text in texts(view(log, some | others, DAY, RULES))}
    for group in (some, others):
        assert together <= {(e.id, text) for e, _, text in texts(view(log, group, DAY, RULES))}


@settings(deadline=None, max_examples=100)
@given(any_logs())
def test_a_view_of_nobody_holds_no_text(log: RelayLog) -> None:
    """Without readers nothing but the frame is left."""
    assert list(texts(view(log, NOBODY, DAY, RULES))) == []


@settings(deadline=None, max_examples=100)
@given(any_logs(), reader_sets())
def test_a_view_leaves_the_log_as_it_was(log: RelayLog, readers: frozenset[Service]) -> None:
    """Making a view changes nothing in the log."""
    before = log.model_dump_json()
    view(log, readers, DAY, RULES)
    assert log.model_dump_json() == before


def _frame(part: Part, writer: Service) -> RelayLog:
    """Make a log with free text in each place of its frame."""
    school = Actor(name="Vindstille Testlærer", service=Service.SCHOOL)
    elements: dict[str, tuple[Element, ...]] = {
        "parties": (Party(id="p1", service=Service.SCHOOL, task="oppgåve", part=part, writer=writer),),
        "handovers": (
            Handover(id="h1", from_holder=school, to_holder=school, reason="grunn", part=part, writer=writer),
        ),
        "level_changes": (LevelChange(id="l1", on=DAY, reason="nivågrunn", part=part, writer=writer),),
        "services": (InvolvedService(id="s1", service=Service.SCHOOL, part=part, writer=writer),),
    }
    closure = Closure(on=DAY, reason=ClosureReason.MOVED, text="avslutning")
    unit = OrgUnit(service=writer)
    return RelayLog(status=LogStatus.CLOSED, holder=school, unit=unit, closure=closure).model_copy(update=elements)


def _free(log: RelayLog) -> list[str]:
    assert log.closure is not None
    return [log.parties[0].task, log.handovers[0].reason, log.level_changes[0].reason, log.closure.text]


def test_free_text_of_the_frame_follows_its_part() -> None:
    """Task, reasons and explanation are withheld like any text of their part, while what they stand in stays."""
    log = _frame(Part.HEALTH, Service.HEALTH_STATION)
    assert _free(view(log, {Service.SCHOOL}, DAY, RULES)) == ["", "", "", ""]
    own = view(log, {Service.SCHOOL}, DAY, RULES, frozenset({Service.HEALTH_STATION}))
    assert _free(own) == _free(log)


def test_free_text_of_the_frame_opens_with_its_part() -> None:
    """Where a consent names the part, the frame's free text is shown."""
    consent = Consent(
        id="c1", recipient=Service.SCHOOL, status="given", parts=(Part.HEALTH,), valid_from=date(2026, 1, 1),
        signed_by=({"name": "-", "role": "pregnant"},),
    )  # fmt: skip
    log = _frame(Part.HEALTH, Service.HEALTH_STATION).model_copy(
        update={"consents": (consent,), "subject": Subject(kind="pregnant"), "opened_on": date(2026, 1, 1)}
    )
    assert _free(view(log, {Service.SCHOOL}, DAY, RULES)) == _free(log)
    assert _free(view(log, {Service.SCHOOL, Service.PPT}, DAY, RULES)) == ["", "", "", ""]


def test_whom_no_consent_names_is_absent() -> None:
    """People and units of services that no consent names, or of no known service, are not shown; the holder is."""
    parties = (
        Party(id="p1", service=Service.SCHOOL),
        Party(id="p2", service=Service.NAV),
        Party(id="p3", service=Service.UNKNOWN),
    )
    measure = Measure(id="m1", responsible=Actor(name="x", service=Service.NAV), writer=Service.SCHOOL)
    holder = Actor(name="Vindstille Testlærer")
    log = RelayLog(holder=holder, parties=parties, measures=(measure,))
    shown = view(log, {Service.SCHOOL}, DAY, RULES, frozenset({Service.SCHOOL}))
    assert [party.id for party in shown.parties] == ["p1"]
    assert shown.measures[0].responsible is None
    assert shown.holder == holder
    named = log.model_copy(update={"consents": (Consent(id="c1", recipient=Service.NAV),)})
    shown = view(named, {Service.SCHOOL}, DAY, RULES, frozenset({Service.SCHOOL}))
    assert [party.id for party in shown.parties] == ["p1", "p2"]
    assert shown.measures[0].responsible is not None


def test_a_view_does_not_name_a_template() -> None:
    """Which template a log was written in tells which system holds it."""
    log = RelayLog(template=Template(id="familia/stafettlogg", version="1"))
    assert view(log, {Service.SCHOOL}, DAY, RULES).template == Template()


def test_texts_leave_out_ids_and_references() -> None:
    """Texts are those of elements: neither ids, references nor names of units."""
    log = RelayLog(notes=(Note(id="n1", text="tekst", concern="c1", author="forfattar", part=Part.PPT),))
    assert [(part, text) for _, part, text in texts(log)] == [(Part.PPT, "tekst"), (Part.PPT, "forfattar")]
