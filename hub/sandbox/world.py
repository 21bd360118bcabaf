"""The state of the made-up municipality's systems, made from a seed, kept in memory and written to one JSON file."""

import json
import os
from base64 import b64encode
from dataclasses import asdict, dataclass, field, fields
from datetime import date, datetime
from pathlib import Path
from random import Random
from threading import RLock

from hub.relaylog.nationalid import generate
from hub.sandbox.case import Case, Guardian, Json, Told
from hub.sandbox.children import Cast
from hub.sandbox.filesystems import FILE_SYSTEMS
from hub.sandbox.municipality import KINDERGARTENS, SCHOOLS, STAFF, Unit, made_up_uuid
from hub.sandbox.samspill_shape import plan
from hub.sandbox.stories import (
    ALL_STORIES,
    FILE_STORIES,
    ORDINARY_STORIES,
    Story,
    child_welfare_without_consent,
    ordinary_health_station,
    ordinary_kindergarten,
    therapy_without_consent,
)
from hub.sandbox.vigilo_shape import instant, person_id, relay_log, student_id

_CHILDREN_PER_ROUND = 60  # the special stories are told once more for every so many children
_VIGILO_UNITS = (*KINDERGARTENS, *SCHOOLS)


@dataclass(frozen=True, slots=True)
class Tale:
    """Which story a child got and where its records are. "broken" marks a record that no hub can take in.

    `files` are keys of the world's `files`.
    """

    story: str
    national_id: str = field(repr=False)
    vigilo: tuple[str, ...]
    samspill: tuple[str, ...]
    files: tuple[str, ...] = ()


def file_key(system: str, record_id: str) -> str:
    """Name a record of a system that exchanges files in the world's `files`."""
    return f"{system}/{record_id}"


@dataclass(frozen=True, slots=True)
class Received:
    """A write that a simulated system accepted. `body` is what was sent, `at` an instant in UTC."""

    system: str
    record_id: str
    body: Json = field(repr=False)
    idempotency_key: str | None
    at: str


@dataclass
class World:
    """Everything the simulated systems hold. Take `lock` around every read that must agree with a write.

    `keys` remembers the answer to each idempotency key, `jobs` the state of each asynchronous change in Vigilo,
    `accounts` Samspill's accounts by national id with the lasting right to create plans. `files` are the records of
    the systems that exchange files: `system`, `record` (its id, "" for a broken one), `data` (its bytes as base64) and
    whether it is `waiting` to be dropped. `keep_at` is the file that
    `keep` writes, None for a world that lives in memory only.
    """

    seed: int
    today: str
    tales: list[Tale] = field(default_factory=list)
    vigilo: dict[str, Json] = field(default_factory=dict)
    samspill: dict[str, Json] = field(default_factory=dict)
    persons: dict[str, Json] = field(default_factory=dict)
    students: dict[str, Json] = field(default_factory=dict)
    employees: dict[str, Json] = field(default_factory=dict)
    schools: dict[str, Json] = field(default_factory=dict)
    users: dict[str, Json] = field(default_factory=dict)
    accounts: dict[str, Json] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, Json] = field(default_factory=dict)
    files: dict[str, Json] = field(default_factory=dict)
    counter: int = 10_000
    keep_at: Path | None = field(default=None, compare=False, repr=False)
    kept: int = field(default=0, compare=False, repr=False)
    lock: RLock = field(default_factory=RLock, compare=False, repr=False)

    def next_number(self) -> int:
        """Give a number that this world has not given before."""
        self.counter += 1
        return self.counter

    def told(self, story: str) -> list[Tale]:
        """List the children who got a story."""
        return [tale for tale in self.tales if tale.story == story]

    def accept(self, system: str, record_id: str, body: Json, key: str | None, at: datetime) -> None:
        """Note a write that was accepted."""
        self.received.append(Received(system, record_id, body, key, instant(at)))

    def keep(self, *touched: tuple[str, str]) -> None:
        """Write the state to `keep_at`, if there is one: all of it, or only the entries touched, as table and id.

        What was touched is added to a journal beside the file, so that an accepted change costs the same however
        large the world is.
        """
        if self.keep_at and touched:
            self._note(self.keep_at, touched)
        elif self.keep_at:
            self.save(self.keep_at)

    def _note(self, path: Path, touched: tuple[tuple[str, str], ...]) -> None:
        with self.lock:
            entries = [[table, key, getattr(self, table)[key]] for table, key in touched]
            news = [asdict(entry) for entry in self.received[self.kept :]]
            line = json.dumps([self.counter, self.kept, news, entries], ensure_ascii=False)
            self.kept = len(self.received)
            with _journal(path).open("a", encoding="utf-8") as file:
                file.write(line + "\n")
                file.flush()
                os.fsync(file.fileno())

    def save(self, path: Path) -> None:
        """Write the state to a file: whole or not at all, also if the machine stops."""
        with self.lock:
            text = json.dumps(self._state(), ensure_ascii=False)
        draft = path.with_suffix(".tmp")
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        _journal(path).unlink(missing_ok=True)
        self.kept = len(self.received)

    @classmethod
    def load(cls, path: Path) -> "World":
        """Read a state that `save` wrote. The world is in memory only until `keep_at` is set."""
        state = json.loads(path.read_text(encoding="utf-8"))
        tales = [
            Tale(t["story"], t["national_id"], *(tuple(t.get(name, ())) for name in ("vigilo", "samspill", "files")))
            for t in state.pop("tales")
        ]
        received = [Received(**entry) for entry in state.pop("received")]
        world = cls(tales=tales, received=received, **state)
        if _journal(path).exists():
            world._replay(_journal(path).read_text(encoding="utf-8"))
        return world

    def _replay(self, journal: str) -> None:
        """Apply the journal's whole lines; one that was cut off was never answered."""
        for line in journal.splitlines(keepends=True):
            if not line.endswith("\n"):
                return
            self.counter, known, news, entries = json.loads(line)
            self.received[known:] = [Received(**entry) for entry in news]
            for table, key, value in entries:
                getattr(self, table)[key] = value

    def _state(self) -> Json:
        state = {f.name: getattr(self, f.name) for f in fields(self) if f.compare}
        return {
            **state,
            "tales": [asdict(tale) for tale in self.tales],
            "received": [asdict(entry) for entry in self.received],
        }


