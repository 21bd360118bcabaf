"""E-mail out: one message over SMTP (RFC 5321), and every failure as an error by what to do about it.

Each failure tells whether the message can have left: only before its last byte is it sure that it has not. Nothing of
what a server writes in its answers reaches an error, for a server may quote addresses and texts; its code does.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from socket import gaierror
from typing import Literal

from hub.connectors.base import BadAnswer, ConnectorError, Misconfigured, OutcomeUnknown, Refused, Unavailable
from hub.connectors.http import CERTIFICATE_EXPIRED, trusting

Security = Literal["starttls", "tls", "none"]
"""How a connection is encrypted: after a greeting in clear, from the first byte, or not at all."""

CHECK_HOST = "Check `host` and `port` of `mail` in tenant.yaml, and that the firewall lets the hub through"
CHECK_SECURITY = "Check `security` and `port` of `mail` in tenant.yaml: starttls is often 587, tls 465"
CHECK_LOGIN = "Check `user` and `password` of `mail` in tenant.yaml with those who run the mail server"
CHECK_CERTIFICATE = "Tell those who run the mail server, or name their authority as `ca_file` of `mail`"
CHECK_ADDRESS = "Check the addresses of `mail` in tenant.yaml, and that the hub may send from `sender`"
ASK_RECEIVER = "Ask at the address whether the message has come; it is not sent again by itself"
TRY_LATER = "Nothing was sent; it is tried again later"

LOGIN_NEEDED = 530


@dataclass(frozen=True)
class MailServer:
    """A mail server that takes messages from the hub. `timeout` is how long each single wait may last, in seconds.

    Without a `user` nobody logs in. `ca_file` is who its certificate is believed by, the machine's own store if None.
    """

    host: str
    port: int
    security: Security
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None
    timeout: float = 30.0


@dataclass(frozen=True)
class Letter:
    """One message in plain text. `id` is its Message-ID without the brackets, `at` when it was written (aware)."""

    id: str
    sender: str
    recipient: str
    subject: str
    text: str
    at: datetime


class Mailer:
    """Sends messages by one mail server, each over a connection of its own."""

    def __init__(self, server: MailServer) -> None:
        self._server = server

    def check(self) -> None:
        """Reach the server, encrypted and logged in as the settings say, and send nothing. Raises ConnectorError."""
        with self._session():
            pass

    def send(self, letter: Letter) -> str:
        """Send one message and return the code of the server's answer, as `smtp_250`.

        Raises Unavailable, Misconfigured, Refused or BadAnswer where it surely has not left, else OutcomeUnknown.
        """
        data = _as_bytes(letter)
        with self._session() as smtp:
            try:
                _taken(smtp.mail(letter.sender)[0])
                _taken(smtp.rcpt(letter.recipient)[0])
            except OSError as error:
                raise _broken(error) from None
            try:
                code, _ = smtp.data(data)
            except smtplib.SMTPDataError as error:  # before the message: the server did not ask for it
                code = error.smtp_code
            except OSError as error:
                raise _lost(_broken(error).code) from None
            if code < 0:
                raise _lost("no_smtp")
            _taken(code)
            return f"smtp_{code}"

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        """Open a connection, encrypted and logged in as the settings say. Raises ConnectorError."""
        try:
            smtp = self._connected()
        except OSError as error:
            raise _not_let_in(error) from None
        with closing(smtp):
            try:
                self._log_in(smtp)
            except UnicodeError:  # its text and its object would be the password
                raise Misconfigured("login_refused", "user or password has letters beyond ASCII", CHECK_LOGIN) from None
            except OSError as error:
                raise _not_let_in(error) from None
            yield smtp
            with suppress(OSError):  # what was to be said is said
                smtp.quit()

    def _connected(self) -> smtplib.SMTP:
        server = self._server
        if server.security == "tls":
            trust = self._trusted()
            return smtplib.SMTP_SSL(server.host, server.port, timeout=server.timeout, context=trust)
        return smtplib.SMTP(server.host, server.port, timeout=server.timeout)

    def _log_in(self, smtp: smtplib.SMTP) -> None:
        server = self._server
        if server.security == "starttls":
            smtp.starttls(context=self._trusted())
        smtp.ehlo_or_helo_if_needed()
        if server.user:
            smtp.login(server.user, server.password)

    def _trusted(self) -> ssl.SSLContext:
        try:
            return trusting(self._server.ca_file)
        except OSError:
            raise Misconfigured("no_ca_file", "`ca_file` is not there, or is no PEM file", CHECK_CERTIFICATE) from None


def _as_bytes(letter: Letter) -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"] = letter.sender
    message["To"] = letter.recipient
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(letter.at)
    message["Message-ID"] = f"<{letter.id}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answering machine answers it
    message.set_content(letter.text, cte="quoted-printable")
    return message.as_bytes()


def _taken(code: int) -> None:
    """Let a good answer to a step of sending pass. Raises what a bad one means."""
    if 200 <= code < 300:
        return
    told = f"the mail server answered with the code {code}"
    if 400 <= code < 500:
        raise Unavailable(f"smtp_{code}", told, TRY_LATER)
    if code == LOGIN_NEEDED:
        raise Misconfigured("login_needed", "the mail server takes messages from those who log in", CHECK_LOGIN)
    if 500 <= code < 600:
        raise Refused(f"smtp_{code}", told, CHECK_ADDRESS)
    raise BadAnswer("no_smtp", "what answers is no mail server", CHECK_HOST)


def _not_let_in(error: OSError) -> ConnectorError:
    """Tell what keeps the hub from speaking to the server; nothing of a message was sent."""
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return Misconfigured("not_offered", "the mail server offers no such encryption or log-in", CHECK_SECURITY)
    if isinstance(error, smtplib.SMTPResponseException):
        return _refused_session(error)
    if isinstance(error, smtplib.SMTPException) and not isinstance(error, smtplib.SMTPServerDisconnected):
        return Misconfigured("not_offered", "the mail server offers no way to log in that is known here", CHECK_LOGIN)
    return _broken(error)


def _refused_session(error: smtplib.SMTPResponseException) -> ConnectorError:
    code = error.smtp_code
    if 400 <= code < 500:
        return Unavailable(f"smtp_{code}", f"the mail server answered with the code {code}", TRY_LATER)
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return Misconfigured("login_refused", "the mail server refuses user and password", CHECK_LOGIN)
    if 500 <= code < 600:
        return Misconfigured(f"smtp_{code}", f"the mail server answered with the code {code}", CHECK_SECURITY)
    return BadAnswer("no_smtp", "what answers is no mail server", CHECK_HOST)


def _broken(error: OSError) -> ConnectorError:
    """Tell why there is no connection, or no longer one, before a message was sent."""
    if isinstance(error, smtplib.SMTPServerDisconnected) and isinstance(error.__context__, OSError):
        error = error.__context__  # smtplib says of every wait that ended in vain that it was disconnected
    if isinstance(error, gaierror):
        return Unavailable("name_not_found", "no address is known for the mail server's name", CHECK_HOST)
    if isinstance(error, ssl.SSLCertVerificationError):
        code = "certificate_expired" if error.verify_code == CERTIFICATE_EXPIRED else "certificate_not_trusted"
        return Unavailable(code, "the mail server's certificate is not valid", CHECK_CERTIFICATE)
    if isinstance(error, ssl.SSLError):
        return Unavailable("tls_failed", "no encrypted connection could be agreed on", CHECK_SECURITY)
    if isinstance(error, TimeoutError):
        return Unavailable("too_slow", "the mail server did not answer within the time limit", CHECK_HOST)
    if isinstance(error, smtplib.SMTPServerDisconnected | ConnectionResetError | BrokenPipeError):
        return Unavailable("connection_lost", "the mail server broke the connection off", CHECK_SECURITY)
    return Unavailable("connection_refused", "the mail server cannot be reached", CHECK_HOST)


def _lost(code: str) -> OutcomeUnknown:
    return OutcomeUnknown(code, "the answer to a message was lost", ASK_RECEIVER)
