"""The page over real HTTP: three languages, safe headers, no value of a person, and markup that can be read aloud."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import cast

import httpx
import pytest
import uvicorn
from lxml import etree
from sqlalchemy import insert

from hub.bootstrap import Hub, read_settings
from hub.connectors.http import Clock
from hub.operate.report import Reports
from hub.sandbox.municipality import MUNICIPALITY_NAME, MUNICIPALITY_ORGNR
from hub.sandbox.texts import PRIVATE_TEXTS
from hub.sandbox.world import World
from hub.store.database import Database, open_database
from hub.store.tables import DeliveryKind, DeliveryState, RunState, connection_state, logs, runs
from hub.store.work import NewDelivery, WorkStore
from hub.web.server import HEADERS, PortNotFree, serve_status, status_app
from hub.web.words import WORDS, Language

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
CODES = {
    "today", "malversjon", "steg", "step", "malform", "organisationNumber", "kind", "addressProtection", "effect",
    "activityId", "part", "system", "shortName",
}  # fmt: skip
"""Fields of the simulated systems that hold codes, dates and the municipality, which a page may happen to say too."""


@dataclass(frozen=True)
class Served:
    """What a browser got, how the process ended, and the world whose children the store then held."""

    address: str
    pages: dict[str, httpx.Response]
    style: httpx.Response
    missing: httpx.Response
    foreign_host: httpx.Response
    exit_code: int
    errors: str
    world: World


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """Run the demo with twenty children and the page, read it in every language, and stop it."""
    folder = tmp_path_factory.mktemp("served")
    command = [sys.executable, "-m", "hub", "demo", "--dir", str(folder), "--children", "20", "--serve", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = next((line for line in process.stdout if line.startswith("Status page: ")), "")
            assert line, "the demo ended before it served the page"
            address = line.split()[2]
            with httpx.Client(base_url=address) as browser:
                pages = {lang: browser.get("/", params={"lang": lang}) for lang in ("nb", "nn", "en")}
                style, missing = browser.get("/static/status.css"), browser.get("/nothing")
                foreign_host = browser.get("/", headers={"Host": "elsewhere.example"})
        finally:
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=20)
    world = World.load(folder / "sandbox" / "world.json")
    return Served(address, pages, style, missing, foreign_host, process.returncode, errors, world)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    """Give an empty store."""
    db = open_database(f"sqlite:///{tmp_path / 'hub.db'}")
    db.migrate()
    yield db
    db.close()


def _strings(value: object, field: str = "") -> Iterator[str]:
    """Yield every name, national id, address and text in a part of the world."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _strings(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner, field)
    elif isinstance(value, str) and value and field not in CODES:
        yield value


@pytest.mark.parametrize("language", ["nb", "nn", "en"])
def test_the_page_is_in_the_language(served: Served, language: Language) -> None:
    """Each language has its own page, says so to the browser, and says what the page is."""
    page, words = served.pages[language], WORDS[language]
    assert (page.status_code, page.headers["content-language"]) == (200, language)
    document = etree.HTML(page.text)
    assert document.get("lang") == language
    said = _said(document)
    for key in ("title", "notice", "connections", "held_caption", "inbox_caption", "reason.special", "decider.holder"):
        assert words[key] in said
    assert MUNICIPALITY_NAME in said
    assert _words(document, "//a[@aria-current]/@lang") == [language]


def test_no_value_of_a_person_is_on_the_page(served: Served) -> None:
    """No name, national id or text of anybody in the demo's world is on a page, nor a reason that reveals."""
    pages = "".join(page.text for page in served.pages.values())
    world = served.world
    everything = [world.vigilo, world.samspill, world.persons, world.students, world.employees, world.users]
    values = {*_strings(everything), *PRIVATE_TEXTS, *(tale.national_id for tale in world.tales)}
    assert len(values) > 500
    assert [index for index, value in enumerate(sorted(values)) if value in pages] == []
    revealing = ("violence", "address_protected", "archive_protected", "barred", "vold", "vald", "sperret")
    assert not any(reason in pages for reason in revealing)


def test_every_answer_is_safe(served: Served) -> None:
    """Pages, the style, what is not there and what is refused all say: no script, no frame, no sniffing, no keeping."""
    for answer in (*served.pages.values(), served.style, served.missing, served.foreign_host):
        assert {name: answer.headers[name] for name in HEADERS} == dict(HEADERS)
        assert "server" not in answer.headers
    assert HEADERS["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'; ")
    assert (served.style.status_code, served.missing.status_code) == (200, 404)
    assert served.style.headers["content-type"].startswith("text/css")


