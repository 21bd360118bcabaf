"""Random histories of three systems that hold one child's log: whatever is edited, pulled and sent in what order.

Two of the systems are the simulated Vigilo and Samspill over HTTP, the third holds the open format. Every edit writes a
text that stands nowhere else, so that it can be followed to where it ends.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import permutations
from pathlib import Path
from random import Random
from typing import Any

import pytest

from hub.mappings import load_shipped
from hub.relaylog.codes import Service
from hub.relaylog.model import RelayLog
from hub.sandbox.case import Told
from hub.sandbox.children import Cast
from hub.sandbox.stories import shared_level_2
from hub.sandbox.texts import ABOUT_OTHERS_NB, CHILD_WELFARE_NB, PRIVATE_NB, PRIVATE_NN
from hub.store.logs import StoredLog
from hub.store.tables import DeliveryState, ProposalKind, conflicts, deliveries, proposals
from hub.sync.context import Connection
from tests.faults.house import scale, show
from tests.sync.house import SAMSPILL, VIGILO, House, Tree, empty
from tests.sync.third import Third

pytestmark = pytest.mark.long

OPEN = VIGILO.replace("vigilo", "apent")
SYSTEMS = (VIGILO, SAMSPILL, OPEN)
MARK = re.compile(r"^(\[[^\]]* \d\d\.\d\d\.\d{4}\] )?")
SAMSPILLS_OWN = frozenset((*PRIVATE_NB, *ABOUT_OTHERS_NB, *CHILD_WELFARE_NB))
VIGILOS_OWN = frozenset(PRIVATE_NN)
TOKEN = re.compile(r"Endring \d+\.")


def three_services(cast: Cast) -> Told:
    """Tell a child whom kindergarten, health station and PPT follow; the consents open to all three."""
    told = shared_level_2(cast)
    first = told.vigilo[0].consents[0]
    scope = ("PEDAGOGISK", "PPT", "HELSE")
    to = ("BARNEHAGE", "SKULE", "HELSESTASJON", "PPT", "FAMILIE")
    consents = tuple(replace(first, to=each, scope=scope) for each in to)
    return Told(
        tuple(replace(case, consents=consents) for case in told.vigilo),
        tuple(replace(case, consents=consents) for case in told.samspill),
    )


@dataclass(frozen=True)
class Edit:
    """One edit by a system's user: its text, where, and the text that stood there and was seen."""

    token: str
    system: str
    element: str
    over: str


@dataclass
class History:
    """One child in three systems, and what has happened to it."""

    house: House
    third: Third
    rng: Random
    edits: list[Edit] = field(default_factory=list)

    def record(self, system: str) -> Tree:
        """Give the record as a system holds it."""
        if system == OPEN:
            return self.third.records["apen-1"]
        return self.house.vigilo() if system == VIGILO else self.house.samspill()

    def texts(self, system: str) -> list[tuple[Tree, str]]:
        """Give what a system's users may edit: concerns, goals and measures, each with the name of its text."""
        lists, name = {
            VIGILO: (("uro", "mal", "tiltak"), "skildring"),
            SAMSPILL: (("concerns", "goals", "activities"), "text"),
            OPEN: (("concerns", "goals", "measures"), "text"),
        }[system]
        record = self.record(system)
        return [(element, name) for each in lists for element in record.get(each) or ()]

    def edit(self, system: str, element: Tree | None = None) -> Edit | None:
        """Let a user write a text of its own in place of one; the mark of who wrote the element stays."""
        choices = self.texts(system)
        if not choices:
            return None
        chosen, name = self.rng.choice(choices) if element is None else (element, choices[0][1])
        before = chosen[name]
        token = f"Endring {len(self.edits) + 1}."
        chosen[name] = f"{MARK.match(before)[0]}{token}"  # type: ignore[index]  # it matches everything
        self._saved(system)
        found = TOKEN.search(before)
        self.edits.append(Edit(token, system, MARK.sub("", before), found[0] if found else ""))
        return self.edits[-1]

    def _saved(self, system: str) -> None:
        self.house.time.after(minutes=1)
        if system == OPEN:
            self.third.saved("apen-1", self.record(OPEN))
        else:
            self.house.saved(self.record(system))

    def same_text(self, system: str, text: str) -> Tree | None:
        """Give the element of a system that holds a text, if one does."""
        held = (element for element, name in self.texts(system) if MARK.sub("", element[name]) == text)
        return next(held, None)

    def rest(self) -> dict[str, int]:
        """Sync until nothing happens; give how many changes each system took."""
        took = dict.fromkeys(SYSTEMS, 0)
        for _ in range(12):
            self.house.time.after(minutes=1)
            sent = self.house.sync().sent
            if not sent:
                return took
            for name, count in sent.items():
                took[name] += count
        raise AssertionError("the systems did not come to rest")

    def log(self) -> StoredLog:
        """Give the log as merged."""
        return self.house.log_of("vl-000001")

    def disputed(self) -> str:
        """Give everything that stands in conflicts, as text."""
        stored = self.log()
        rows = [row for row in self.house.rows(conflicts) if row.sealed_values]
        opened = (stored.sealer.open(f"conflicts.sealed_values/{row.conflict_id}", row.sealed_values) for row in rows)
        return " ".join(json.dumps(json.loads(each), ensure_ascii=False) for each in opened)


