"""Nothing leaks: no canary stands anywhere but where it belongs, after every kind of trouble. One test a surface."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

from hub.mappings import shipped
from hub.operate.report import Reports
from hub.store.sealing import log_sealers
from hub.store.tables import DeliveryState, deliveries, logs, quarantine, runs
from hub.store.work import INTERNAL_ERROR
from tests.faults.house import TENANT
from tests.leaks.canaries import MARK, Canary, canaries, clear
from tests.leaks.house import (
    BROKEN,
    Leaky,
    ask_everything,
    leaky,
    live_through_everything,
    open_texts,
    read_pages,
    stored_bytes,
)

pytestmark = pytest.mark.long

CHILD = "03822166554"  # synthetic
SYSTEMS = shipped()


@dataclass(frozen=True)
class Lived:
    """A hub that has met everything, the national ids that it met, and its status page."""

    hub: Leaky
    numbers: set[str]
    page: bytes

    def clear(self, data: bytes) -> list[str]:
        """Return what stands in clear in bytes."""
        return clear(data, self.numbers)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def lived(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    """Give a hub that has met everything, on each database."""
    folder = tmp_path_factory.mktemp("leaks")
    if request.param == "sqlite":
        yield from _lived(folder, "")
        return
    with request.getfixturevalue("postgresql").database("migrated") as url:
        yield from _lived(folder, url)


def _lived(folder: Path, url: str) -> Iterator[Lived]:
    with leaky(folder, url) as hub:
        live_through_everything(hub)
        ask_everything(hub)
        yield Lived(hub, hub.numbers, read_pages(hub))


def test_canaries_are_where_free_text_is() -> None:
    """Every shipped sample takes canaries: the child's name in each, and ten or more in each template's fullest."""
    found = canaries(CHILD)
    assert all(MARK in each.log.subject.name.lower() for each in found)
    fullest: dict[str, Canary] = {each.mapping.id: each for each in sorted(found, key=lambda each: each.values)}
    assert min(each.values for each in fullest.values()) >= 10


@pytest.mark.parametrize(
    "spelt", ["Zqkanari7x".encode("utf-16-le"), b"enFrYW5hcmk3eA==", b"7a716b616e617269", CHILD.encode()]
)
def test_the_search_finds_what_is_spelt_otherwise(spelt: bytes) -> None:
    """A canary in UTF-16, in base64 or in hex, or a national id, would be found."""
    assert clear(b"x\x00" + spelt + b"y", [CHILD])


def test_all_of_it_happened(lived: Lived) -> None:
    """Canaries were taken in, sent and put into quarantine for every reason: what is not found elsewhere was there."""
    hub = lived.hub
    assert {"run", "web"} <= {said.command.partition(" ")[0] for said in hub.said}
    reasons = {row.reason for row in hub.house.rows(select(quarantine.c.reason))}
    assert reasons >= {"unmapped", *(f"payload_{code}" for code in ("syntax", "dtd", "zip"))}
    assert INTERNAL_ERROR in {row.error_class for row in hub.house.rows(select(runs.c.error_class))}
    assert hub.house.rows(select(deliveries).where(deliveries.c.state == DeliveryState.DONE))
    assert all(MARK in json.dumps(hub.other.order(sink)).lower() for sink in ("refuses_key", "look_up_only"))
    assert {path.suffixes[0] for path in hub.systems.glob("*/failed/feil.*")} == set(BROKEN)
    with hub.house.opened() as opened, hub.house.db.read() as tx:
        keys = opened.tenants[TENANT].logs.keys
        rows = tx.execute(select(logs.c.log_id, logs.c.sealed_body).where(logs.c.sealed_body.is_not(None))).all()
        sealers = log_sealers(tx, keys, [row.log_id for row in rows])
        opened_bodies = [sealers[row.log_id].open("logs.sealed_body", row.sealed_body) for row in rows]
    assert sum(bool(clear(body)) for body in opened_bodies) > len(SYSTEMS)


def test_the_log(lived: Lived) -> None:
    """No line that a command logs at DEBUG holds a canary, whatever failed."""
    assert {said.command: found for said in lived.hub.said if (found := lived.clear(said.log))} == {}


def test_the_screen(lived: Lived) -> None:
    """No command shows a canary: neither results, nor traces, the inbox, papers for IT, or errors."""
    assert {said.command: found for said in lived.hub.said if (found := lived.clear(said.out))} == {}


def test_what_nobody_caught(lived: Lived) -> None:
    """A mistake of the hub's own ends a command with a line of ours, never with Python's own account of it."""
    told = {said.command for said in lived.hub.said if b"Traceback" in said.out + said.log}
    assert told == set()


def test_texts_in_rows(lived: Lived) -> None:
    """No column but the sealed ones holds a canary: no error text, no place, no id, no cursor."""
    texts = open_texts(lived.hub.house.db)
    found = [(table, column) for table, column, value in texts if lived.clear(value.encode())]
    assert found == []


def test_the_plain_bytes_of_the_database(lived: Lived) -> None:
    """Neither the database's files with what is written ahead, nor a whole dump with the engine's tables, holds one."""
    database = lived.hub.house.database
    found = stored_bytes(database)
    assert database.startswith("sqlite") or b"procrastinate" in found
    assert lived.clear(found) == []


def test_names_of_files(lived: Lived) -> None:
    """No file or folder that the hub makes is named after anybody."""
    names = [str(path.relative_to(lived.hub.house.folder)) for path in lived.hub.house.folder.rglob("*")]
    assert [name for name in names if lived.clear(name.encode())] == []


def test_files_of_the_hub(lived: Lived) -> None:
    """No file under the data folder holds one: the archive's packages are sealed, and nothing is left lying about."""
    files = [path for path in lived.hub.house.folder.rglob("*") if path.is_file()]
    assert [str(path) for path in files if lived.clear(path.read_bytes())] == []


