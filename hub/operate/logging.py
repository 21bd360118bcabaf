"""Log lines that can't carry a child: a closed list of keys, values that are ids, codes, places and counts.

Free text never passes, neither ours nor a library's. An exception is shown by its class and by the lines of our own
files that it went through; its message stays out, for a library's message may quote what it was given.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

KEYS = frozenset(
    {
        "event",
        "level",
        "timestamp",
        "dropped",
        "environment",
        "version",
        "tenant",
        "connection",
        "system",
        "mapping",
        "run",
        "occurrence",
        "delivery",
        "log",
        "record",
        "conflict",
        "proposal",
        "hold",
        "package",
        "worker",
        "attempt",
        "status",
        "rule",
        "place",
        "seconds",
        "bytes",
        "pages",
        "read",
        "new",
        "changed",
        "unchanged",
        "missing",
        "quarantined",
        "conflicts",
        "proposals",
        "holds",
        "delivered",
        "archived",
        "due",
        "error_class",
        "error_place",
        "library",
    }
)
"""Every key that a line may have. Whoever needs another adds it here, where it is read once more."""

_FOREIGN = ("httpx", "httpcore", "alembic", "apscheduler", "tzlocal", "procrastinate")
_EVENT = re.compile(r"[a-z][a-z0-9_]*(:[a-z][a-z0-9_]*){0,2}")
_TOKEN = re.compile(r"[^\s\x00-\x1f]{1,200}")
_ELEVEN_DIGITS = re.compile(r"(?<!\d)\d{11}(?!\d)")

_Level = Literal["debug", "info", "warning", "error"]


def configure_logging(environment: str, level: _Level, stream: TextIO) -> None:
    """Set up every log line of the process: JSON in production, for people elsewhere.

    `stream` is where lines go. Takes over the standard library's log, warnings, and what would otherwise be printed for
    an exception that nobody caught.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if environment == "production"
        else structlog.dev.ConsoleRenderer(colors=stream.isatty(), sort_keys=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            show_exception,
            keep_allowed,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    _take_over_libraries(number)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


def tell_uncaught(error: BaseException, stream: TextIO) -> None:
    """Write the line of an exception that ends the process, to `stream` where no command has set up lines yet."""
    if not structlog.is_configured():
        configure_logging("production", "error", stream)
    _uncaught(type(error), error, None)


def keep_allowed(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """Keep the allowed keys whose values are ids, codes, places or counts; tell how many others were dropped."""
    allowed = KEYS - {"dropped"}  # which is said here alone
    kept = {key: value for key, value in line.items() if key in allowed and _is_allowed(key, value)}
    dropped = len(line) - len(kept)
    kept.setdefault("event", "log:event:unnamed")
    return {**kept, "dropped": dropped} if dropped else kept


def show_exception(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """Put an exception's class, its causes' classes, and the innermost of our lines it passed in place of its text."""
    given = line.pop("exc_info", None)
    error = given[1] if isinstance(given, tuple) else given
    if error is True:
        error = sys.exception()
    if not isinstance(error, BaseException):
        return line
    chain = tuple(_chain(error))
    places = [place for link in chain for place in _places(link.__traceback__)]
    line["error_class"] = "<".join(_name(link) for link in chain)
    if places:
        line["error_place"] = "<".join(dict.fromkeys(reversed(places[-4:])))
    return line


class _LibraryHandler(logging.Handler):
    """Tells that a library logged, which one and where in it; what it said stays out."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(
            record.levelno,
            "library:log:line",
            library=record.name,
            place=f"{record.module}:{record.lineno}",
            exc_info=record.exc_info,
        )


def _take_over_libraries(level: int) -> None:
    logging.raiseExceptions = False
    logging.captureWarnings(capture=True)
    root = logging.getLogger()
    root.handlers[:] = [_LibraryHandler()]
    root.setLevel(max(level, logging.INFO))
    for name in _FOREIGN:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("sqlalchemy").setLevel(logging.CRITICAL + 1)


def _is_allowed(key: str, value: object) -> bool:
    if key == "event":
        return isinstance(value, str) and _EVENT.fullmatch(value) is not None
    if isinstance(value, str):
        return _TOKEN.fullmatch(value) is not None and not _ELEVEN_DIGITS.search(value)
    return value is None or (isinstance(value, int | float) and abs(value) < 10**9)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _name(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _places(trace: TracebackType | None) -> Iterator[str]:
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] == "hub":
            yield f"{module}:{trace.tb_lineno}"
        trace = trace.tb_next


def _uncaught(_kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    structlog.get_logger().error("process:error:uncaught", exc_info=error)


def _uncaught_in_thread(given: threading.ExceptHookArgs) -> None:
    structlog.get_logger().error("thread:error:uncaught", exc_info=given.exc_value)