def _journal(path: Path) -> Path:
    return path.with_suffix(".changes")


def make_world(children: int = 200, seed: int = 1, *, today: date) -> World:
    """Make a municipality with so many children, and some records that no hub can take in.

    The same arguments give equal worlds. From twenty children on every story of `ALL_STORIES` is told, from 31 on
    every one of `FILE_STORIES` too.
    """
    world = World(seed=seed, today=today.isoformat())
    _open_units(world, today)
    rng = Random(seed)
    dealt: dict[Story, int] = {}
    for number, story in enumerate(_deal(children, rng)):
        again = dealt.get(story, 0)
        dealt[story] = again + 1
        _enter(world, story.__name__, story(Cast(Random(f"{seed}/{number}"), today, number, again)))
    _break_some(world, Cast(Random(f"{seed}/broken"), today, children))
    _break_files(world, Cast(Random(f"{seed}/broken files"), today, children))
    return world


def _deal(children: int, rng: Random) -> list[Story]:
    """Deal the special stories in rounds and ordinary ones to the rest, in an order that mixes them."""
    rounds = max(1, children // _CHILDREN_PER_ROUND)
    special = [*ALL_STORIES, *FILE_STORIES, *(*ALL_STORIES, *FILE_STORIES) * (rounds - 1)][:children]
    stories = [*special, *rng.choices(ORDINARY_STORIES, k=children - len(special))]
    rng.shuffle(stories)
    return stories


def _enter(world: World, story: str, told: Told) -> Tale:
    vigilo = tuple(_enter_log(world, case) for case in told.vigilo)
    samspill = tuple(_enter_plan(world, case) for case in told.samspill)
    files = tuple(_enter_file(world, system, case) for system, case in told.files)
    case = (*(case for _, case in told.files), *told.samspill, *told.vigilo)[-1]
    if case.unit in _VIGILO_UNITS:
        _enrol(world, case)
    tale = Tale(story, case.subject.national_id, vigilo, samspill, files)
    world.tales.append(tale)
    return tale


def _enter_log(world: World, case: Case) -> str:
    record_id = f"vl-{len(world.vigilo) + 1:06}"
    world.vigilo[record_id] = relay_log(record_id, case)
    return record_id


def _enter_plan(world: World, case: Case) -> str:
    plan_id = f"P-{10_001 + len(world.samspill)}"
    world.samspill[plan_id] = plan(plan_id, case)
    return plan_id


def _enter_file(world: World, system: str, case: Case) -> str:
    of_system = FILE_SYSTEMS[system]
    held = sum(record["system"] == system for record in world.files.values())
    record_id = f"{of_system.prefix}{held + 1:04}"
    return _hold_file(world, system, record_id, of_system.written(record_id, case))


def _hold_file(world: World, system: str, record_id: str, data: bytes) -> str:
    key = file_key(system, record_id)
    world.files[key] = {"system": system, "record": record_id, "data": b64encode(data).decode("ascii"), "waiting": True}
    return key


def _break_files(world: World, cast: Cast) -> None:
    """Add to two systems a file that was cut off and one whose record has no id; no record is theirs to edit."""
    for system, story in (("profil", therapy_without_consent), ("barnevern", child_welfare_without_consent)):
        ((_, case),) = story(cast).files
        whole, unnamed = (FILE_SYSTEMS[system].written(record_id, case) for record_id in ("cut-off", ""))
        for key, data in (("cut-off", whole[: len(whole) // 2]), ("unnamed", unnamed)):
            _hold_file(world, system, key, data)
            world.files[file_key(system, key)]["record"] = ""


def _break_some(world: World, cast: Cast) -> None:
    """Add records as they come out of a faulty migration: one without the child, one with a day that never was."""
    for index in range(2):
        other = Cast(cast.rng, cast.today, cast.number + index)
        record_id = _enter(world, "broken", ordinary_kindergarten(other)).vigilo[0]
        plan_id = _enter(world, "broken", ordinary_health_station(other)).samspill[0]
        if index == 0:
            del world.vigilo[record_id]["barn"]
            del world.samspill[plan_id]["mainPerson"]
        else:
            world.vigilo[record_id]["oppretta"] = "31.02.2026"
            world.samspill[plan_id]["createdOn"] = "2026-02-30"


def _open_units(world: World, today: date) -> None:
    for unit in _VIGILO_UNITS:
        world.schools[unit.vigilo_id] = _school(unit)
    rng = Random("staff")
    for number, worker in enumerate(STAFF, 1):
        if worker.unit not in _VIGILO_UNITS:
            continue
        national_id = generate(rng, date(rng.randint(1962, 1998), rng.randint(1, 12), rng.randint(1, 28)))
        person = person_id(national_id)
        employee = made_up_uuid(f"employee/{number}")
        world.persons[person] = _person(person, worker.first_name, worker.last_name, "notKnown", national_id)
        world.employees[employee] = {
            "id": employee,
            "alias": None,
            "fromDate": "2019-08-01",
            "toDate": None,
            "employeeNumber": str(4000 + number),
            "contactInformation": {"email": worker.email, "phoneNumber": worker.phone},
            "modifiedTime": f"{today.year}-01-10T12:00:00Z",
            "personId": person,
            "schoolId": worker.unit.vigilo_id,
        }


def _school(unit: Unit) -> Json:
    school = unit in SCHOOLS
    return {
        "id": unit.vigilo_id,
        "name": unit.name,
        "shortName": unit.name.split()[0],
        "vigoId": None,
        "schoolType": "elementarySchool" if school else "other",
        "startGrade": 1 if school else None,
        "endGrade": 10 if school else None,
        "discarded": False,
        "organizationNumber": unit.orgnr,
    }


def _person(record_id: str, first_name: str, last_name: str, gender: str, national_id: str) -> Json:
    return {
        "id": record_id,
        "firstName": first_name,
        "lastName": last_name,
        "gender": gender,
        "nationalIdresourceNumber": national_id,
        "contactInformation": {"email": None, "phoneNumber": None},
    }


def _enrol(world: World, case: Case) -> None:
    """Enter the child as a person and student of its unit, and its guardians as OneRoster users beside it."""
    child, modified = case.subject, instant(case.changed)
    person, student = person_id(child.national_id), student_id(child.national_id)
    world.persons[person] = _person(person, child.first_name, child.last_name, child.gender, child.national_id)
    world.students[student] = {
        "id": student,
        "alias": None,
        "fromDate": case.opened.isoformat(),
        "toDate": None,
        "modifiedTime": modified,
        "personId": person,
        "schoolId": case.unit.vigilo_id,
    }
    guardians = {made_up_uuid(f"guardian/{g.national_id}"): g for g in case.guardians}
    profile = {
        "role": "student",
        "agents": list(guardians),
        "birthDate": child.born.isoformat(),
        "gender": child.gender,
    }
    world.users[student] = _user(student, child.first_name, child.last_name, case, profile)
    for user, guardian in guardians.items():
        first, _, last = guardian.name.partition(" ")
        world.users[user] = _user(user, first, last, case, _guardianship(guardian, student))


def _guardianship(guardian: Guardian, student: str) -> Json:
    relation = {"MOR": "mother", "FAR": "father"}[guardian.relation]
    return {"role": "ext:primaryGuardian", "agents": [student], "relation": relation}


def _user(user: str, first_name: str, last_name: str, case: Case, profile: Json) -> Json:
    return {
        "id": user,
        "firstName": first_name,
        "lastName": last_name,
        "modifiedTime": instant(case.changed),
        "schoolId": case.unit.vigilo_id,
        **profile,
    }
