"""Serves the status page, on loopback only: there is no log-in, so whoever can reach it can read it.

Nothing of it is kept by a browser, runs in one, or comes from elsewhere; other names than this computer's are refused,
so that a web page elsewhere can't read it through a name that it points here.
"""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.bootstrap import Hub, system_clock
from hub.connectors.http import Clock
from hub.operate.report import Reports
from hub.sync.context import OSLO
from hub.web.status import municipality
from hub.web.words import LANGUAGES, NAMES, WORDS, choose

LOOPBACK = "127.0.0.1"
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_HERE = Path(__file__).parent


class PortNotFree(Exception):
    """The page's port can't be opened. Says which, and how to choose another."""


class _SafeHeaders:
    """Puts the headers above on every answer, whoever makes it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, send_safely)


def status_app(reports: Reports, tenants: Mapping[str, tuple[str, Sequence[str], str]], clock: Clock) -> FastAPI:
    """Return the app: `/` and its style.

    `tenants` gives each municipality's name, connections and archive by its number; an empty archive is none.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[LOOPBACK, "localhost"], www_redirect=False)
    app.add_middleware(_SafeHeaders)
    app.mount("/static", StaticFiles(directory=_HERE / "static"))
    pages = Environment(loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined)

    @app.get("/")
    def status(request: Request, lang: str = "") -> HTMLResponse:
        language = choose(lang, request.headers.get("accept-language", ""))
        words, now = WORDS[language], clock.now()
        shown = [
            municipality(name, reports.status(number, connections, now, archive), reports.inbox(number), now)
            for number, (name, connections, archive) in tenants.items()
        ]
        page = pages.get_template("status.html")
        languages = {code: NAMES[code] for code in LANGUAGES}
        body = page.render(t=words, when=_when, now=now, lang=language, languages=languages, municipalities=shown)
        return HTMLResponse(body, headers={"Content-Language": language, "Vary": "Accept-Language"})

    return app


def serve_status(hub: Hub, port: int = 8080) -> None:
    """Serve the page on this computer until Ctrl-C or SIGTERM; port 0 takes a free one. Call from the main thread.

    Prints one line with the address. Raises PortNotFree.
    """
    tenants = {
        number: (tenant.name, list(tenant.connections), tenant.archive.id if tenant.archive else "")
        for number, tenant in hub.tenants.items()
    }
    app = status_app(Reports(hub.db, hub.settings.archive_alarms), tenants, system_clock())
    quiet = uvicorn.Config(
        app, log_config=None, log_level="warning", access_log=False, lifespan="off", ws="none", server_header=False,
        timeout_graceful_shutdown=2,
    )  # fmt: skip
    with _listening(port) as sock:
        sys.stdout.write(f"Status page: http://{LOOPBACK}:{sock.getsockname()[1]}/ (Ctrl-C stops it)\n")
        sys.stdout.flush()
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            uvicorn.Server(quiet).run(sockets=[sock])


def _when(instant: datetime, how: str) -> str:
    """Write an instant as Norwegian clocks show it."""
    return instant.astimezone(OSLO).strftime(how)


def _listening(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((LOOPBACK, port))
    except OSError as error:
        sock.close()
        raise PortNotFree(
            f"The status page can't use port {port}: {error.strerror}. Choose another with --port"
        ) from None
    return sock
