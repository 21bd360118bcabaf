"""Children whose logs lie in several systems, and all that may happen to them: each life comes of one seeded random.

Every text is a word of its own that tells whose it is, so that it is known again wherever it turns up. The systems
keep what they are given in memory; whatever the hub sends is judged at the door, by rules that are not the hub's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random
from typing import Any

from hub.connectors.base import Accepted, OutcomeUnknown, Outgoing, Unavailable
from hub.relaylog.nationalid import generate
from tests.sync.rulebook import GRADES, HIDDEN, OWN_PART, STRICT, TIGHTER, Facts, Tree
from tests.sync.third import Third

READERS = {
    "barnehage": ("kindergarten",),
    "ppt": ("ppt",),
    "helse": ("health_station", "family"),
    "barnevern": ("child_welfare",),
    "familie": ("family",),
}
"""Who reads in each system; the first is the service that works there."""

PARTS = ("education", "ppt", "health", "child_welfare", "child_voice", "about_others", "own")
WORD = re.compile(r"T\d+x\d+")
WRITTEN = ("notes", "concerns", "evaluations", "meetings")
LATER = "2100-01-01"


def words(tree: Any) -> set[str]:
    """Return the words that are texts of children."""
    return set(WORD.findall(json.dumps(tree)))


@dataclass(eq=False)
class Thing:
    """An element that somebody wrote: by whom, when, of which part."""

    writer: str
    written: date
    part: str


@dataclass(eq=False)
class Text:
    """One text of an element, through all its versions. `kind` is text, voice, place or contact."""

    thing: Thing
    kind: str
    versions: list[str] = field(default_factory=list)
    overwritten: set[str] = field(default_factory=set)
    """Versions that somebody saw and wrote another over."""

    def heads(self) -> set[str]:
        """Return the versions that nobody has written over."""
        return set(self.versions) - self.overwritten


class System(Third):
    """One service's system. Nothing enters it from the hub unjudged.

    What is judged wrong is noted as well as raised: to the hub it is one more answer that it does not understand.
    """

    def __init__(self, name: str, today: Callable[[], date]) -> None:
        super().__init__()
        self.name = name
        self.children: dict[str, Child] = {}
        self.away: set[str] = set()
        self.losing: set[str] = set()
        self.wrongs: list[str] = []
        self._today = today

    def update(self, outgoing: Outgoing) -> Accepted:
        """Take a change, unless the record is away; where answers get lost, it is taken all the same."""
        record_id = outgoing.before.id
        try:
            self.children[record_id].judge(self.name, outgoing.before.tree, outgoing.after, self._today())
        except Exception as error:
            self.wrongs.append(repr(error))
            raise
        if record_id in self.away:
            raise Unavailable("away", "the system does not answer", "Wait")
        accepted = super().update(outgoing)
        if record_id in self.losing:
            raise OutcomeUnknown("lost", "the answer was lost", "Look it up")
        return accepted


@dataclass
class Child:
    """One child: its records, what is known of it, and every text with its versions."""

    number: int
    rng: Random
    today: date
    systems: dict[str, System]
    used_ids: set[str]
    """The national ids that others have: the hub takes who shares one for one child."""
    facts: Facts = field(init=False)
    texts: dict[str, Text] = field(default_factory=dict)
    removed: set[Text] = field(default_factory=set)
    scopes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The parts that each consent named at first."""
    doubled: dict[tuple[str, str], list[Tree]] = field(default_factory=dict)
    """How consents were limited, by system and consent, to which an import then gave another id there."""
    unlike: dict[tuple[str, str], list[Tree]] = field(default_factory=dict)
    """Those of them that were never told of in the same words since: the others are known to be the same consent."""
    heard: dict[tuple[str, str], Tree] = field(default_factory=dict)
    """How the consents were limited when the hub last read the systems that told of them."""
    read: dict[bool, set[str]] = field(default_factory=dict)
    """The words that a person had read who released a sending, by whether somebody was strictly protected then."""
    _count: int = 0

    def __post_init__(self) -> None:
        rng = self.rng
        opened_on = self.today - timedelta(days=80)
        born = self.today + timedelta(days=rng.randint(-2, 25))
        born = born.replace(year=born.year - rng.choice((5, 9, 15, 15, 16, 16, 18, 18)))
        holder = rng.choice([READERS[name][0] for name in self.systems])
        shared = rng.random() < 0.3
        self.facts = Facts(born, opened_on, shared, holder)
        frame = {
            "canonical": "relaylog/1",
            "status": "active",
            "level": 2,
            "opened_on": opened_on.isoformat(),
            "violence": False,
            "subject": {
                "kind": "child",
                "name": f"Solskinn Testbarn {self.number}",
                "national_id": self._national_id(born),
                "birth_date": born.isoformat(),
                "address_protection": "none",
            },
            "unit": {"name": "Fjordvik", "service": "kindergarten"},
            "holder": {"name": "Vindstille Testholder", "service": holder},
        }
        for name, system in self.systems.items():
            record = deepcopy(frame)
            record["source"] = {"system": name, "id": self.record_id(name)}
            record["guardians"] = [self._guardian(name, relation) for relation in ("mother", "father")]
            system.children[self.record_id(name)] = self
            system.saved(self.record_id(name), record)
        first, *_ = self.systems
        self._contact(first)
        for reader in self.readers:
            early = rng.random() < 0.7
            self.consent(reader, opened_on if early else self.today - timedelta(days=10), sound=rng.random() < 0.8)
        for name in self.systems:
            self.add(name, self.today - timedelta(days=rng.choice((1, 30))))

    def _national_id(self, born: date) -> str:
        drawn = iter(lambda: generate(self.rng, born), "")
        own = next(each for each in drawn if each not in self.used_ids)
        self.used_ids.add(own)
        return own

    def record_id(self, system: str) -> str:
        """Name the child's record in a system."""
        return f"{system}-{self.number}"

    def record(self, system: str) -> Tree:
        """Give the child's record in a system."""
        return self.systems[system].records[self.record_id(system)]

    def saved(self, system: str) -> None:
        """Let a system's own user save."""
        self.systems[system].saved(self.record_id(system), self.record(system))

    @property
    def readers(self) -> list[str]:
        """Name all who read behind the child's systems."""
        return list(dict.fromkeys(reader for name in self.systems for reader in READERS[name]))

    def _guardian(self, system: str, relation: str) -> Tree:
        return {
            "id": f"{system}-{self.number}-{relation}",
            "name": f"Havbris {relation} {self.number}",
            "relation": relation,
            "parental_responsibility": True,
            "residence": "shared" if self.facts.shared_residence else "together",
            "barred": False,
            "address_protection": "none",
        }

    # --- what a life is made of --------------------------------------------------------------------------------------

    def _word(self, text: Text, over: str = "") -> str:
        self._count += 1
        word = f"T{self.number}x{self._count}"
        self.texts[word] = text
        text.versions.append(word)
        text.overwritten |= {over} - {""}
        return word

    def _contact(self, system: str) -> None:
        record, thing = self.record(system), Thing("", self.today, "contact")
        record["subject"]["address"] = self._word(Text(thing, "contact"))
        record["guardians"][0]["phone"] = self._word(Text(thing, "contact"))
        self.saved(system)

    def add(self, system: str, written: date, part: str | None = None) -> Thing:
        """Let a system's user write something new."""
        rng, writer = self.rng, READERS[system][0]
        said = part or rng.choice((OWN_PART[writer], OWN_PART[writer], *PARTS))
        thing = Thing(writer, written, said)
        element: Tree = {"writer": writer, "written_on": written.isoformat(), "part": said}
        word = self._word(Text(thing, "text"))
        kind = rng.choice(WRITTEN)
        if kind == "meetings":
            at = f"2026-10-01T{self._count // 60 % 24:02}:{self._count % 60:02}:00Z"
            element |= {"kind": "cooperation", "starts_at": at, "minutes": word}
            element["place"] = self._word(Text(thing, "place"))
        elif kind == "evaluations":
            element |= {"text": word, "child_view": self._word(Text(thing, "voice"))}
        else:
            element |= {"text": word}
        self.record(system).setdefault(kind, []).append(element)
        self.saved(system)
        return thing

    def consent(self, reader: str, begins: date, *, sound: bool, **said: Any) -> None:
        """Let a consent be given in a system; a sound one is signed by all who may be asked."""
        rng = self.rng
        day = str(begins)
        same = [name for name, each in self._consents() if (each["recipient"], each["valid_from"]) == (reader, day)]
        system = same[0] if same else rng.choice(list(self.systems))
        roles = ("mother", "father", "youth")
        by = roles if sound else tuple(role for role in roles if rng.random() < 0.6)
        self._count += 1
        signers = {"mother": f"Havbris mother {self.number}", "father": f"Havbris father {self.number}"}
        consent: Tree = {
            "recipient": reader,
            "parts": list(PARTS) if rng.random() < 0.4 else [part for part in PARTS if rng.random() < 0.5],
            "signed_by": [{"name": signers.get(role, ""), "role": role} for role in by],
            "status": "given",
            "valid_from": day,
            "child_asked": rng.random() < 0.7,
            "language": f"c{self._count}",  # by this it is known again in every system
        }
        self.record(system).setdefault("consents", []).append(consent := consent | said)
        self.scopes[consent["language"]] = tuple(consent["parts"])
        self.saved(system)

    def _consents(self) -> Iterator[tuple[str, Tree]]:
        yield from ((name, each) for name in self.systems for each in self.record(name).get("consents", ()))

    # --- what may happen ---------------------------------------------------------------------------------------------

    def live(self) -> None:
        """Let one thing happen."""
        chances: dict[Callable[[str], None], int] = {
            self._adds: 5,
            self._edits: 6,
            self._consents_anew: 4,
            self._narrows: 2,
            self._withdraws: 2,
            self._refuses: 1,
            self._limits: 1,
            self._tightens: 1,
            self._bars: 1,
            self._protects: 1,
            self._marks: 1 if self.rng.random() < 0.3 else 0,
            self._drops: 4,
            self._removes: 1,
        }
        (happens,) = self.rng.choices(list(chances), list(chances.values()))
        system = self.rng.choice(list(self.systems))
        happens(system)
        self.saved(system)

    def _adds(self, system: str) -> None:
        self.add(system, self.today)

    def _edits(self, system: str) -> None:
        """Somebody rewrites a text that stands in a system, whoever wrote it."""
        held = [(element, name, value) for element, name, value in self._held(system) if self._may_rewrite(value)]
        if held:
            element, name, value = self.rng.choice(held)
            element[name] = self._word(self.texts[value], value)

    def _may_rewrite(self, word: str) -> bool:
        return self.texts[word].kind in ("text", "voice")

    def _held(self, system: str) -> Iterator[tuple[Tree, str, str]]:
        return _texts_in(self.record(system))

    def _consents_anew(self, _system: str) -> None:
        begins = self.today + timedelta(days=self.rng.choice((0, 0, 0, 2)))
        ends = str(begins + timedelta(days=self.rng.randint(0, 6))) if self.rng.random() < 0.2 else None
        status = "pending" if self.rng.random() < 0.1 else "given"
        reader = self.rng.choice(self.readers)
        self.consent(reader, begins, sound=self.rng.random() < 0.8, valid_to=ends, status=status)

    def _one_consent(self, system: str) -> Tree:
        return self.rng.choice(self.record(system).get("consents") or [{"parts": [], "language": ""}])

    def _narrows(self, system: str) -> None:
        consent = self._one_consent(system)
        fewer = [part for part in consent.get("parts", ()) if self.rng.random() < 0.5] or ["education"]
        if consent["language"] and self.rng.random() < 0.5:
            self.consent(consent["recipient"], self.today, sound=True, parts=fewer)
        else:
            consent["parts"] = [part for part in fewer if part in consent.get("parts", ())] or consent.get("parts", [])

    def _withdraws(self, system: str) -> None:
        self._one_consent(system).update(status="withdrawn", withdrawn_on=str(self.today))

    def _refuses(self, system: str) -> None:
        if self.rng.random() < 0.5:
            self._one_consent(system)["status"] = "refused"
        else:
            self.consent(self.rng.choice(self.readers), self.today, sound=False, status="refused")

    def _limits(self, system: str) -> None:
        self._one_consent(system)["valid_to"] = str(self.today + timedelta(days=self.rng.randint(-1, 3)))

    def _tightens(self, system: str) -> None:
        held = list(self._held(system))
        if held:
            element, _, _ = self.rng.choice(held)
            element["part"] = self.rng.choice(TIGHTER)

    def _bars(self, system: str) -> None:
        for guardian in self.record(system).get("guardians", ())[:1]:
            guardian["barred"] = True

    def _protects(self, system: str) -> None:
        record = self.record(system)
        person = self.rng.choice([record["subject"], *record.get("guardians", ())])
        person["address_protection"] = self.rng.choice(GRADES[1:])

    def _marks(self, system: str) -> None:
        self.record(system)["violence"] = True

    def _drops(self, system: str) -> None:
        """An import writes the record anew from a source that knows of no ban, no protection and no withdrawal."""
        record, way = self.record(system), self.rng.choice(("says the opposite", "says nothing", "lacks", "rekeys"))
        people = [record["subject"], *record.get("guardians", ())]
        for person in people:
            person.update(barred=False, address_protection="none")
            if way == "says nothing":
                del person["barred"], person["address_protection"]
        record["subject"].pop("barred", None)
        record["violence"] = False
        for consent in record.get("consents", ()):
            if consent["status"] != "pending":
                first = self.scopes[consent["language"]]
                consent.update(status="given", withdrawn_on=None, valid_to=None, parts=list(first))
                one = (system, consent["language"])
                if way == "rekeys" and one in self.heard:
                    for imported in (self.doubled, self.unlike):
                        imported.setdefault(one, []).append(self.heard[one])
        if way == "says nothing":
            del record["violence"]
        if way == "lacks":
            record["guardians"], record["consents"] = [], []
        if way == "rekeys":
            for each in (*record.get("guardians", ()), *record.get("consents", ())):
                self._count += 1
                each["id"] = f"{system}-{self.number}-again-{self._count}"

    def _removes(self, system: str) -> None:
        """Somebody deletes what stands in a system: nowhere else it goes by that."""
        record = self.record(system)
        kinds = [kind for kind in WRITTEN if record.get(kind)]
        if kinds:
            element = record[self.rng.choice(kinds)].pop()
            self.removed |= {self.texts[word] for word in words(element)}

    # --- what is known, and what is judged ---------------------------------------------------------------------------

    def learn(self) -> None:
        """Take note of what all systems say now, as the hub is about to."""
        for name in self.systems:
            record = self.record(name)
            self.facts.hear(record)
            for element, _, word in self._held(name):
                thing = self.texts[word].thing
                if element["part"] in TIGHTER and thing.part != "own":
                    thing.part = element["part"]
        self.heard = {(name, each["language"]): _limits(each) for name, each in self._consents()}
        for one, before in self.unlike.items():
            before[:] = [each for each in before if each != self.heard.get(one)]
        self.facts.miss(self._told(self.unlike))

    def _told(self, imported: dict[tuple[str, str], list[Tree]]) -> set[str]:
        """Return the consents that are told of, without those that an import gave another id and are told otherwise."""
        strayed = {one for one, before in imported.items() if any(each != self.heard.get(one) for each in before)}
        return {consent for _, consent in self.heard.keys() - strayed}

    def strict(self) -> bool:
        """Tell whether somebody is strictly protected."""
        return self.facts.grade == STRICT

    def released(self) -> None:
        """Note that a person has read everything and lets it go."""
        if self.facts.grade != "none":
            held = set[str]().union(*(words(self.record(name)) for name in self.systems))
            self.read.setdefault(self.strict(), set()).update(held)

    def may(self, text: Text, system: str, day: date) -> bool:
        """Tell whether consent and ceiling let a text into a system on a day."""
        thing, facts, readers = text.thing, self.facts, READERS[system]
        if thing.writer == HIDDEN and not {HIDDEN, "family"} >= set(readers):
            return False
        own = thing.writer == readers[0]
        asked = [] if own else [thing.part]
        asked += ["child_voice"] if text.kind == "voice" else []
        return all(facts.reaches(part, thing.written, reader, day) for part in asked for reader in readers)

    def judge(self, system: str, before: Tree, after: Tree, day: date) -> None:
        """Judge what is sent to a system on a day: nothing stops it, each new text may come, and nothing goes."""
        name, facts = f"child {self.number}, {system}, {day}", self.facts
        assert not facts.stop(READERS[system], day), f"{name}: {facts.stop(READERS[system], day)}"
        new = words(after) - words(before)
        assert new <= self.texts.keys(), f"{name}: texts of another child"
        for word in new:
            assert self.may(self.texts[word], system, day), f"{name}: {word} {self.texts[word].thing} may not be there"
        if facts.grade != "none":
            assert self.strict() in self.read, f"{name}: sent though nobody released it"
            assert new <= self.read[self.strict()], f"{name}: nobody had read what was sent"
            assert {self.texts[word].kind for word in new} <= {"text", "voice"}, f"{name}: it tells of a place"
        told = _services(after) - _services(before)
        assert HIDDEN not in told or {HIDDEN, "family"} >= set(READERS[system]), f"{name}: tells of a hidden service"
        self._judge_kept(before, after, name)
        self._judge_parts(before, after, name)

    def _judge_parts(self, before: Tree, after: Tree, name: str) -> None:
        """See that a text is sent as of the part that it is of, or stays as it stood there."""
        said = {word: element.get("part") for element, _, word in _texts_in(before)}
        for element, _, word in _texts_in(after):
            of_old = {said.get(old) for old in self.texts[word].versions}
            assert element.get("part") in {self.texts[word].thing.part, *of_old}, f"{name}: {word} is of another part"

    def _judge_kept(self, before: Any, after: Any, name: str) -> None:
        """See that nothing which a system held is emptied, gone, another's, or loosened."""
        if isinstance(before, dict):
            _judge_loosened(before, after, name)
            for key, value in before.items():
                assert value in (None, "", []) or after.get(key) not in (None, "", []), f"{name}: {key} was emptied"
                self._judge_kept(value, after.get(key), f"{name}/{key}")
        elif isinstance(before, list) and before and isinstance(before[0], dict) and "id" in before[0]:
            left = {each["id"]: each for each in after}
            for each in before:
                assert each["id"] in left, f"{name}: {each['id']} is gone"
                self._judge_kept(each, left[each["id"]], f"{name}/{each['id']}")
        elif isinstance(before, str) and before in self.texts:
            assert self.texts[before] is self.texts.get(after), f"{name}: {before} became {after}"

    def judge_rest(self, standing: set[str], day: date) -> int:
        """See that every text is wherever it may be, as last written; return how many were looked at.

        Of one that two wrote apart each version must be `standing`, in the log or in a conflict; one that is gone from
        a system waits for a person.
        """
        looked_at, self.facts.surely = 0, True
        self.facts.miss(self._told(self.doubled))
        for text in dict.fromkeys(self.texts.values()):
            if text.kind not in ("text", "voice") or text in self.removed:
                continue
            heads, name = text.heads(), f"child {self.number}: {text.versions}"
            if len(heads) > 1:
                assert heads <= standing, f"{name}: {heads - standing} is lost"
                continue
            for system in self.systems:
                open_ = not self.facts.stop(READERS[system], day) and self.may(text, system, day)
                held = words(self.record(system)) & set(text.versions)
                assert not open_ or held == heads, f"{name}: {system} has {held or 'nothing'}, not {heads}"
                looked_at += open_
        self.facts.surely = False
        return looked_at