def test_only_this_computer_is_answered(served: Served) -> None:
    """The page is on loopback, and is refused under another name that somebody points at loopback."""
    assert served.address.startswith("http://127.0.0.1:")
    assert served.foreign_host.status_code == 400
    assert MUNICIPALITY_NAME not in served.foreign_host.text


def test_nothing_runs_or_comes_from_elsewhere(served: Served) -> None:
    """There is no script, no style in the page, no form, and no address but the page's own."""
    for page in served.pages.values():
        document = etree.HTML(page.text)
        assert (
            _words(document, "//script | //style | //form | //img | //@style | //@*[starts-with(name(), 'on')]") == []
        )
        assert {address[0] for address in _words(document, "//@href | //@src")} == {"/", "?", "#"}
    assert "url(" not in served.style.text
    assert "@import" not in served.style.text


def test_ctrl_c_stops_quietly(served: Served) -> None:
    """Ctrl-C ends the demo as done, with nothing on the error stream."""
    assert (served.exit_code, served.errors) == (0, "")


@pytest.mark.parametrize("language", ["nb", "nn", "en"])
def test_the_page_can_be_read_aloud(served: Served, language: Language) -> None:
    """One h1, every table has a caption, heads with scope and roles written out, and ids are used once."""
    document = etree.HTML(served.pages[language].text)
    assert len(_nodes(document, "//h1")) == len(_nodes(document, "//main")) == 1
    tables = _nodes(document, "//table")
    assert len(tables) == 3
    for table in tables:
        assert len(_nodes(table, "./caption")) == 1
        assert _nodes(table, ".//th[not(@scope)] | .//tr[not(@role)] | .//td[not(@role='cell')]") == []
        assert _nodes(table, "./thead//th[not(@role='columnheader')] | ./tbody//th[not(@role='rowheader')]") == []
    ids = _words(document, "//@id")
    assert len(ids) == len(set(ids))
    assert set(_words(document, "//@aria-labelledby")) <= set(ids)


def test_rows_say_their_columns_when_stacked(served: Served) -> None:
    """Every cell carries its column's name, which the style shows where columns do not fit."""
    for table in _nodes(etree.HTML(served.pages["nb"].text), "//table"):
        _, *heads = map(_said, _nodes(table, "./thead//th"))
        for row in _nodes(table, "./tbody/tr"):
            assert _words(row, "./td/@data-label") == heads
    assert "content: attr(data-label)" in served.style.text


def test_a_failure_is_said_in_words(db: Database) -> None:
    """A run that a system refused reads as failed, with what it means and the code to look for."""
    connection = f"{MUNICIPALITY_ORGNR}/samspill"
    with db.write() as tx:
        run = {
            "run_id": "r1",
            "tenant": MUNICIPALITY_ORGNR,
            "connection": connection,
            "occurrence": "o1",
            "why": "schedule",
        }
        moments = dict.fromkeys(("planned_at", "due_at", "queued_at", "started_at", "ended_at"), NOW)
        tx.execute(insert(runs).values(**run, **moments, state=RunState.HELD, error_class="token_refused"))
    said = _page(db, [connection])
    assert "Feilet: systemet godtar ikke innloggingen token_refused Stanset 21.11.2026 kl. 10.00" in said
    assert "Ingenting er stoppet." in said
    assert "Ingenting venter." in said


def test_a_municipality_without_connections_is_told_what_to_do(db: Database) -> None:
    """Where no connection is configured, the page says how to make one."""
    assert WORDS["nb"]["no_connections"] in _page(db, [])


def test_names_are_not_markup(db: Database) -> None:
    """A municipality's name is shown as it stands, also where it looks like markup."""
    assert "<b>&" in _page(db, [], name="<b>&")


def test_a_taken_port_is_one_clear_line(db: Database, tmp_path: Path) -> None:
    """Where the port is taken, the error names the port and how to choose another."""
    names = ("VIGILO_URL", "VIGILO_TOKEN_URL", "SAMSPILL_URL", "SAMSPILL_TOKEN_URL")
    environ = {f"STAFETTHUB_{name}": "http://127.0.0.1:9" for name in names}
    environ |= {"STAFETTHUB_VIGILO_SECRET": "made-up", "STAFETTHUB_SAMSPILL_SECRET": "made-up"}
    environ |= {
        "STAFETTHUB_DATA": str(tmp_path),
        "STAFETTHUB_FILES": str(tmp_path),
        "STAFETTHUB_KEY_FILE": str(tmp_path / "key.json"),
    }
    hub = Hub(read_settings(ROOT / "config", environ), db, {})
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortNotFree, match=rf"^The status page can't use port {port}: .*--port$"):
            serve_status(hub, port)