@pytest.fixture
def begin(house: House, path: Path) -> Callable[[int], History]:
    """Give a maker of histories, each of which begins with the same child in three systems.

    They run on SQLite, where a house is brought back to its beginning by copying a file.
    """
    assert path.exists()

    def prepare() -> None:
        house.tell(three_services)

    def made(seed: int) -> History:
        third = Third()
        empty(house.world)
        house.once("three-services", prepare)
        vigilo = house.tenant.connections[VIGILO]
        opened = Connection(
            id=OPEN,
            services=frozenset({Service.PPT}),
            readers=frozenset({Service.PPT}),
            mapping=load_shipped("relaylog/open"),
            connector=third,
            first_contact="send",
            deliver=True,
            verified_ids=True,
        )
        connections = {VIGILO: vigilo, SAMSPILL: house.tenant.connections[SAMSPILL], OPEN: opened}
        house.tenant = replace(house.tenant, connections=connections)
        third.saved("apen-1", _frame(house))
        return History(house, third, Random(seed))  # noqa: S311 - the same seed tells the same

    return made


def _frame(house: House) -> Tree:
    """Return the child's record in the third system: a frame, and one concern of PPT's own."""
    child = house.samspill()["mainPerson"]
    return {
        "canonical": "relaylog/1",
        "source": {"system": "ppt", "id": "apen-1"},
        "status": "active",
        "subject": {
            "kind": "child",
            "name": child["name"],
            "national_id": child["nationalId"],
            "birth_date": child["birthDate"],
            "address_protection": "none",
        },
        "unit": {"name": "PPT Prøvelia", "service": "ppt"},
        "concerns": [
            {"writer": "ppt", "written_on": "2026-11-01", "part": "ppt", "text": "PPT undrer seg.", "on": "2026-11-01"}
        ],
    }


def test_pulled_in_any_order_the_log_is_the_same(begin: Callable[[int], History]) -> None:
    """The same versions, pulled in every order with no delivery between, give one log and the same conflicts."""
    count = scale(full=1_000, short=12)
    for seed in range(count):
        outcomes = set()
        rng = Random(seed)  # noqa: S311 - as above
        edits = [(rng.choice(SYSTEMS), rng.randint(0, 3)) for _ in range(rng.randint(0, 6))]
        for order in rng.sample(list(permutations(SYSTEMS)), 2):
            history = begin(seed)
            for system, again in edits:
                for _ in range(again % 2 + 1):
                    history.edit(system)
            for system in order:
                history.house.pull(system)
            outcomes.add((_content(history.log().log), _disputed_places(history)))
        assert len(outcomes) == 1, f"history {seed}"
    show("histories pulled in two orders", histories=count)


def _content(log: RelayLog) -> str:
    """Return what a log says, blind to the ids that the hub gave."""
    said = log.model_dump(mode="json", exclude={"id", "source"})
    names = {each["id"]: f"{name}:{each.get('text') or each.get('name') or ''}" for name, each in _elements(said)}
    text = json.dumps(said, ensure_ascii=False, sort_keys=True)
    for element_id, name in names.items():
        text = text.replace(element_id, name)
    return text


