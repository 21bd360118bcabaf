"""How fast mappings are: ratios in one run, beside a function by hand that does the same conversions, and JMESPath.

Nothing is asserted of the clock. `make bench` prints the table; `docs/performance.md` shows it with its command.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import date
from pathlib import Path

import jmespath  # type: ignore[import-untyped]
import pytest

from hub.mappings import codelists, shipped
from hub.mappings.language import Mapping, Tree, load_mapping
from hub.payloads.registry import payload
from hub.relaylog.codes import Arena, BtiLevel, GoalStatus, LogStatus, Part, Service
from hub.relaylog.model import Actor, Evaluation, Goal, Measure, RelayLog, Source, Subject

pytestmark = pytest.mark.long

HERE = Path(__file__).parent
TEXT = (HERE / "bench_mapping.yaml").read_text(encoding="utf-8")
SERVICES = {
    "BHG": Service.KINDERGARTEN, "SKU": Service.SCHOOL, "HST": Service.HEALTH_STATION, "PPT": Service.PPT,
    "BVT": Service.CHILD_WELFARE, "FAM": Service.FAMILY, "ANN": Service.MUNICIPAL_OTHER,
}  # fmt: skip
STATUSES = {
    "A": LogStatus.ACTIVE, "U": LogStatus.DRAFT, "P": LogStatus.PAUSED, "L": LogStatus.CLOSED,
    "V": LogStatus.AWAITING_CONSENT,
}  # fmt: skip
LEVELS = {f"N{level.value}": level for level in BtiLevel}
GOALS = {"G": GoalStatus.ONGOING, "N": GoalStatus.REACHED}
ARENAS = {
    "B": Arena.KINDERGARTEN, "S": Arena.SCHOOL, "H": Arena.HOME, "F": Arena.LEISURE, "L": Arena.HEALTH,
    "A": Arena.OTHER,
}  # fmt: skip
BACK_SERVICES, BACK_STATUSES, BACK_LEVELS, BACK_GOALS, BACK_ARENAS = (
    {value: code for code, value in table.items()} for table in (SERVICES, STATUSES, LEVELS, GOALS, ARENAS)
)

JMES = jmespath.compile(
    "{id: logg.id, status: logg.status, level: logg.niva, opened: logg.start, first: barn.fornamn, "
    "last: barn.etternamn, born: barn.fodd, holder: haldar.{n: namn, s: teneste, p: tlf}, "
    "goals: logg.mal[].{id: nr, t: tekst, s: status, "
    "measures: tiltak[].{id: nr, t: tekst, a: arena, n: av.namn, s: av.teneste, from: start, to: frist, by: vurderast, "
    "evaluations: vurdert[].{id: nr, on: dato, t: tekst, a: deltok}}}}"
)
"""One compiled expression that finds the same leaves, converts nothing and writes nothing."""


def record() -> Tree:
    """Return a record of 45 leaves: two goals, a measure in each, three evaluations."""

    def evaluation(nr: int) -> Tree:
        return {"nr": f"v{nr}", "dato": "02.05.2026", "tekst": "Vi ser god framgang.", "deltok": "Kontaktlærar, PPT"}

    def measure(nr: int, evaluations: list[Tree]) -> Tree:
        return {
            "nr": f"t{nr}", "tekst": "Lesegruppe to gonger i veka.", "arena": "S", "start": "01.04.2026",
            "frist": "01.06.2026", "vurderast": "15.05.2026", "av": {"namn": "Kontaktlærar", "teneste": "SKU"},
            "vurdert": evaluations,
        }  # fmt: skip

    return {
        "type": "STAFETT",
        "logg": {
            "id": "77", "status": "A", "niva": "N2", "start": "14.03.2026",
            "mal": [
                {"nr": "m1", "tekst": "Trygg i gruppa.", "status": "G",
                 "tiltak": [measure(1, [evaluation(1), evaluation(2)])]},
                {"nr": "m2", "tekst": "Les med flyt.", "status": "N", "tiltak": [measure(2, [evaluation(3)])]},
            ],
        },
        "barn": {"fornamn": "Solskinn", "etternamn": "Testbarn", "fodd": "01.02.2018"},
        "haldar": {"namn": "Rektor", "teneste": "SKU", "tlf": "12345678"},
    }  # fmt: skip


def changed_log(mapping: Mapping) -> RelayLog:
    """Return the record's log with one value in each element changed, as after an edit in another system."""
    log = mapping.read(record())
    return log.model_copy(update={
        "level": BtiLevel(3),
        "goals": tuple(one.model_copy(update={"text": one.text + " Ny."}) for one in log.goals),
        "measures": tuple(one.model_copy(update={"deadline": date(2026, 7, 1)}) for one in log.measures),
        "evaluations": tuple(one.model_copy(update={"text": one.text + " Ny."}) for one in log.evaluations),
    })  # fmt: skip


