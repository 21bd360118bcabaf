"""Ordinary edits by a system's own users, so that something happens while the hub looks on.

Each system's users touch only measures that their own services answer for, and otherwise add elements; so the two
systems never change the same field, whatever is edited where.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random

from hub.sandbox import samspill_shape, texts, vigilo_shape
from hub.sandbox.case import Evaluation, Json


@dataclass(frozen=True, slots=True)
class Words:
    """How one system spells what its users edit."""

    measures: str
    evaluations: str
    meetings: str
    responsible: str
    service: str
    status: str
    statuses: tuple[str, ...]
    deadline: str
    day: Callable[[date], str | None]
    read_day: Callable[[str], date]
    version: str
    changed: str
    active: tuple[str, str]
    own_services: frozenset[str]
    evaluation: Callable[[Random, date], Json]
    meeting: Callable[[Random, datetime], Json]
    new_id: Callable[[str, int], Json]


@dataclass(frozen=True, slots=True)
class Editor:
    """One system's users at work at an instant. The same seed on the same records makes the same edits."""

    words: Words
    seed: int
    now: datetime
    next_number: Callable[[], int]

    def edit(self, records: dict[str, Json], count: int) -> list[str]:
        """Edit so many active records in place, fewer if there are fewer. Gives their ids, sorted."""
        words, rng = self.words, Random(self.seed)
        field, active = words.active
        ids = sorted(record_id for record_id, record in records.items() if record.get(field) == active)
        chosen = sorted(rng.sample(ids, min(count, len(ids))))
        for record_id in chosen:
            record = records[record_id]
            self._edit_one(record, rng)
            record[words.version] += 1
            record[words.changed] = vigilo_shape.instant(self.now)
        return chosen

    def _edit_one(self, record: Json, rng: Random) -> None:
        words = self.words
        own = [measure for measure in record[words.measures] if self._is_own(measure)]
        kind = rng.choice(("status", "deadline", "evaluation", "meeting") if own else ("meeting",))
        if kind == "meeting":
            record[words.meetings].append(self._new(words.meetings, words.meeting(rng, self.now)))
            return
        measure = rng.choice(own)
        if kind == "status":
            measure[words.status] = self._next_status(measure[words.status])
        elif kind == "deadline":
            later = words.read_day(measure[words.deadline]) + timedelta(days=rng.choice((7, 14, 21)))
            measure[words.deadline] = words.day(later)
        else:
            evaluation = words.evaluation(rng, self.now.date())
            measure.setdefault(words.evaluations, []).append(self._new(words.evaluations, evaluation))

    def _is_own(self, measure: Json) -> bool:
        """Tell whether a measure is these users' own; one that came from elsewhere may name nobody and no day."""
        responsible = measure.get(self.words.responsible) or {}
        return responsible.get(self.words.service) in self.words.own_services and bool(measure.get(self.words.deadline))

    def _new(self, name: str, element: Json) -> Json:
        return {**self.words.new_id(name, self.next_number()), **element}

    def _next_status(self, status: str) -> str:
        statuses = self.words.statuses
        return statuses[(statuses.index(status) + 1) % len(statuses)] if status in statuses else statuses[0]


def _vigilo_evaluation(rng: Random, on: date) -> Json:
    text, view = rng.choice(texts.EVALUATION_NN), rng.choice(texts.CHILD_VIEW_NN)
    return vigilo_shape.evaluation(Evaluation(on, "GOD", text, "VIDAREFORE", view, "BARNEHAGE"))


def _samspill_evaluation(rng: Random, on: date) -> Json:
    text, view = rng.choice(texts.EVALUATION_NB), rng.choice(texts.CHILD_VIEW_NB)
    return samspill_shape.evaluation(Evaluation(on, "GOD", text, "VIDAREFORE", view, "HELSESTASJON"))


def _vigilo_meeting(rng: Random, now: datetime) -> Json:
    return {
        "type": "SAMARBEID",
        "tid": now.astimezone(UTC).replace(microsecond=0).isoformat(),
        "stad": "Møterommet",
        "dagsorden": "1. Tiltak 2. Vidare",
        "leiar": "Stafetthaldaren",
        "referent": "Stafetthaldaren",
        "deltakarar": [],
        "referat": rng.choice(texts.MEETING_NN),
        "nesteMote": vigilo_shape.day(now.date() + timedelta(days=rng.randint(20, 60))),
    }


def _samspill_meeting(rng: Random, now: datetime) -> Json:
    return {
        "type": "samarbeid",
        "startsAt": vigilo_shape.instant(now + timedelta(hours=1)),  # never Vigilo's own meeting
        "place": "Helsestasjonen",
        "agenda": "1. Tiltak 2. Videre",
        "chair": "Stafettholderen",
        "secretary": "Stafettholderen",
        "attendees": [],
        "minutes": rng.choice(texts.MEETING_NB),
        "nextMeeting": samspill_shape.day(now.date() + timedelta(days=rng.randint(20, 60))),
        "writtenBy": samspill_shape.writer("HELSESTASJON", now),
    }


def _day_first(text: str) -> date:
    return date.fromisoformat("-".join(reversed(text.split("."))))


VIGILO_WORDS = Words(
    measures="tiltak",
    evaluations="vurderingar",
    meetings="mote",
    responsible="ansvarleg",
    service="teneste",
    status="status",
    statuses=("PLANLAGT", "IGANGSETT", "TIL_EVALUERING", "VIDAREFORT"),
    deadline="frist",
    day=vigilo_shape.day,
    read_day=_day_first,
    version="versjon",
    changed="modifiedTime",
    active=("status", "AKTIV"),
    own_services=frozenset({"BARNEHAGE", "SKULE", "SFO"}),
    evaluation=_vigilo_evaluation,
    meeting=_vigilo_meeting,
    new_id=vigilo_shape.new_id,
)
SAMSPILL_WORDS = Words(
    measures="activities",
    evaluations="evaluations",
    meetings="meetings",
    responsible="responsible",
    service="service",
    status="state",
    statuses=("planlagt", "igangsatt", "til_evaluering", "videreført"),
    deadline="dueOn",
    day=samspill_shape.day,
    read_day=date.fromisoformat,
    version="version",
    changed="changedAt",
    active=("state", "aktiv"),
    own_services=samspill_shape.SERVICES - {"barnehage", "skole", "sfo"},
    evaluation=_samspill_evaluation,
    meeting=_samspill_meeting,
    new_id=samspill_shape.new_id,
)