def test_reasons_beside_files(lived: Lived) -> None:
    """What the hub writes beside a file that it could not read tells place and remedy, and no value."""
    reasons = sorted(lived.hub.systems.glob("*/failed/*.reason.txt"))
    assert len(reasons) >= len(BROKEN)
    assert [path.name for path in reasons if lived.clear(path.read_bytes())] == []


def test_every_trace(lived: Lived) -> None:
    """The trace of every log, run, delivery and thing in the inbox tells ids and codes."""
    reports = Reports(lived.hub.house.db)
    told = {each: str(reports.trace(TENANT, each)).encode() for each in lived.hub.ids().values()}
    assert [each for each, lines in told.items() if lived.clear(lines)] == []


def test_the_status_page(lived: Lived) -> None:
    """The status page shows counts and codes in all its languages."""
    assert b"<html" in lived.page
    assert lived.clear(lived.page) == []


def test_a_crash_leaves_no_image(lived: Lived) -> None:
    """A process of the hub may write no core file: it would hold keys and open logs."""
    assert lived.hub.core == "0"


def test_mistakes_in_the_configuration(lived: Lived, tmp_path: Path) -> None:
    """A value in a file that is no YAML, or in a wrong place, is not shown: it may be a secret."""
    texts = {
        "no yaml": f"name: [{MARK}\n  - {MARK}: {{",
        "a wrong place": f'client_secret: "{MARK}"\nname: {{{MARK}: {MARK}}}\n',
        "twice": f"name: {MARK}\nname: {MARK}\n",
        "a tag": f"name: !!python/object:{MARK} {MARK}\n",
    }
    for name, text in texts.items():
        folder = tmp_path / name / "tenants" / TENANT
        folder.mkdir(parents=True)
        (tmp_path / name / "hub.yaml").write_text(f"environment: test\ndata: {tmp_path}\n", encoding="utf-8")
        (folder / "tenant.yaml").write_text(text, encoding="utf-8")
        said = lived.hub.run("status", config=tmp_path / name)
        assert said.code == 1
        assert clear(said.out + said.log) == [], name
