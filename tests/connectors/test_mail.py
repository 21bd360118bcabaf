"""E-mail as it leaves: what arrives at a real server, and each failure as the error that says whether it left."""

from __future__ import annotations

import socket
import traceback
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub.connectors.base import BadAnswer, ConnectorError, Misconfigured, OutcomeUnknown, Refused, Unavailable
from hub.connectors.mail import Letter, Mailer, MailServer, Security
from tests.connectors.smtpsink import QUOTED, How, Sink, smtp_sink
from tests.connectors.tls import EXPIRED, VALID, server_side

PASSWORD = "hemmeleg-passord"
LETTER = Letter(
    id="stafetthub.1@hub.example",
    sender="stafetthub@fjordvik.example",
    recipient="postmottak@tussebu.example",
    subject="Stafettloggar å følgje opp",
    text="Tiltak over fristen: 2\n.\nÆrleg tala, ei linje med punktum åleine.\n" + "x" * 1200 + "\n",
    at=datetime(2026, 11, 21, 6, 0, tzinfo=UTC),
)


def _mailer(sink: Sink, security: Security = "none", ca_file: Path | None = None, password: str = PASSWORD) -> Mailer:
    server = MailServer("127.0.0.1", sink.port, security, sink.user, password if sink.user else "", ca_file, timeout=5)
    return Mailer(server)


def test_a_message_arrives_as_it_was_written() -> None:
    """Subject and text survive with their letters, a lone dot and a long line; machines are told not to answer."""
    with smtp_sink(Sink()) as sink:
        assert _mailer(sink).send(LETTER) == "smtp_250"
    [found] = sink.letters()
    assert (found["Subject"], found["From"], found["To"]) == (LETTER.subject, LETTER.sender, LETTER.recipient)
    assert found.get_content() == LETTER.text
    assert found["Message-ID"] == "<stafetthub.1@hub.example>"
    assert found["Auto-Submitted"] == "auto-generated"
    assert found["Date"].datetime == LETTER.at
    assert all(len(line) <= 998 for line in sink.messages[0].splitlines())
    assert sink.messages[0].isascii()


def test_it_is_encrypted_before_anybody_logs_in(tmp_path: Path) -> None:
    """With starttls the password goes over the encrypted connection alone, and only to a server that is believed."""
    context, ca_file = server_side(tmp_path, VALID)
    with smtp_sink(Sink(user="hub", password=PASSWORD, context=context)) as sink:
        assert _mailer(sink, "starttls", ca_file).send(LETTER) == "smtp_250"
        order = [line.split()[0] for line in sink.said]
        assert order[:4] == ["ehlo", "STARTTLS", "ehlo", "AUTH"]
        sink.said.clear()
        with pytest.raises(Unavailable) as raised:
            _mailer(sink, "starttls").send(LETTER)
    assert raised.value.code == "certificate_not_trusted"
    assert not any("AUTH" in line for line in sink.said)


def test_an_expired_certificate_is_told_as_such(tmp_path: Path) -> None:
    """Those who run the mail server are told what is wrong with it."""
    context, ca_file = server_side(tmp_path, EXPIRED)
    with smtp_sink(Sink(context=context)) as sink, pytest.raises(Unavailable) as raised:
        _mailer(sink, "starttls", ca_file).check()
    assert raised.value.code == "certificate_expired"


def test_a_server_that_offers_no_encryption_gets_nothing() -> None:
    """Where starttls is asked for and not offered, neither password nor message leaves."""
    with smtp_sink(Sink(user="hub", password=PASSWORD)) as sink, pytest.raises(Misconfigured) as raised:
        _mailer(sink, "starttls").send(LETTER)
    assert raised.value.code == "not_offered"
    assert {line.split()[0] for line in sink.said} <= {"ehlo"}
    with smtp_sink(Sink()) as sink, pytest.raises(Unavailable):
        _mailer(sink, "tls").check()


@pytest.mark.parametrize(
    ("how", "kind", "code", "left"),
    [
        ("no_such_recipient", Refused, "smtp_550", 0),
        ("later", Unavailable, "smtp_451", 0),
        ("busy", Unavailable, "smtp_421", 0),
        ("not_mail", BadAnswer, "no_smtp", 0),
        ("refuses_text", Refused, "smtp_554", 1),
        ("hangs_up", OutcomeUnknown, "connection_lost", 1),
        ("hangs_up_before", OutcomeUnknown, "connection_lost", 0),
    ],
)
def test_each_failure_is_the_error_that_says_what_to_do(
    how: How, kind: type[ConnectorError], code: str, left: int
) -> None:
    """What surely did not leave may be tried again; a lost answer is unknown; nothing that the server said is told."""
    with smtp_sink(Sink(how)) as sink, pytest.raises(kind) as raised:
        _mailer(sink).send(LETTER)
    assert raised.value.code == code
    assert len(sink.messages) == left
    told = "".join(traceback.format_exception(raised.value))
    assert QUOTED.decode() not in told
    assert LETTER.recipient not in told


@pytest.mark.parametrize("password", ["wrong-password", "blåbær-passord"])
def test_a_wrong_password_is_told_and_never_shown(password: str) -> None:
    """Also one with letters that SMTP cannot carry: the error names the settings, and no text has the password."""
    with smtp_sink(Sink(user="hub", password=PASSWORD)) as sink, pytest.raises(Misconfigured) as raised:
        _mailer(sink, password=password).check()
    assert raised.value.code == "login_refused"
    told = "".join(traceback.format_exception(raised.value))
    assert password not in told
    assert QUOTED.decode() not in told
    assert password not in repr(MailServer("h", 25, "none", "hub", password))


def test_a_check_sends_nothing() -> None:
    """It logs in and leaves."""
    with smtp_sink(Sink(user="hub", password=PASSWORD)) as sink:
        _mailer(sink).check()
    assert [line.split()[0].upper() for line in sink.said] == ["EHLO", "AUTH", "QUIT"]
    assert sink.messages == []


def test_a_server_that_is_not_there_or_wants_a_log_in_is_told() -> None:
    """A closed port, a file of authorities that is missing, and a server that takes messages from those it knows."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Unavailable, match="cannot be reached"):
        Mailer(MailServer("127.0.0.1", port, "none", timeout=2)).check()
    with pytest.raises(Misconfigured, match="ca_file"):
        Mailer(MailServer("127.0.0.1", port, "tls", ca_file=Path("no-such.pem"), timeout=2)).check()
    with smtp_sink(Sink(user="hub", password=PASSWORD)) as sink, pytest.raises(Misconfigured) as raised:
        Mailer(MailServer("127.0.0.1", sink.port, "none", timeout=5)).send(LETTER)
    assert raised.value.code == "login_needed"


def test_a_server_that_says_nothing_is_waited_for_in_bounded_time() -> None:
    """The wait ends with the time limit, and nothing was sent."""
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Unavailable) as raised:
        Mailer(MailServer("127.0.0.1", silent.getsockname()[1], "none", timeout=0.2)).send(LETTER)
    assert raised.value.code == "too_slow"


def test_a_whole_connection_may_be_encrypted(tmp_path: Path) -> None:
    """With tls the greeting itself is encrypted; what answers in clear is not spoken to."""
    context, ca_file = server_side(tmp_path, VALID)
    with smtp_sink(Sink(context=context, at_once=True)) as sink:
        assert _mailer(sink, "tls", ca_file).send(LETTER) == "smtp_250"
        assert "STARTTLS" not in sink.said
    [found] = sink.letters()
    assert found.get_content() == LETTER.text
