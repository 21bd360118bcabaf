"""What happened and what can be done, in words: from ids, counts and codes alone, never from what a log holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hub.relaylog.planning import BEFORE
from hub.store.events import Action
from hub.store.work import OUTCOME_UNKNOWN

if TYPE_CHECKING:
    from hub.operate.report import InboxItem, StuckDelivery

Data = Mapping[str, str | int | bool]

WORDS: Mapping[str, str] = {
    Action.RUN_QUEUED: "a run of {connection} was queued ({why})",
    Action.RUN_STARTED: "the run of {connection} began, attempt {attempt}",
    Action.RUN_ENDED: "the run of {connection} {ended}",
    Action.RUN_FAILED: "the run of {connection} failed: {outcome}",
    Action.RUN_HELD: "the run of {connection} waits for a person: {outcome}",
    Action.RUN_PUT_OFF: "the run of {connection} was put off: {outcome}",
    Action.RUN_MISSED: "an occurrence of {connection} was missed: {why}",
    Action.RUN_FREED: "the run of {connection} was taken from a worker that had stopped",
    Action.RECORD_QUARANTINED: "a record went to quarantine: {reason}",
    Action.RECORD_REPLAYED: "the record was taken in after all",
    Action.LOG_MERGED: "what the systems say was merged to version {version}{news}",
    Action.LOG_JOINED: "all its records were moved to another log, {into}",
    Action.LOG_ROUTED: "version {version} was routed: {given}",
    Action.LOG_REOPENED: "the log went on after its end: its next closing is a new revision in the archive",
    Action.LOG_SHREDDED: "the log's key was deleted, so that nothing of it can be opened: {reason}",
    Action.RECORD_SHREDDED: "a record in quarantine was emptied with the log of its person",
    Action.RECORD_KEPT_OUT: "{connection} still has what was deleted: nothing was taken in, and its task is open again",
    Action.LOG_WIPED: "everything the log held was wiped: {reason}",
    Action.CONFLICT_FOUND: "systems disagree on a field, which waits as it stands in each",
    Action.CONFLICT_GONE: "the systems agree again",
    Action.HOLD_SET: "sending to {connection} was held by the rule {rule}",
    Action.HOLD_GONE: "the hold by the rule {rule} ended: it stops nothing now",
    Action.PROPOSAL_MADE: "a person is asked about a {kind}",
    Action.PROPOSAL_GONE: "the question needs no answer any more",
    Action.DIFFERENCE_FOUND: "a count found that source, hub and archive do not agree",
    Action.DIFFERENCE_GONE: "a later count found that they agree",
    Action.PERSON_DIFFERENCE_CLOSED: "a person closed a difference",
    Action.TASK_SET: "somebody was asked to do something: {reason}",
    Action.TASK_GONE: "a task needs no doing any more",
    Action.PERSON_BATON_OFFERED: "a person offered the baton in its holder's name",
    Action.PERSON_BATON_ANSWERED: "a person wrote down the answer to an offer of the baton: {move}",
    Action.PERSON_TASK_DONE: "a person did what a task asked for",
    Action.PERSON_RIGHTS_OPENED: "a case was opened: somebody asks for {kind}",
    Action.PERSON_RIGHTS_EXTENDED: "a person gave the answer to the case of {kind} more time, until {due}",
    Action.PERSON_RIGHTS_DECIDED: "a person decided the case of {kind}: {decision}, on the basis {basis}",
    Action.PERSON_RIGHTS_TOLD: "a person told {connection} of the correction outside the hub",
    Action.PERSON_RIGHTS_DONE: "the case of {kind} was carried out",
    Action.PERSON_PLAN_ASKED: "a person asked for an individual plan with {participants} participants",
    Action.DELIVERY_READY: "a delivery to {connection} is ready to go{after}",
    Action.DELIVERY_SENT: "bytes left for {connection}",
    Action.DELIVERY_DONE: "{connection} has it: receipt {receipt}",
    Action.DELIVERY_UNKNOWN: "no answer came from {connection}, which must be looked into{after}",
    Action.DELIVERY_SUPERSEDED: "something newer took the place of the delivery to {connection}{after}",
    Action.DELIVERY_FAILED: "{connection} did not take it{after}",
    Action.DELIVERY_HELD: "the delivery to {connection} waits for a person{after}",
    Action.DELIVERY_FREED: "the delivery to {connection} was taken from a worker that had stopped",
    Action.REMINDER_READY: "a reminder of {day} is about to be sent",
    Action.REMINDER_SENT: "the mail server took the reminder of {day}: {answer}",
    Action.REMINDER_PUT_OFF: "the reminder of {day} was put off: {answer}",
    Action.REMINDER_FAILED: "the reminder of {day} was not sent: {answer}",
    Action.REMINDER_UNKNOWN: "nobody knows whether the reminder of {day} was sent: {answer}",
    Action.PACKAGE_MADE: "a package for the archive was made{interval}",
    Action.ARCHIVE_RECEIVED: "the archive has proved that it has the package",
    Action.CONNECTION_PARKED: "the system asked to be left alone for {seconds} seconds: {reason}",
    Action.CONNECTION_BROKEN: "the breaker opened after {failures} failures in a row: {reason}",
    Action.CONNECTION_MENDED: "the breaker closed: the system answers again",
    Action.PERSON_CONNECTION_PAUSED: "a person paused it: no call begins until it is resumed",
    Action.PERSON_CONNECTION_RESUMED: "a person let it go on",
    Action.PERSON_LOG_OPENED: "the values of a conflict were shown",
    Action.PERSON_CONFLICT_SETTLED: "a person settled a conflict: {take} holds",
    Action.PERSON_HOLD_RELEASED: "a person released the hold by the rule {rule}",
    Action.PERSON_PROPOSAL_ACCEPTED: "a person accepted the proposal",
    Action.PERSON_PROPOSAL_REFUSED: "a person refused the proposal",
    Action.PERSON_QUARANTINE_REPLAYED: "a person asked for {records} records in quarantine to be taken in again",
    Action.PERSON_QUARANTINE_DISMISSED: "a person closed it: what was kept is deleted",
    Action.PERSON_RECORD_SAME_PERSON: "a person said that the record is the same child's: it was taken in",
    Action.PERSON_RECORD_ANOTHER_PERSON: "a person said that the record is another child's: it went to log {into}",
    Action.PERSON_DELIVERY_DECIDED: "a person decided on the delivery to {connection}: {choice}",
}
"""The sentence of each action; an action without one is told by its code."""

GIVEN = {
    "sent": "is sent a change",
    "held": "is held",
    "nothing_new": "has it all",
    "waits": "waits for the one before",
}


def in_words(action: str, data: Data) -> str:
    """Return an event as a sentence; what its data lacks is left open."""
    given = ", ".join(f"{name[3:]} {GIVEN.get(str(what), what)}" for name, what in data.items() if name[:3] == "to_")
    after = f", after {data['error']}" if data.get("error") else ""
    news = f", after news from {data['connection']}" if data.get("connection") else ""
    given = given or "no system is written to"
    counts = ", ".join(f"{name} {what}" for name, what in data.items() if isinstance(what, int))
    ended = f"is done: {counts}" if counts else "read everything"
    known: dict[str, str | int | bool] = {"connection": "every system", "given": given, "after": after, "news": news}
    known["ended"] = ended
    known["interval"] = ", at the municipality's interval: the log goes on" if data.get("why") == "periodic" else ""
    known |= data
    return WORDS.get(action, action).format_map(_Open(known))


ANOTHER_PERSON = "another_person"
"""The reason of a record in quarantine that names another person than its log is about."""

MOVED_RECORD = "moved_record"
"""The rule of a hold on a log that a record came to out of another person's."""

