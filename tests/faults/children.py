"""The made-up records that the fault tests move: one child in a source and in every sink, the same at each run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random
from typing import Any

from hub.relaylog.nationalid import generate

Tree = dict[str, Any]

SOURCE = "school"
SINKS = {"refuses_key": "ppt", "look_up_only": "health_station", "neither": "therapy"}
"""The sinks by what they do with a change that comes again, and the service that reads behind each."""


def national_ids(count: int) -> Iterator[tuple[str, date]]:
    """Yield synthetic national ids (month + 80) with the day of birth; no two are the same."""
    random, seen = Random(1), set[str]()  # noqa: S311 - the same at each run
    while len(seen) < count:
        born = date(2014, 1, 1) + timedelta(days=len(seen) % 1500)
        number = generate(random, born)
        if number not in seen:
            seen.add(number)
            yield number, born


def world(count: int) -> dict[str, dict[str, Tree]]:
    """Return the records of every system by id, `<system>-<number>`."""
    systems: dict[str, dict[str, Tree]] = {name: {} for name in (SOURCE, *SINKS)}
    for number, (national_id, born) in enumerate(national_ids(count)):
        for name, records in systems.items():
            record_id = f"{name}-{number:05}"
            records[record_id] = _frame(record_id, national_id, born, SINKS.get(name, SOURCE))
            if name == SOURCE:
                records[record_id] |= _work(number)
    return systems


def _frame(record_id: str, national_id: str, born: date, service: str) -> Tree:
    return {
        "canonical": "relaylog/1",
        "source": {"system": service, "id": record_id},
        "status": "active",
        "subject": {
            "kind": "child",
            "name": "Solskinn Testbarn",
            "national_id": national_id,
            "birth_date": born.isoformat(),
            "address_protection": "none",
        },
        "unit": {"name": f"Prøvelia {service}", "service": service},
    }


def _work(number: int) -> Tree:
    """Return what only the source knows: 45 leaves of goals, measures and evaluations, and the consents."""
    return {
        "level": 2,
        "opened_on": "2026-03-01",
        "holder": {"name": "Bjørketest Prøvesen", "title": "Kontaktlærer", "service": "school"},
        "guardians": [
            {"id": "g1", "name": "Dagskinn Testmor", "relation": "mother", "parental_responsibility": True,
             "residence": "together", "address_protection": "none"},
        ],
        "consents": [_consent(service) for service in SINKS.values()],
        "goals": [_goal(1, number), _goal(2, number)],
        "measures": [_measure(1), _measure(2)],
        "evaluations": [_evaluation(1), _evaluation(2), _evaluation(3)],
    }  # fmt: skip


def _consent(service: str) -> Tree:
    return {
        "id": f"c-{service}", "recipient": service, "parts": ["education"], "status": "given",
        "signed_by": [{"name": "Dagskinn Testmor", "role": "mother", "on": "2026-03-01"}],
        "form": "digital", "valid_from": "2026-03-01", "valid_to": "2036-03-01", "child_asked": True,
    }  # fmt: skip


def _goal(nr: int, number: int) -> Tree:
    return {**_written(f"m{nr}"), "text": f"Mål {nr} for nummer {number}, runde 0.", "status": "ongoing"}


def _measure(nr: int) -> Tree:
    return {
        **_written(f"t{nr}"), "text": f"Lesegruppe {nr}, to ganger i uka.", "arena": "school",
        "starts_on": "2026-04-01", "deadline": "2026-12-01", "evaluate_by": "2026-11-20", "status": "started",
        "responsible": {"name": "Bjørketest Prøvesen", "service": "school"},
    }  # fmt: skip


def _evaluation(nr: int) -> Tree:
    return {
        **_written(f"v{nr}"), "on": "2026-05-02", "effect": "some",
        "text": f"Vi ser god framgang {nr}.", "decision": "continue", "attended": ["Kontaktlærer", "PPT"],
    }  # fmt: skip


def _written(key: str) -> Tree:
    return {"id": key, "writer": "school", "written_on": "2026-03-02", "part": "education"}


def texts(body: Tree) -> list[str]:
    """Return every text of a record's goals, measures and evaluations, as often as it stands there."""
    return sorted(each["text"] for name in ("goals", "measures", "evaluations") for each in body.get(name, []))


def linked(body: Tree) -> Tree:
    """Return a source's record in which measures name their goal, and evaluations their measure."""
    measures = [{**each, "goal": goal} for each, goal in zip(body["measures"], ("m1", "m2"), strict=True)]
    links = zip(body["evaluations"], ("t1", "t1", "t2"), strict=True)
    evaluations = [{**each, "measure": measure} for each, measure in links]
    return {**body, "measures": measures, "evaluations": evaluations}


def edit(body: Tree, round_number: int) -> Tree:
    """Return a source's record as after a person's edit: both goals tell which round it was."""
    goals = [{**goal, "text": f"{goal['text'].rpartition(',')[0]}, runde {round_number}."} for goal in body["goals"]]
    return {**body, "goals": goals}
