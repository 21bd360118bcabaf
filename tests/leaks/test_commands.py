"""No command leaks, whether it does what it should or fails: each is run on a municipality that is full of canaries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest
import typer

from hub.cli import app
from tests.leaks.acts import live_through_everything
from tests.leaks.canaries import clear
from tests.leaks.house import open_texts, stored_bytes
from tests.leaks.office import Office, office

NOT_RUN_HERE: Mapping[str, str] = MappingProxyType(
    {
        "run": "it ends when it is stopped: test_leaks.py starts it, and breaks it",
        "web": "it ends when it is stopped: test_leaks.py starts it, and reads its pages",
        "scheduler": "it ends when it is stopped, and does a part of what `run` does by the same code",
        "worker": "it ends when it is stopped, and does a part of what `run` does by the same code",
        "sandbox": "it is the simulated systems, and no hub",
        "demo": "it has a hub of its own with made-up children, whose values it may show",
    }
)
"""Commands that are run elsewhere or nowhere, and why."""

REVEALING = ("--reveal", "mapping expect", "rights letter")
"""What shows a person's values to whoever asked for them and may: its result is theirs, the rest is not."""


@dataclass(frozen=True)
class Lived:
    """The office after everything, and the databases that it has had."""

    hub: Office
    databases: tuple[str, ...]

    def clear(self, data: bytes) -> list[str]:
        """Return what stands in clear in bytes."""
        return clear(data, self.hub.numbers)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def lived(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    """Give the office after everything: the short form on SQLite, all of it on PostgreSQL."""
    folder, thorough = tmp_path_factory.mktemp("office"), request.param == "postgresql"
    server = request.getfixturevalue("postgresql") if thorough else None
    with (
        server.database("migrated") if server else nullcontext("") as url,
        server.database() if server else nullcontext("") as empty,
        office(folder, url, thorough=thorough) as hub,
    ):
        live_through_everything(hub)
        back = f"sqlite:///{hub.data / 'back.db'}"
        if empty:
            hub.well("store", "move", "--to", empty, DATABASE=back)
        yield Lived(hub, (hub.database, back, *([empty] if empty else [])))


def every_command() -> set[str]:
    """Return the full name of each command that the hub has."""
    return set(_named(typer.main.get_command(app), ()))


def _named(command: object, path: tuple[str, ...]) -> Iterator[str]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield " ".join(path)
        return
    for name, each in inner.items():
        yield from _named(each, (*path, name))


def _ran(hub: Office, *, well: bool) -> set[str]:
    """Return the commands that ended well, or that did not."""
    said = [f"{each.command} " for each in hub.said if (each.code == 0) is well]
    return {name for name in every_command() if any(line.startswith(f"{name} ") for line in said)}


def test_every_command_is_known_here(lived: Lived) -> None:
    """A command that nobody has run for leaks yet is named; `store move` needs PostgreSQL for its good end."""
    elsewhere = NOT_RUN_HERE.keys() | (set() if lived.hub.thorough else {"store move"})
    assert every_command() - _ran(lived.hub, well=True) == elsewhere
    assert "store move" in _ran(lived.hub, well=False)


def test_canaries_went_everywhere(lived: Lived) -> None:
    """What is not found elsewhere was there: on screens that reveal, in a paper, and in the plan that Samspill has."""
    revealed = [said for said in lived.hub.said if _reveals(said.command)]
    assert revealed
    assert all(lived.clear(said.out) for said in revealed if said.code == 0 and "inbox show" not in said.command)
    assert lived.clear((lived.hub.side / "a.txt").read_bytes())
    [plan] = [each for each in lived.hub.sandbox.world.samspill.values() if each["planTypeId"] == "INDIVIDUELL_PLAN"]
    assert lived.clear(str(plan).encode())


def _reveals(command: str) -> bool:
    return any(word in command for word in REVEALING)


def test_the_log(lived: Lived) -> None:
    """No line that a command logs at DEBUG, and no error that it ends with, holds a canary."""
    assert {said.command: found for said in lived.hub.said if (found := lived.clear(said.log))} == {}


def test_the_screen(lived: Lived) -> None:
    """No result shows a canary, but what somebody who may asks to see."""
    shown = [said for said in lived.hub.said if not _reveals(said.command)]
    assert {said.command: found for said in shown if (found := lived.clear(said.out))} == {}


def test_what_nobody_caught(lived: Lived) -> None:
    """No command ends with Python's own account of a mistake."""
    assert [said.command for said in lived.hub.said if b"Traceback" in said.out + said.log] == []


def test_reminders(lived: Lived) -> None:
    """Neither a message as the mail server read it, nor what it says decoded, nor the talk around it, holds one."""
    sink = lived.hub.sink
    assert sink.messages
    letters = [letter.get_content() for letter in sink.letters()]
    assert lived.clear(b"\n".join([*sink.messages, *map(str.encode, [*letters, *sink.said])])) == []


def test_what_the_key_service_was_asked(lived: Lived) -> None:
    """No address that was asked for names anybody."""
    assert lived.hub.transit.asked
    assert lived.clear("\n".join(lived.hub.transit.asked).encode()) == []


def test_the_database(lived: Lived) -> None:
    """No column but the sealed ones, and no plain byte of the store, of what was restored or moved, holds a canary."""
    columns: dict[tuple[str, str], list[str]] = {}
    with lived.hub.store() as db:
        for table, column, value in open_texts(db):
            columns.setdefault((table, column), []).append(value)
    assert [column for column, values in columns.items() if lived.clear("\n".join(values).encode())] == []
    assert [each for each in lived.databases if lived.clear(stored_bytes(each))] == []


def test_files(lived: Lived) -> None:
    """No file under the data folder is named after anybody or holds a canary, and no backup does."""
    files = [path for path in lived.hub.data.rglob("*") if path.is_file()]
    assert [path.name for path in files if lived.clear(str(path.relative_to(lived.hub.data)).encode())] == []
    assert [path.name for path in files if lived.clear(path.read_bytes())] == []
    assert lived.clear((lived.hub.side / "b.backup").read_bytes()) == []


def test_papers_without_values(lived: Lived) -> None:
    """What a control round, a breach and the data protection officer's page write down holds ids, codes and counts."""
    made: list[Path] = [lived.hub.side / name for name in ("a.csv", "a.md")]
    assert [path.name for path in made if lived.clear(path.read_bytes())] == []