NO_RECORD = "no_record_at_receiver"
"""The rule of a hold that stops nothing: there is no log to write in at the receiver."""

SETTLE = "hub inbox settle {id} --take CONNECTION --who … --why …"
CHOICES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "conflict": (
        (SETTLE, "what that system says holds, and the others are sent it, until one of them says something new"),
        (SETTLE.replace("CONNECTION", "log"), "what the log says now holds, and all are sent it"),
        ("hub inbox show {id} --reveal --who … --purpose …", "shows what each system says; that you saw it is kept"),
    ),
    "quarantine": (
        ("hub inbox replay {id} --who … --why …", "the record is read again as it was kept: mend the mapping first"),
        (
            "hub inbox close {id} --who … --why …",
            "what was kept is deleted, and it is no longer listed, unless it comes and is refused again",
        ),
    ),
    ANOTHER_PERSON: (
        ("put the number right in the system", "if it was wrong: the record is taken in and the log goes on by itself"),
        (
            "hub inbox same-person {id} --who … --why …",
            "the same child has another number, such as one in place of a D-number: the record is taken in with it",
        ),
        (
            "hub inbox another-person {id} --who … --why …",
            (
                "the record leaves the log, with what its services wrote there, and comes to the other child's. What "
                "the hub once sent to it about the first child still stands in it: delete that in its system"
            ),
        ),
    ),
    "difference": (
        ("hub inbox close {id} --who … --why …", "it is no longer listed, unless a later count finds it again"),
    ),
    "match": (
        ("hub inbox accept {id} --who … --why …", "the two logs become one, and each system is sent what it lacks"),
        ("hub inbox refuse {id} --who … --why …", "the logs stay apart, and nobody is asked again"),
    ),
    "deletion": (
        ("hub inbox accept {id} --who … --why …", "it is taken out of the log, and emptied where others still hold it"),
        (
            "hub inbox refuse {id} --who … --why …",
            "an element is written back to where it is gone; a record stays here",
        ),
    ),
    "guardian": (
        (
            "hub inbox accept {id} --who … --why …",
            "the guardian is of the log, may sign, and may read where that is entered",
        ),
        ("hub inbox refuse {id} --who … --why …", "the guardian stays out of the log, and nobody is asked again"),
    ),
    "withdrawn": (
        (
            "hub inbox done {id} --who …",
            "notes that the unit no longer uses what it was sent; nothing is deleted there by the hub",
        ),
    ),
    "delete_there": (
        (
            "hub inbox done {id} --who …",
            "notes that the log is deleted in that system; if it lists the log again, the task opens again",
        ),
    ),
    "baton": (("hub baton show LOG", "tells where the baton is; the task ends when one has accepted it alone"),),
    "life": (("nobody has to tick it off", "it ends when the log follows the municipality's rules for its life"),),
    "plan": (
        ("hub plan show {log} --who …", "tells what would be made where, what stops it, and who can be ticked"),
        ("hub plan create {log} --people FILE --who … --why …", f"makes the individual plan there. {BEFORE.en}"),
        ("… --participant ID", "lets one more take part; nobody does who is not ticked so, one by one"),
        ("hub inbox done {id} --who …", "notes that the plan was made by hand, or is not needed"),
    ),
    "plan_by_hand": (
        ("make the plan in its system by hand", f"no connection here may make plans. {BEFORE.en}"),
        ("hub inbox done {id} --who …", "notes that it is made, or is not needed"),
    ),
    "hold": (
        (
            "hub inbox release {id} --who … --why …",
            "what is held goes as it stands now; another situation is held anew",
        ),
    ),
    MOVED_RECORD: (
        (
            "hub inbox release {id} --who … --why …",
            (
                "the log goes as it stands. Look in the system first: what the record still says of the child whose "
                "log it came from is to be deleted there"
            ),
        ),
    ),
    NO_RECORD: (
        (
            "hub inbox release {id} --who … --why …",
            "it is no longer listed. Nothing is sent: the receiver has no log to write in, and the hub makes none",
        ),
    ),
}
"""What can be done about each kind of thing in the inbox, and what that leads to."""