def _texts_in(record: Tree) -> Iterator[tuple[Tree, str, str]]:
    """Yield the texts of a record: the element, the field and the word."""
    for kind in WRITTEN:
        for element in record.get(kind, ()):
            for name, value in element.items():
                if isinstance(value, str) and WORD.fullmatch(value):
                    yield element, name, value


def _limits(consent: Tree) -> Tree:
    return {name: consent.get(name) for name in ("parts", "valid_to", "withdrawn_on")}


def _services(tree: Any, key: str = "") -> set[str]:
    """Return the services that a record names as writer, reader or other party."""
    if isinstance(tree, dict):
        return set[str]().union(*(_services(value, name) for name, value in tree.items()))
    if isinstance(tree, list):
        return set[str]().union(*(_services(value, key) for value in tree))
    return {tree} if key in ("writer", "recipient", "service") else set()


def _judge_loosened(before: Tree, after: Tree, name: str) -> None:
    """See that no fact which protects somebody, or ends an opening, is loosened in a system."""
    for fact in ("violence", "barred"):
        assert before.get(fact) is not True or after.get(fact) is True, f"{name}: {fact} was loosened"
    grade = before.get("address_protection")
    if grade in GRADES:
        now = after.get("address_protection")
        assert now in GRADES[GRADES.index(grade) :], f"{name}: protection was loosened"
    if before.get("status") in ("withdrawn", "refused"):
        assert after["status"] in ("withdrawn", "refused"), f"{name}: a consent was opened again"
    for day in ("withdrawn_on", "valid_to"):
        assert (after.get(day) or LATER) <= (before.get(day) or LATER), f"{name}: {day} is later"
    if "recipient" in before:
        named = {*before.get("parts", ()), "education"}  # which every consent opens, whatever it names
        assert set(after.get("parts", ())) <= named, f"{name}: a consent opens more"