def test_closed_logs_that_wait_too_long_for_the_archive_are_told(db: Database) -> None:
    """The figure stands there when there is one, and not otherwise."""
    told = WORDS["nb"]["unarchived"]
    assert told not in _page(db, [])
    row = {"tenant": MUNICIPALITY_ORGNR, "log_id": "l-1", "status": "closed", "sealed_body": b"x"}
    with db.write() as tx:
        tx.execute(insert(logs).values(**row, counts={}, updated_at=NOW - timedelta(days=8)))
    assert f"{told}1" in _page(db, [])


@pytest.mark.parametrize("language", ["nb", "nn", "en"])
def test_a_paused_archive_is_told(db: Database, language: Language) -> None:
    """Who paused it, in each language; an archive that goes is not told of."""
    archive, words = f"{MUNICIPALITY_ORGNR}/folder", WORDS[language]
    assert f"{words['archive']}: " not in _page(db, [], archive=archive, language=language)
    with db.write() as tx:
        row = {"tenant": MUNICIPALITY_ORGNR, "connection": archive, "paused": True, "paused_by": "kari.it"}
        tx.execute(insert(connection_state).values(row))
    said = _page(db, [], archive=archive, language=language)
    assert f"{words['archive']}: {words['verdict.paused']} kari.it" in said


@pytest.mark.parametrize("language", ["nb", "nn", "en"])
def test_changes_that_failed_are_named_with_their_command(db: Database, language: Language) -> None:
    """The oldest ten of a connection with code and command, and how many more; without any there is no such table."""
    connection, words = f"{MUNICIPALITY_ORGNR}/samspill", WORDS[language]
    assert words["stuck_caption"] not in _page(db, [connection], language=language)
    with db.write() as tx:
        for made in range(12):
            log_id = f"l-{made}"
            row = {"tenant": MUNICIPALITY_ORGNR, "log_id": log_id, "status": "active"}
            tx.execute(insert(logs).values(**row, counts={}, updated_at=NOW))
            new = NewDelivery(f"d-{made:02}", connection, log_id, DeliveryKind.UPDATE, b"", "", 1)
            work = WorkStore(MUNICIPALITY_ORGNR, lambda: "never used")
            work.add_delivery(tx, new, NOW + timedelta(minutes=made))
            error = "http_422" if made else "outcome_unknown"
            work.end_delivery(tx, new.delivery_id, DeliveryState.HELD, NOW, error_class=error)
    said = _page(db, [connection], language=language)
    assert words["stuck_caption"] in said
    assert "samspill outcome_unknown hub inbox replay d-00 --sent|--not-sent --who … --why …" in said
    assert "samspill http_422 hub inbox replay d-09 --who … --why …" in said
    assert "d-10" not in said
    assert f"samspill: 2 {words['more']}" in said


def _page(
    db: Database, connections: list[str], name: str = MUNICIPALITY_NAME, archive: str = "", language: Language = "nb"
) -> str:
    """Return what the page says of one municipality."""
    clock = Clock(now=lambda: NOW, monotonic=lambda: 0.0, sleep=lambda _: None)
    app = status_app(Reports(db), {MUNICIPALITY_ORGNR: (name, connections, archive)}, clock)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        thread = Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        try:
            page = httpx.get(f"http://127.0.0.1:{sock.getsockname()[1]}/", params={"lang": language})
        finally:
            server.should_exit = True
            thread.join()
    return _said(etree.HTML(page.text))


def _nodes(node: etree._Element, path: str) -> list[etree._Element]:
    return cast("list[etree._Element]", node.xpath(path))


def _words(node: etree._Element, path: str) -> list[str]:
    return cast("list[str]", node.xpath(path))


def _said(node: etree._Element) -> str:
    """Return the text in a node, blanks made one."""
    return cast("str", node.xpath("normalize-space()"))


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"paused": True, "paused_by": "kari.it"}, "Satt på pause av kari.it"),
        ({"parked_until": NOW + timedelta(hours=1)}, "Venter på kilden til 21.11.2026 kl. 11.00"),
        (
            {"breaker_state": "open", "breaker_until": NOW + timedelta(minutes=5)},
            "Bryteren er åpen, neste forsøk 21.11.2026 kl. 10.05",
        ),
    ],
)
def test_what_stops_a_connection_is_said(db: Database, state: dict[str, object], said: str) -> None:
    """Who paused it, or until when it waits, by the clock in Norway."""
    connection = f"{MUNICIPALITY_ORGNR}/samspill"
    with db.write() as tx:
        tx.execute(insert(connection_state).values(tenant=MUNICIPALITY_ORGNR, connection=connection, **state))
    assert said in _page(db, [connection])