def choices(item: InboxItem, *, by_a_person: bool, plans: bool = False) -> list[tuple[str, str]]:
    """Return the commands that decide something in the inbox, each with what it leads to.

    `by_a_person` tells that a hold is of those that may be released, `plans` that a connection may make plans.
    """
    if item.kind == "hold" and not by_a_person:
        return [("nobody can release it", f"it ends when {item.ends or 'what it rests on changes in its system'}")]
    hold = item.rule if item.rule in (NO_RECORD, MOVED_RECORD) else "hold"
    refused = ANOTHER_PERSON if item.reason == ANOTHER_PERSON else "quarantine"
    by = {"proposal": item.reason, "task": _of_task(item.rule, plans=plans), "hold": hold, "quarantine": refused}
    found = CHOICES.get(by.get(item.kind, item.kind), ())
    return [(command.format(id=item.id, log=item.log), leads_to) for command, leads_to in found]


def decides(delivery: StuckDelivery) -> str:
    """Return the command that decides on a change that was not sent.

    Where nobody knows whether it arrived, a person must look at the receiver and say so.
    """
    found = " --sent|--not-sent" if delivery.code == OUTCOME_UNKNOWN else ""
    return f"hub inbox replay {delivery.id}{found} --who … --why …"


def _of_task(kind: str, *, plans: bool) -> str:
    """Return under what the choices of a task stand: a proposal may have the same code, or no connection can do it."""
    return {"deletion": "delete_there", "plan": "plan" if plans else "plan_by_hand"}.get(kind, kind)


class _Open(dict[str, str | int | bool]):
    """Data of an event in which a gap reads as one."""

    def __missing__(self, _key: str) -> str:
        return "…"