def day(text: str) -> date:
    """Read dd.mm.yyyy."""
    return date(int(text[6:]), int(text[3:5]), int(text[:2]))


def read_by_hand(tree: Tree) -> RelayLog:
    """Read the record as a programmer would write it for this one template."""
    logg, barn, haldar = tree["logg"], tree["barn"], tree["haldar"]
    assert isinstance(logg, dict)
    assert isinstance(barn, dict)
    assert isinstance(haldar, dict)
    goals, measures, evaluations = [], [], []
    for mal in logg["mal"]:
        goals.append(Goal(
            id=mal["nr"], writer=Service.SCHOOL, part=Part.EDUCATION, text=mal["tekst"], status=GOALS[mal["status"]]
        ))  # fmt: skip
        for tiltak in mal["tiltak"]:
            measures.append(Measure(
                id=tiltak["nr"], writer=Service.SCHOOL, part=Part.EDUCATION, text=tiltak["tekst"],
                arena=ARENAS[tiltak["arena"]], starts_on=day(tiltak["start"]), deadline=day(tiltak["frist"]),
                evaluate_by=day(tiltak["vurderast"]),
                responsible=Actor(name=tiltak["av"]["namn"], service=SERVICES[tiltak["av"]["teneste"]]), goal=mal["nr"],
            ))  # fmt: skip
            evaluations += [evaluation_by_hand(vurdert, tiltak["nr"]) for vurdert in tiltak["vurdert"]]
    return RelayLog(
        source=Source(system="bench", id=logg["id"]),
        status=STATUSES[logg["status"]], level=LEVELS[logg["niva"]], opened_on=day(logg["start"]),
        subject=Subject(name=f"{barn['fornamn']} {barn['etternamn']}", birth_date=day(barn["fodd"])),
        holder=Actor(name=haldar["namn"], service=SERVICES[haldar["teneste"]], phone=haldar["tlf"]),
        goals=tuple(goals), measures=tuple(measures), evaluations=tuple(evaluations),
    )  # fmt: skip


def evaluation_by_hand(vurdert: dict[str, str], measure: str) -> Evaluation:
    """Read one evaluation."""
    return Evaluation(
        id=vurdert["nr"], writer=Service.SCHOOL, part=Part.EDUCATION, measure=measure,
        on=day(vurdert["dato"]), text=vurdert["tekst"], attended=tuple(vurdert["deltok"].split(", ")),
    )  # fmt: skip


def write_by_hand(before: Tree, log: RelayLog) -> Tree:
    """Put the log on a copy of the record: rows by their number, only what the log says, nothing else touched."""
    tree = deepcopy(before)
    logg, barn, haldar = tree["logg"], tree["barn"], tree["haldar"]
    assert isinstance(logg, dict)
    assert isinstance(barn, dict)
    assert isinstance(haldar, dict)
    put(logg, "status", BACK_STATUSES.get(log.status))
    put(logg, "niva", BACK_LEVELS.get(log.level) if log.level is not None else None)
    put(logg, "start", shown(log.opened_on))
    first, _, last = log.subject.name.rpartition(" ")
    put(barn, "fornamn", first)
    put(barn, "etternamn", last)
    put(barn, "fodd", shown(log.subject.birth_date))
    if log.holder:
        put(haldar, "namn", log.holder.name)
        put(haldar, "teneste", BACK_SERVICES.get(log.holder.service))
        put(haldar, "tlf", log.holder.phone)
    goals = {mal["nr"]: mal for mal in logg["mal"]}
    measures = {tiltak["nr"]: tiltak for mal in logg["mal"] for tiltak in mal["tiltak"]}
    evaluations = {vurdert["nr"]: vurdert for tiltak in measures.values() for vurdert in tiltak["vurdert"]}
    for goal in log.goals:
        put(goals[goal.id], "tekst", goal.text)
        put(goals[goal.id], "status", BACK_GOALS.get(goal.status))
    for measure in log.measures:
        row = measures[measure.id]
        put(row, "tekst", measure.text)
        put(row, "arena", BACK_ARENAS.get(measure.arena))
        put(row, "start", shown(measure.starts_on))
        put(row, "frist", shown(measure.deadline))
        put(row, "vurderast", shown(measure.evaluate_by))
        if measure.responsible:
            put(row["av"], "namn", measure.responsible.name)
            put(row["av"], "teneste", BACK_SERVICES.get(measure.responsible.service))
    for evaluation in log.evaluations:
        row = evaluations[evaluation.id]
        put(row, "dato", shown(evaluation.on))
        put(row, "tekst", evaluation.text)
        put(row, "deltok", ", ".join(evaluation.attended))
    return tree


def put(row: Tree, name: str, value: str | None) -> None:
    """Write a value that says something and isn't there already."""
    if value and row.get(name) != value:
        row[name] = value


