"""A mail server on loopback that keeps what it is sent, and fails as it is told to."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Literal

How = Literal[
    "takes", "no_such_recipient", "busy", "later", "hangs_up", "hangs_up_before", "refuses_text", "not_mail", "stalls"
]


@dataclass
class Sink:
    """A mail server: how it behaves, who may log in (anybody without), and the raw messages that it has read.

    With `context` it offers to encrypt, or does so `at_once`. `said` is what clients said, the lines of messages apart.
    """

    how: How = "takes"
    user: str = ""
    password: str = ""
    context: ssl.SSLContext | None = None
    at_once: bool = False
    port: int = 0
    messages: list[bytes] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def letters(self) -> list[EmailMessage]:
        """Give the messages decoded."""
        read = [message_from_bytes(raw.replace(b"\r\n", b"\n"), policy=default) for raw in self.messages]
        return [each for each in read if isinstance(each, EmailMessage)]


@contextmanager
def smtp_sink(sink: Sink) -> Iterator[Sink]:
    """Run a mail server on a free port of loopback."""

    class Handler(_Handler):
        of = sink

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        sink.port = server.server_address[1]
        thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield sink
        finally:
            server.shutdown()
            thread.join()


class _Handler(StreamRequestHandler):
    """One connection."""

    of: Sink
    known = False
    timeout = 10

    def handle(self) -> None:
        """Serve it until either end has had enough."""
        with suppress(OSError):
            self._serve()

    def finish(self) -> None:
        """Close what was opened, the encrypted connection, too."""
        with suppress(OSError):
            super().finish()
        self.connection.close()

    def _serve(self) -> None:
        if self.of.context and self.of.at_once:
            self._encrypt(self.of.context)
        greetings: dict[str, bytes] = {"busy": b"421 busy", "not_mail": b"HTTP/1.1 400 Bad Request"}
        self._say(greetings.get(self.of.how, b"220 sink"))
        while self.of.how != "busy" and (line := self.rfile.readline()):
            verb = line.decode().split(maxsplit=1)[0].upper()
            self.of.said.append(line.decode().strip())
            if not self._answer(verb, line.decode()):
                return

    def _answer(self, verb: str, line: str) -> bool:
        sink = self.of
        if verb == "STARTTLS" and sink.context:
            self._say(b"220 go on")
            self._encrypt(sink.context)
        elif verb == "DATA":
            return self._data()
        else:
            self._say(self._reply(verb, line))
        return verb != "QUIT"

    def _reply(self, verb: str, line: str) -> bytes:
        sink = self.of
        if verb == "EHLO":
            offers = [b"STARTTLS"] * bool(sink.context and not isinstance(self.connection, ssl.SSLSocket))
            offers += [b"AUTH PLAIN"] * bool(sink.user)
            return b"\r\n".join([*(b"250-" + offer for offer in [b"sink", *offers]), b"250 8BITMIME"])
        if verb == "AUTH":
            right = base64.b64encode(f"\0{sink.user}\0{sink.password}".encode()).decode()
            self.known = line.split()[-1] == right
            return b"235 welcome" if self.known else b"535 " + QUOTED
        if verb == "MAIL" and sink.user and not self.known:
            return b"530 log in first"
        if verb == "RCPT" and sink.how in ("no_such_recipient", "later"):
            return (b"550 " if sink.how == "no_such_recipient" else b"451 ") + QUOTED
        return b"221 bye" if verb == "QUIT" else b"250 ok"

    def _data(self) -> bool:
        if self.of.how == "hangs_up_before":
            return False
        self._say(b"354 go on")
        lines = iter(self.rfile.readline, b".\r\n")
        self.of.messages.append(b"".join(line[line.startswith(b".") :] for line in lines))
        if self.of.how == "stalls":
            self.rfile.readline()  # until the client has gone
        if self.of.how in ("hangs_up", "stalls"):
            return False
        self._say(b"554 " + QUOTED if self.of.how == "refuses_text" else b"250 queued as 4F2A1")
        return True

    def _encrypt(self, context: ssl.SSLContext) -> None:
        self.connection = context.wrap_socket(self.request, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)

    def _say(self, line: bytes) -> None:
        self.wfile.write(line + b"\r\n")


QUOTED = b"postmottak@tussebu.example: Solskinn"
"""What a server may quote in its answers, and no error may repeat."""
