"""What a command sets up for its process, taken back: in the tests many commands share one process."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

LIBRARIES = ("httpx", "httpcore", "sqlalchemy")


@contextmanager
def own_process() -> Iterator[None]:
    """Leave log lines and the ways out of a crash as they were: a command's streams are closed when it has ended."""
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook)
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
        logging.captureWarnings(capture=False)
        logging.raiseExceptions = True
        root.handlers[:] = handlers
        root.setLevel(level)
        sys.excepthook, threading.excepthook = hooks
        for name in LIBRARIES:
            logging.getLogger(name).setLevel(logging.NOTSET)
