"""Log lines carry ids, places and counts, and nothing that was put into them by mistake."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from hub.operate.logging import KEYS, configure_logging, keep_allowed, tell_uncaught
from hub.relaylog.nationalid import InvalidNationalId, parse
from tests.processes import own_process

CANARY = "Solskinn-Canary"
NUMBER = "13527248013"  # published example; would be an id in any other text


class Child(BaseModel):
    """Something whose validation error quotes what it was given."""

    born: int


@contextmanager
def _configured(environment: str) -> Iterator[io.StringIO]:
    """Set up logging for the block, and put everything back afterwards."""
    stream = io.StringIO()
    with own_process():
        configure_logging(environment, "info", stream)
        yield stream


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Give the stream that production's log lines go to."""
    with _configured("production") as stream:
        yield stream


def _line(stream: io.StringIO) -> dict[str, object]:
    (text,) = stream.getvalue().splitlines()
    line: dict[str, object] = json.loads(text)
    return line


def test_allowed_keys_arrive(lines: io.StringIO) -> None:
    """Ids, places and counts stand in the line as JSON, with level and UTC time."""
    structlog.contextvars.bind_contextvars(tenant="900001002")
    structlog.get_logger().info("pull:run:done", connection="900001002/vigilo", read=20, seconds=1.5)
    line = _line(lines)
    assert str(line.pop("timestamp")).endswith("Z")
    assert line == {
        "event": "pull:run:done",
        "level": "info",
        "tenant": "900001002",
        "connection": "900001002/vigilo",
        "read": 20,
        "seconds": 1.5,
    }


@pytest.mark.parametrize(
    "given",
    [
        {"name": CANARY},
        {"place": f"{CANARY} Testbarn"},
        {"record": NUMBER},
        {"record": f"fnr:{NUMBER}"},
        {"read": int(NUMBER)},
        {"read": [CANARY]},
        {"record": {"name": CANARY}},
        {"rule": "x" * 201},
        {"place": f"a\n{CANARY}"},
    ],
)
def test_what_is_not_allowed_is_dropped_and_counted(lines: io.StringIO, given: dict[str, object]) -> None:
    """An unknown key, text with blanks, eleven digits or a nested value leaves only a count behind."""
    structlog.get_logger().info("pull:run:done", run="r1", **given)
    line = _line(lines)
    assert (line["event"], line["run"], line["dropped"]) == ("pull:run:done", "r1", 1)
    assert CANARY not in lines.getvalue()
    assert NUMBER not in lines.getvalue()


def test_an_event_is_a_name(lines: io.StringIO) -> None:
    """A sentence in place of an event name does not reach the line."""
    structlog.get_logger().info(f"could not read {CANARY}")
    line = _line(lines)
    assert (line["event"], line["dropped"]) == ("log:event:unnamed", 1)


def test_an_exception_is_its_class_and_our_lines(lines: io.StringIO) -> None:
    """A library's error that quotes its input is shown by class alone, with its cause; ours by module and line too."""
    try:
        try:
            Child.model_validate({"born": CANARY})
        except ValidationError:
            parse(CANARY)
    except InvalidNationalId:
        structlog.get_logger().exception("pull:record:unreadable")
    line = _line(lines)
    assert (
        line["error_class"] == "hub.relaylog.nationalid.InvalidNationalId<pydantic_core._pydantic_core.ValidationError"
    )
    assert str(line["error_place"]).startswith("hub.relaylog.nationalid:")
    assert "dropped" not in line
    assert CANARY not in lines.getvalue()


def test_libraries_are_heard_but_not_quoted(lines: io.StringIO) -> None:
    """A library's line tells which library and where; its text, arguments and error stay out."""
    try:
        int(CANARY)
    except ValueError:
        logging.getLogger("somewhere").warning("for %s", CANARY, exc_info=True)
    line = _line(lines)
    assert (line["event"], line["library"], line["error_class"]) == ("library:log:line", "somewhere", "ValueError")
    assert CANARY not in lines.getvalue()


def test_requests_and_statements_leave_no_line(lines: io.StringIO) -> None:
    """What httpx and SQLAlchemy say of each call, with addresses and values, is not heard at all."""
    logging.getLogger("httpx").info("GET %s", CANARY)
    logging.getLogger("httpcore.connection").info(CANARY)
    logging.getLogger("sqlalchemy.engine.Engine").error(CANARY)
    assert lines.getvalue() == ""


def test_a_warning_is_not_quoted(lines: io.StringIO) -> None:
    """A warning, which may quote a value, becomes a line without its text."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn(CANARY, stacklevel=1)
    assert _line(lines)["library"] == "py.warnings"
    assert CANARY not in lines.getvalue()


def test_what_nobody_caught_is_not_printed(lines: io.StringIO, capfd: pytest.CaptureFixture[str]) -> None:
    """An exception that ends a thread is a line with its class, and nothing on standard error."""
    thread = threading.Thread(target=Child.model_validate, args=({"born": CANARY},))
    thread.start()
    thread.join()
    assert _line(lines)["event"] == "thread:error:uncaught"
    assert CANARY not in lines.getvalue() + "".join(capfd.readouterr())


def test_what_ends_the_process_is_not_printed(lines: io.StringIO) -> None:
    """An exception that ends the process is a line with its class."""
    error = ValueError(CANARY)
    sys.excepthook(ValueError, error, None)
    assert (_line(lines)["event"], _line(lines)["error_class"]) == ("process:error:uncaught", "ValueError")


def test_a_command_without_lines_of_its_own_ends_with_one() -> None:
    """An exception that ends a command which has set up no log is a line with its class, not Python's own account."""
    with _configured("production"):
        structlog.reset_defaults()
        stream = io.StringIO()
        tell_uncaught(ValueError(CANARY), stream)
    assert (_line(stream)["event"], _line(stream)["error_class"]) == ("process:error:uncaught", "ValueError")
    assert CANARY not in stream.getvalue()


def test_for_people_it_is_the_same_line() -> None:
    """Outside production the line is laid out for people, and drops the same."""
    with _configured("sandbox") as stream:
        structlog.get_logger().info("pull:run:done", run="r1", name=CANARY)
    assert "pull:run:done" in stream.getvalue()
    assert "run=r1" in stream.getvalue()
    assert CANARY not in stream.getvalue()


@example({"dropped": "0"})
@given(st.dictionaries(st.sampled_from(sorted(KEYS)) | st.text(max_size=8), st.text() | st.integers() | st.binary()))
def test_no_line_holds_more_than_allowed(line: dict[str, object]) -> None:
    """Whatever is put in, only known keys come out, each text without blanks, and the sum is accounted for."""
    kept = dict(keep_allowed(None, "info", dict(line)))
    dropped = kept.pop("dropped", 0)
    assert set(kept) <= KEYS
    assert not any(isinstance(value, str) and value.split() != [value] for value in kept.values())
    assert isinstance(dropped, int)