def shown(on: date | None) -> str | None:
    """Write dd.mm.yyyy."""
    return f"{on.day:02}.{on.month:02}.{on.year:04}" if on else None


def microseconds(what: Callable[[], object], rounds: int = 400) -> float:
    """Return the best time of one call, over five tries of many."""

    def once() -> float:
        start = time.perf_counter()
        for _ in range(rounds):
            what()
        return (time.perf_counter() - start) / rounds * 1e6

    return min(once() for _ in range(5))


def leaves(value: object) -> int:
    """Count the values that are no list and no object."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 1 if inner is None else sum(leaves(one) for one in inner)


def show(capsys: pytest.CaptureFixture[str], head: str, rows: Iterator[tuple[str, ...]]) -> None:
    """Print a Markdown table, past pytest's capture."""
    with capsys.disabled():
        print(f"\n\n{head}\n|{'---|' * head.count(' | ')}---|")  # noqa: T201 - the table is the product
        for row in rows:
            print(f"| {' | '.join(row)} |")  # noqa: T201


def test_reading_and_writing_beside_a_function_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    """Reading, writing and JMESPath on a nested record of 45 leaves, all doing the same; prints their ratios."""
    mapping = load_mapping(TEXT, "bench_mapping.yaml")
    tree, log = record(), changed_log(mapping)
    assert leaves(tree) == 45
    assert mapping.read(tree) == read_by_hand(tree)
    assert mapping.write(tree, log) == write_by_hand(tree, log)
    times = {
        "reading": (microseconds(lambda: mapping.read(tree)), microseconds(lambda: read_by_hand(tree))),
        "writing": (microseconds(lambda: mapping.write(tree, log)), microseconds(lambda: write_by_hand(tree, log))),
    }
    found = microseconds(lambda: JMES.search(tree))
    show(capsys, "| 45 leaves, nested | mapping, µs | by hand, µs | times by hand | JMESPath (only finds), µs |", (
        (name, f"{ours:.0f}", f"{hand:.0f}", f"{ours / hand:.2f}", f"{found:.0f}")
        for name, (ours, hand) in times.items()
    ))  # fmt: skip


def test_xml_beside_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The same record as XML: bytes to tree to relay log and back, beside JSON and beside parsing alone."""
    head = TEXT.replace("payload: {kind: json}", "payload: xml")
    mapping = load_mapping(TEXT, "bench_mapping.yaml")
    xml_mapping = load_mapping(xml_places(head), "bench_mapping.yaml")
    xml = payload("xml", xml_mapping.payload_options)
    jsonp = payload("json", {})
    tree: Tree = {"r": record()}
    data, json_data = xml.encode(tree, None), json.dumps(record()).encode()
    log = changed_log(mapping)
    assert xml_mapping.read(xml.decode(data)) == mapping.read(record())
    rows = {
        "parsing": (lambda: jsonp.decode(json_data), lambda: xml.decode(data)),
        "reading": (lambda: mapping.read(jsonp.decode(json_data)), lambda: xml_mapping.read(xml.decode(data))),
        "mapping alone": (lambda: mapping.read(record()), lambda: xml_mapping.read(tree)),
        "writing": (
            lambda: jsonp.encode(mapping.write(jsonp.decode(json_data), log), json_data),
            lambda: xml.encode(xml_mapping.write(xml.decode(data), log), data),
        ),
    }
    timed = {name: tuple(microseconds(one, 100) for one in both) for name, both in rows.items()}
    show(capsys, "| 45 leaves as bytes | JSON, µs | XML, µs | times JSON |", (
        (name, f"{one:.0f}", f"{other:.0f}", f"{other / one:.2f}") for name, (one, other) in timed.items()
    ))  # fmt: skip


def xml_places(text: str) -> str:
    """Put every place at the top below a root element."""
    for place in ("/logg", "/barn", "/haldar", "/type"):
        text = (
            text.replace(f" {place}", f" /r{place}")
            .replace(f"[{place}", f"[/r{place}")
            .replace(f"{{{place}", f"{{/r{place}")
        )
    return text


def test_lint_of_a_long_mapping(capsys: pytest.CaptureFixture[str]) -> None:
    """Reading and checking the shipped mappings, and compiling them, in milliseconds; the aim is 50 for 400 lines."""

    def row(path: Path) -> tuple[str, ...]:
        text, lists = path.read_text(encoding="utf-8"), codelists(None)
        lint = microseconds(lambda: load_mapping(text, path.name, lists=lists), 5) / 1000
        full = microseconds(lambda: load_mapping(text, path.name, lists=lists).write(None, RelayLog()), 5) / 1000
        lines = text.count("\n")
        return path.name, str(lines), f"{lint:.1f}", f"{lint * 400 / lines:.1f}", f"{full:.1f}"

    show(
        capsys, "| mapping | lines | lint, ms | for 400 lines, ms | with compiling, ms |", map(row, shipped().values())
    )