def _elements(said: Mapping[str, Any]) -> Iterator[tuple[str, Tree]]:
    for name, value in said.items():
        if isinstance(value, list):
            yield from ((name, each) for each in value if isinstance(each, dict) and each.get("id"))


def _disputed_places(history: History) -> frozenset[str]:
    return frozenset(row.path for row in history.house.rows(conflicts) if row.sealed_values)


def test_every_edit_ends_somewhere_and_all_come_to_rest(begin: Callable[[int], History]) -> None:
    """Whatever is edited and sent in what order, no edit is lost, nothing deleted or leaked, and all come to rest."""
    count = scale(full=1_000, short=12)
    figures = {"edits": 0, "conflicts": 0, "changes after the last edit": 0}
    for seed in range(count):
        history = begin(seed)
        history.rest()
        rows = {system: _row_count(history, system) for system in SYSTEMS}
        _live(history, twice=seed % 3 == 0)
        took = history.rest()
        _judge(history, rows, f"history {seed}")
        assert max(took.values()) <= _allowed(history), f"history {seed}: {took}"
        figures["edits"] += len(history.edits)
        figures["conflicts"] += len(_disputed_places(history))
        figures["changes after the last edit"] += sum(took.values())
    show("histories with deliveries", histories=count, **figures)


def _live(history: History, *, twice: bool) -> None:
    """Let things happen: edits in any system, pulls and deliveries between, and one text edited in two systems."""
    rng, done = history.rng, history.house
    for _ in range(rng.randint(2, 8)):
        what = rng.choice(("edit", "edit", "pull", "route", "deliver"))
        if what == "edit":
            history.edit(rng.choice(SYSTEMS))
        elif what == "pull":
            done.pull(rng.choice(SYSTEMS))
        elif what == "route":
            done.cycle.route()
        else:
            done.deliver()
    if twice:
        one, other = rng.sample(SYSTEMS, 2)
        held = {MARK.sub("", element[name]) for element, name in history.texts(other)}
        both = [element for element, name in history.texts(one) if MARK.sub("", element[name]) in held]
        if both:
            element = rng.choice(both)
            text = MARK.sub("", next(element[name] for each, name in history.texts(one) if each is element))
            history.edit(other, history.same_text(other, text))
            history.edit(one, element)


def _row_count(history: History, system: str) -> int:
    return len(history.texts(system))


def _allowed(_history: History) -> int:
    """Return how many changes one system may take after the last edit."""
    return 1


def _judge(history: History, rows: Mapping[str, int], name: str) -> None:
    """See that nothing is lost, deleted, leaked or left undone."""
    log, disputed = history.log().log, history.disputed()
    standing = " ".join([*(one.text for one in log.concerns), *(one.text for one in log.goals)])
    standing = " ".join([standing, *(one.text for one in log.measures)])
    overwritten = {edit.over for edit in history.edits}
    ranked = {each.text for each in log.measures}
    for edit in history.edits:
        where = edit.token in standing or edit.token in disputed or edit.token in overwritten
        assert where or _overruled(history, edit, ranked), f"{name}: {edit.system}'s edit is lost"
    ended = {row.state for row in history.house.rows(deliveries)}
    assert ended <= {DeliveryState.DONE, DeliveryState.SUPERSEDED}, name
    gone = [row for row in history.house.rows(proposals) if row.kind is ProposalKind.DELETION]
    assert not gone, name
    for system in SYSTEMS:
        assert _row_count(history, system) >= rows[system], f"{name}: {system} lost something"
    for system, private in ((VIGILO, SAMSPILLS_OWN), (SAMSPILL, VIGILOS_OWN), (OPEN, SAMSPILLS_OWN | VIGILOS_OWN)):
        held = json.dumps(history.record(system), ensure_ascii=False)
        assert not [text for text in private if text in held], f"{name}: {system} holds what is another's own"


def _overruled(history: History, edit: Edit, ranked: set[str]) -> bool:
    """Tell whether the system of the measure's own service had the last word: that is a rule, not a loss."""
    of = {each.token: each for each in history.edits}

    def first(each: Edit) -> str:
        """Return the text that an element began with, however often it was edited since."""
        return first(of[each.over]) if each.over in of else each.element

    rivals = [other for other in history.edits if first(other) == first(edit) and other.token != edit.token]
    return any(other.token in ranked for other in rivals)
