"""HTTP as every connector speaks it: each failure becomes the error that says what to do, in bounded time."""

from __future__ import annotations

import gzip
import json
import logging
import os
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from threading import Thread

import httpx
import pytest
import respx
from hypothesis import given
from hypothesis import strategies as st

from hub.connectors.base import (
    BadAnswer,
    ConnectorError,
    KeyUsed,
    Misconfigured,
    OutcomeUnknown,
    Refused,
    Stale,
    Unavailable,
    Waiting,
)
from hub.connectors.http import LONGEST_PEACE, ClientCredentials, Http, Limits, Reply, retry_after
from tests.connectors.conftest import Time
from tests.connectors.tls import EXPIRED, VALID, tls_server
from tests.connectors.wire import Script, Wire, answer, dripping, hang_up, raw, reset, sending

BASE = "https://system.example/api"
TOKEN_URL = "https://id.example/token"
SECRET = "hemmeleg-verdi-som-aldri-skal-synast"
TEXT = "Solskinn Testbarn søv dårleg"
TOKEN = {"access_token": "t-1", "expires_in": 300}
NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
BODY = {"skildring": TEXT}
QUICK = Limits(connect=1, read=1, total=3)


@contextmanager
def _client(base: str, moment: Time, auth: ClientCredentials | None = None, limits: Limits = QUICK) -> Iterator[Http]:
    http = Http(base, auth, limits, moment.clock())
    try:
        yield http
    finally:
        http.close()


def _credentials(url: str = TOKEN_URL) -> ClientCredentials:
    return ClientCredentials(url, "stafetthub", SECRET, "logs.read", {"tenant_id": "t-9"})


def _send(http: Http) -> Reply:
    return http.send("PATCH", "/logs/1", BODY, {"Idempotency-Key": "key-1"})


def _send_by_key(http: Http) -> Reply:
    return http.send("PATCH", "/logs/1", BODY, {"Idempotency-Key": "key-1"}, repeatable=True)


def _get(http: Http) -> Reply:
    return http.get("/logs")


Call = Callable[[Http], Reply]
EITHER_WAY = pytest.mark.parametrize("call", [_get, _send], ids=["reading", "sending"])


# --- statuses and headers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, Refused, "http_400"),
        (401, Misconfigured, "unauthorized"),
        (402, Refused, "http_402"),
        (403, Misconfigured, "unauthorized"),
        (404, Misconfigured, "not_found"),
        (405, Refused, "http_405"),
        (408, Unavailable, "http_408"),
        (409, Stale, "stale"),
        (410, Refused, "http_410"),
        (412, Stale, "stale"),
        (413, Refused, "http_413"),
        (422, Refused, "http_422"),
        (425, Unavailable, "http_425"),
        (428, Refused, "http_428"),
        (429, Unavailable, "http_429"),
        (500, Unavailable, "http_500"),
        (502, Unavailable, "http_502"),
        (503, Unavailable, "http_503"),
        (504, Unavailable, "http_504"),
        (599, Unavailable, "http_599"),
    ],
)
@respx.mock
def test_every_status_is_the_error_that_says_what_to_do(
    moment: Time, status: int, kind: type[ConnectorError], code: str
) -> None:
    """A status becomes one class of error and one code, with a remedy; only what may pass is tried three times."""
    route = respx.get(f"{BASE}/logs").respond(status, json={"message": TEXT})
    with _client(BASE, moment) as http, pytest.raises(ConnectorError) as caught:
        http.get("/logs")
    assert (type(caught.value), caught.value.code) == (kind, code)
    assert caught.value.remedy
    assert route.call_count == (3 if kind is Unavailable else 1)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (409, {"type": "key-used"}, KeyUsed),
        (409, {"type": "https://system.example/problems/key-used"}, KeyUsed),
        (409, {"type": "urn:problem:key-used"}, KeyUsed),
        (409, {"type": "about:blank"}, Stale),
        (409, {"type": "not-key-used"}, Stale),
        (409, {"type": 7}, Stale),
        (409, {}, Stale),
        (412, {"type": "key-used"}, Stale),
    ],
)
@respx.mock
def test_a_used_key_is_told_from_other_conflicts(
    moment: Time, status: int, body: dict[str, object], kind: type[ConnectorError]
) -> None:
    """By the last part of the problem's type, and only at 409."""
    respx.put(f"{BASE}/logs/1").respond(status, json=body, headers={"Content-Type": "application/problem+json"})
    with _client(BASE, moment) as http, pytest.raises(ConnectorError) as caught:
        http.send("PUT", "/logs/1", BODY, {})
    assert type(caught.value) is kind


@respx.mock
def test_a_used_key_after_a_lost_answer_tells_the_outcome(moment: Time) -> None:
    """The first attempt's answer was lost and the second met its own key: nothing is unknown any more."""
    used = httpx.Response(409, json={"type": "key-used"}, headers={"Content-Type": "application/problem+json"})
    respx.put(f"{BASE}/logs/1").mock(side_effect=[httpx.ReadError("gone"), used])
    with _client(BASE, moment) as http, pytest.raises(KeyUsed):
        http.send("PUT", "/logs/1", BODY, {}, repeatable=True)


@pytest.mark.parametrize("status", [502, 504])
@pytest.mark.parametrize("call", [_send, _send_by_key])
@respx.mock
def test_a_change_that_a_gateway_lost_may_have_been_taken_in(moment: Time, status: int, call: Call) -> None:
    """For a change, 502 and 504 say only that a gateway got no answer: the outcome is unknown."""
    respx.patch(f"{BASE}/logs/1").respond(status, headers={"Retry-After": "1"})
    with _client(BASE, moment) as http, pytest.raises(OutcomeUnknown) as caught:
        call(http)
    assert caught.value.code == f"http_{status}"


@pytest.mark.parametrize("status", [200, 201, 202, 204, 301, 302, 303, 307])
@respx.mock
def test_other_statuses_are_the_connectors_business(moment: Time, status: int) -> None:
    """Success and redirection are handed back as they are; nothing is followed."""
    elsewhere = respx.get("https://other.example/").respond(200)
    respx.get(f"{BASE}/logs").respond(status, headers={"Location": "https://other.example/"})
    with _client(BASE, moment) as http:
        assert http.get("/logs").status == status
    assert not elsewhere.called


@respx.mock
def test_one_missing_record_is_refused_and_a_wrong_path_is_not(moment: Time) -> None:
    """404 for one record is final for that record; for a listing it is the configuration."""
    respx.get(url__startswith=BASE).respond(404)
    with _client(BASE, moment) as http:
        with pytest.raises(Refused, match="HTTP 404") as caught:
            http.one("/logs/1")
        assert caught.value.code == "no_record"
        with pytest.raises(Misconfigured):
            http.get("/logs")


# --- waiting -----------------------------------------------------------------------------------------------------


@respx.mock
def test_without_being_asked_a_call_waits_a_little_longer_each_time(moment: Time) -> None:
    """Three attempts, a quarter and half a second apart."""
    respx.get(f"{BASE}/logs").mock(side_effect=[httpx.Response(500), httpx.Response(503), httpx.Response(200)])
    with _client(BASE, moment) as http:
        assert http.get("/logs").status == 200
    assert moment.slept == [0.25, 0.5]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("header", ["7", " 07 ", format_datetime(NOW + timedelta(seconds=6), usegmt=True)])
@respx.mock
def test_a_short_wait_is_waited_inside_the_call(moment: Time, status: int, header: str) -> None:
    """Retry-After up to twenty seconds, in either form, is waited to the end and then tried again."""
    asked = httpx.Response(status, headers={"Retry-After": header})
    respx.get(f"{BASE}/logs").mock(side_effect=[asked, httpx.Response(200)])
    with _client(BASE, moment) as http:
        assert http.get("/logs").status == 200
    assert moment.slept == [7.0]


@pytest.mark.parametrize("header", ["21", "3600", format_datetime(NOW + timedelta(seconds=3599), usegmt=True)])
@respx.mock
def test_a_long_wait_is_left_to_the_row_that_asked(moment: Time, header: str) -> None:
    """Above the limit the call ends at once and says how long the system wants peace."""
    route = respx.get(f"{BASE}/logs").respond(429, headers={"Retry-After": header})
    with _client(BASE, moment) as http, pytest.raises(Unavailable) as caught:
        http.get("/logs")
    assert caught.value.retry_after == timedelta(seconds=21 if header == "21" else 3600)
    assert (moment.slept, route.call_count) == ([], 1)


@respx.mock
def test_a_lost_answer_does_not_make_the_next_attempt_early(moment: Time) -> None:
    """Where the second attempt is told to wait an hour, there is no third, and the outcome stays unknown."""
    lost, busy = httpx.ReadError("gone"), httpx.Response(429, headers={"Retry-After": "3600"})
    route = respx.patch(f"{BASE}/logs/1").mock(side_effect=[lost, busy, httpx.Response(200)])
    with _client(BASE, moment) as http, pytest.raises(OutcomeUnknown):
        _send_by_key(http)
    assert (moment.slept, route.call_count) == ([0.25], 2)


@respx.mock
def test_a_lost_answer_and_then_a_short_wait(moment: Time) -> None:
    """Where the second attempt is told to wait five seconds, the third comes after five seconds."""
    lost, busy = httpx.ReadError("gone"), httpx.Response(503, headers={"Retry-After": "5"})
    respx.patch(f"{BASE}/logs/1").mock(side_effect=[lost, busy, httpx.Response(200)])
    with _client(BASE, moment) as http:
        assert _send_by_key(http).status == 200
    assert moment.slept == [0.25, 5.0]


@pytest.mark.parametrize(
    ("header", "asked"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),
        ("0", timedelta(0)),
        ("120", timedelta(minutes=2)),
        ("0000000000120", timedelta(minutes=2)),
        ("9" * 40, LONGEST_PEACE),
        ("Sat, 21 Nov 2026 09:01:00 GMT", timedelta(seconds=61)),
        ("Saturday, 21-Nov-26 09:01:00 GMT", timedelta(seconds=61)),
        ("Sat, 21 Nov 2026 10:01:00 +0100", timedelta(seconds=61)),
        ("Sat, 21 Nov 2026 08:00:00 GMT", timedelta(0)),
        ("Fri, 31 Dec 9999 23:59:59 -1200", LONGEST_PEACE),
        ("Sat, 21 Nov 99999 09:01:00 GMT", None),
    ],
)
def test_retry_after_is_read_in_every_form(header: str | None, asked: timedelta | None) -> None:
    """Seconds or a date of any allowed form; what is neither asks for nothing, and the longest peace bounds all."""
    assert retry_after(header, NOW, LONGEST_PEACE) == asked


def test_a_date_without_zone_is_utc_wherever_the_hub_stands() -> None:
    """The old C form of an HTTP date names no zone and means GMT, also on a machine in Oslo."""
    program = (
        "from datetime import UTC, datetime as d, timedelta as t\nfrom hub.connectors.http import retry_after\n"
        "print(retry_after('Sat Nov 21 09:01:00 2026', d(2026, 11, 21, 9, tzinfo=UTC), t(1)).total_seconds())"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "TZ": "Europe/Oslo"}, capture_output=True, check=True
    )
    assert run.stdout.strip() == b"61.0"


@given(st.text(max_size=60))
def test_no_header_breaks_the_reading(header: str) -> None:
    """Whatever a system writes there, the answer is a wait between nothing and the longest, or none."""
    asked = retry_after(header, NOW, LONGEST_PEACE)
    assert asked is None or timedelta(0) <= asked <= LONGEST_PEACE


# --- tokens ------------------------------------------------------------------------------------------------------


@respx.mock
def test_a_token_is_asked_for_once_and_again_before_it_runs_out(moment: Time) -> None:
    """One token serves all calls until ten seconds before its end."""
    asked = respx.post(TOKEN_URL).respond(200, json=TOKEN)
    route = respx.get(f"{BASE}/logs").respond(200)
    with _client(BASE, moment, _credentials()) as http:
        http.get("/logs")
        moment.at += timedelta(seconds=289)
        http.get("/logs")
        assert asked.call_count == 1
        moment.at += timedelta(seconds=1)
        http.get("/logs")
    assert asked.call_count == 2
    assert {call.request.headers["authorization"] for call in route.calls} == {"Bearer t-1"}
    form = httpx.QueryParams(asked.calls[0].request.content.decode())
    assert dict(form) == {
        "grant_type": "client_credentials",
        "client_id": "stafetthub",
        "client_secret": SECRET,
        "scope": "logs.read",
        "tenant_id": "t-9",
    }


@respx.mock
def test_a_refused_token_is_renewed_once_and_the_call_goes_through(moment: Time) -> None:
    """After 401 a new token is fetched and the call made again, with the new token."""
    tokens = [httpx.Response(200, json={**TOKEN, "access_token": name}) for name in ("old", "new")]
    asked = respx.post(TOKEN_URL).mock(side_effect=tokens)
    route = respx.get(f"{BASE}/logs").mock(side_effect=[httpx.Response(401), httpx.Response(200)])
    with _client(BASE, moment, _credentials()) as http:
        assert http.get("/logs").status == 200
    assert asked.call_count == 2
    assert [call.request.headers["authorization"] for call in route.calls] == ["Bearer old", "Bearer new"]


@respx.mock
def test_a_token_that_is_refused_twice_is_a_mistake_of_the_configuration(moment: Time) -> None:
    """A second 401 ends the call: the token is renewed once and only once."""
    asked = respx.post(TOKEN_URL).respond(200, json=TOKEN)
    route = respx.get(f"{BASE}/logs").respond(401)
    with _client(BASE, moment, _credentials()) as http, pytest.raises(Misconfigured) as caught:
        http.get("/logs")
    assert caught.value.code == "unauthorized"
    assert (asked.call_count, route.call_count) == (2, 2)


@pytest.mark.parametrize("status", [400, 401, 403])
@respx.mock
def test_a_wrong_secret_is_a_mistake_of_the_configuration(moment: Time, status: int) -> None:
    """The remedy names the settings to look at, and the secret stands neither in the error nor in any repr."""
    asked = respx.post(TOKEN_URL).respond(status, json={"error": "invalid_client", "hint": SECRET})
    auth = _credentials()
    with _client(BASE, moment, auth) as http, pytest.raises(Misconfigured) as caught:
        http.get("/logs")
    assert caught.value.code == "token_refused"
    assert "client_secret" in caught.value.remedy
    assert asked.call_count == 1
    assert SECRET not in f"{caught.value}{caught.value!r}{auth!r}{_whole(caught.value)}"


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (httpx.Response(404), Misconfigured, "not_found"),
        (httpx.Response(503), Unavailable, "http_503"),
        (httpx.Response(200, html="<title>Logg inn</title>"), BadAnswer, "not_json"),
        (httpx.Response(200, json={"access_token": "t"}), BadAnswer, "no_token"),
        (httpx.Response(200, json={"access_token": 7, "expires_in": 300}), BadAnswer, "no_token"),
        (httpx.Response(200, json={"access_token": "t", "expires_in": "300"}), BadAnswer, "no_token"),
        (httpx.Response(302, headers={"Location": "https://other.example"}), Refused, "http_302"),
    ],
)
@respx.mock
def test_a_token_endpoint_that_answers_otherwise(
    moment: Time, reply: httpx.Response, kind: type[ConnectorError], code: str
) -> None:
    """No token is made out of an answer that is none, and the system itself is not called."""
    respx.post(TOKEN_URL).mock(return_value=reply)
    route = respx.get(f"{BASE}/logs").respond(200)
    with _client(BASE, moment, _credentials()) as http, pytest.raises(kind) as caught:
        http.get("/logs")
    assert caught.value.code == code
    assert not route.called


@pytest.mark.parametrize(
    "link",
    [
        "https://other.example/api/logs?page=1",
        "http://system.example/api/logs?page=1",
        "https://system.example:8443/api/logs?page=1",
        ".other.example/logs",
        "https://system.example:port/",
    ],
)
@respx.mock
def test_a_link_to_another_host_gets_no_token(moment: Time, link: str) -> None:
    """A system's link that leads elsewhere is no answer; nobody else is called with the municipality's token."""
    respx.post(TOKEN_URL).respond(200, json=TOKEN)
    called = respx.route(method="GET").respond(200)
    with _client(BASE, moment, _credentials()) as http, pytest.raises(BadAnswer) as caught:
        http.get(link)
    assert caught.value.code == "foreign_link"
    assert not called.called


# --- real sockets ------------------------------------------------------------------------------------------------


@EITHER_WAY
def test_a_closed_port_is_unavailable_for_reading_and_sending(moment: Time, call: Call) -> None:
    """Nothing left the machine, so a change that met a closed port is not unknown."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with _client(url, moment) as http, pytest.raises(Unavailable) as caught:
        call(http)
    assert caught.value.code == "connection_refused"


@pytest.mark.parametrize("address", ["ftp://system.example", "system.example", "http://system:port"])
def test_an_address_that_is_none_is_a_mistake_of_the_configuration(moment: Time, address: str) -> None:
    """No attempt can help, so that there is one."""
    with _client(address, moment) as http, pytest.raises(Misconfigured) as caught:
        http.get("/logs")
    assert caught.value.code == "bad_address"
    assert moment.slept == []


@pytest.mark.parametrize("broken", [hang_up, reset, sending(raw(200, b"{}" * 50)[:-30]), sending(b"SSH-2.0-x\r\n")])
def test_a_connection_that_breaks_is_tried_three_times(moment: Time, broken: Script) -> None:
    """Hung up, reset, cut off in the body, or no HTTP at all: unavailable for reading."""
    with Wire([broken]) as wire, _client(wire.url, moment) as http, pytest.raises(Unavailable) as caught:
        http.get("/logs")
    assert caught.value.code == ("connection_reset" if broken is reset else "connection_lost")
    assert len(wire.requests) == 3


@pytest.mark.parametrize("broken", [hang_up, reset, sending(raw(200, b"{}" * 50)[:-30])])
def test_a_lost_answer_to_a_change_is_unknown_and_keeps_its_key(moment: Time, broken: Script) -> None:
    """All attempts carry the same idempotency key and the same body, and the last word is that nobody knows."""
    with Wire([broken]) as wire, _client(wire.url, moment) as http, pytest.raises(OutcomeUnknown) as caught:
        _send_by_key(http)
    assert caught.value.code == ("connection_reset" if broken is reset else "connection_lost")
    assert wire.header("idempotency-key") == ["key-1"] * 3
    assert {request.partition(b"\r\n\r\n")[2] for request in wire.requests} == {wire.requests[0].split(b"\r\n\r\n")[1]}


def test_a_change_goes_through_on_its_second_attempt(moment: Time) -> None:
    """One lost answer is mended inside the call."""
    with Wire([hang_up, answer(200, {"versjon": 2})]) as wire, _client(wire.url, moment) as http:
        assert _send_by_key(http).json() == {"versjon": 2}
    assert wire.header("idempotency-key") == ["key-1"] * 2


@pytest.mark.parametrize(
    "fault",
    [hang_up, reset, sending(raw(200, b"{}" * 50)[:-30]), answer(500), answer(500, retry_after="1"), answer(503)],
    ids=["hung up", "reset", "cut off", "500", "500 with a time", "503 without one"],
)
def test_a_change_that_may_be_in_is_never_sent_again(moment: Time, fault: Script) -> None:
    """Unless repeating it is said to be safe, one attempt is all, whatever the limits allow: only a look can tell."""
    with Wire([fault, answer(200, {})]) as wire, _client(wire.url, moment) as http:
        with pytest.raises(OutcomeUnknown):
            _send(http)
        assert len(wire.requests) == 1
    assert moment.slept == []


@pytest.mark.parametrize("away", [answer(429), answer(429, retry_after="1"), answer(503, retry_after="1")])
def test_a_change_that_was_turned_away_is_sent_again(moment: Time, away: Script) -> None:
    """What says that it took nothing in leaves nothing unknown."""
    with Wire([away, answer(200, {})]) as wire, _client(wire.url, moment) as http:
        assert _send(http).status == 200
        assert len(wire.requests) == 2


def test_a_change_that_never_left_is_tried_again(moment: Time) -> None:
    """Where nobody listens there are three attempts, and nothing is unknown."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with _client(url, moment) as http, pytest.raises(Unavailable):
        _send(http)
    assert moment.slept == [0.25, 0.5]


@pytest.mark.parametrize("fault", [answer(500), hang_up])
@pytest.mark.parametrize("call", [_send, lambda http: http.send_once("POST", "/logs", BODY)])
def test_a_token_that_can_t_be_had_leaves_no_change_unknown(moment: Time, fault: Script, call: Call) -> None:
    """Without a token no change leaves, so that there is nothing to look up."""
    with Wire([fault]) as tokens, Wire([answer(200, {})]) as wire:
        with _client(wire.url, moment, _credentials(tokens.url)) as http, pytest.raises(Unavailable):
            call(http)
        assert wire.requests == []


@pytest.mark.parametrize("after", [answer(412), answer(401), answer(404), answer(503, retry_after="60")])
def test_what_follows_a_lost_answer_does_not_hide_it(moment: Time, after: Script) -> None:
    """A change whose answer was lost may be what the next attempt trips over: it is looked up, not judged by that."""
    with Wire([hang_up, after]) as wire, _client(wire.url, moment) as http, pytest.raises(OutcomeUnknown):
        _send_by_key(http)
    assert len(wire.requests) == 2


def test_a_refusal_after_a_lost_answer_is_a_refusal(moment: Time) -> None:
    """The same change is refused the same way each time, so the first was not taken in either."""
    with Wire([hang_up, answer(422)]) as wire, _client(wire.url, moment) as http, pytest.raises(Refused):
        _send_by_key(http)


def _head_first(data: bytes) -> Script:
    return dripping(data, data.index(b"\r\n\r\n") + 4, 0.02)


@pytest.mark.parametrize("drip", [_head_first(raw(200, b"{}" * 500)), dripping(raw(200, b"{}" * 500), 15, 0.02)])
def test_an_answer_that_drips_is_bounded_in_total_time(moment: Time, drip: Script) -> None:
    """Each byte comes in time and the whole does not: the attempt ends when its total time is over, headers or body."""
    limits = Limits(connect=1, read=1, total=0.3, attempts=1)
    with Wire([drip]) as wire, _client(wire.url, moment, limits=limits) as http:
        began = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            http.get("/logs")
        assert 0.3 <= time.monotonic() - began < 1.5
    assert caught.value.code == "too_slow"


def test_a_dripping_answer_to_a_change_is_unknown(moment: Time) -> None:
    """The change was sent; that its answer takes too long says nothing about it."""
    limits = Limits(connect=1, read=1, total=0.2, attempts=1)
    drip = _head_first(raw(200, b"{}" * 500))
    with Wire([drip]) as wire, _client(wire.url, moment, limits=limits) as http, pytest.raises(OutcomeUnknown):
        _send(http)


# --- no connection at all ----------------------------------------------------------------------------------------


ONCE = Limits(connect=1, read=1, total=2, attempts=1)


@pytest.mark.parametrize(
    ("ends", "trusted", "code"),
    [(EXPIRED, True, "certificate_expired"), (VALID, False, "certificate_not_trusted")],
)
def test_a_certificate_that_is_not_valid_is_named(
    moment: Time, tmp_path: Path, ends: datetime, code: str, *, trusted: bool
) -> None:
    """No byte of a change leaves: reading and sending are unavailable, with the class of what is wrong."""
    with tls_server(tmp_path, ends) as (url, ca_file):
        http = Http(url, None, ONCE, moment.clock(), ca_file=ca_file if trusted else None)
        for call in (_get, _send):
            with pytest.raises(Unavailable) as caught:
                call(http)
            assert caught.value.code == code
        http.close()


def test_a_valid_certificate_lets_the_call_through(moment: Time, tmp_path: Path) -> None:
    """The same server with a certificate of today answers, so that it was the certificate."""
    with tls_server(tmp_path, VALID) as (url, ca_file):
        http = Http(url, None, ONCE, moment.clock(), ca_file=ca_file)
        assert _get(http).json() == {}
        http.close()


def test_a_server_that_speaks_no_tls_is_named(moment: Time) -> None:
    """Plain HTTP where encryption was due."""

    def answer_plainly() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(1024)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=answer_plainly)
        thread.start()
        url = f"https://127.0.0.1:{server.getsockname()[1]}"
        with _client(url, moment, limits=ONCE) as http, pytest.raises(Unavailable) as caught:
            _get(http)
        thread.join()
    assert caught.value.code == "tls_failed"


def test_a_name_that_nobody_knows_is_named(moment: Time) -> None:
    """A host name that is reserved for not being there (RFC 6761)."""
    with _client("http://system.invalid", moment, limits=ONCE) as http, pytest.raises(Unavailable) as caught:
        _send(http)
    assert caught.value.code == "name_not_found"


# --- the gate ----------------------------------------------------------------------------------------------------


class Noting:
    """A gate that lets through what a test says, and writes down what it is told."""

    def __init__(self, *, opens: int = 99) -> None:
        self.told: list[str] = []
        self._opens = opens

    def enter(self) -> None:
        """Let so many through."""
        if self.told.count("enter") == self._opens:
            raise Waiting("paused", "a person has paused it", "resume", NOW)
        self.told.append("enter")

    def look(self) -> None:
        """Write it down."""
        self.told.append("look")

    def succeeded(self) -> None:
        """Write it down."""
        self.told.append("well")

    def failed(self, error: ConnectorError) -> None:
        """Write it down."""
        self.told.append(error.code)


@respx.mock
def test_every_attempt_passes_the_gate_and_tells_how_it_went(moment: Time) -> None:
    """Each retry; an answer of any kind is well, trouble and lost answers are not. A token given out tells nothing."""
    respx.post(TOKEN_URL).respond(200, json=TOKEN)
    replies: list[httpx.Response | Exception] = [httpx.Response(503), httpx.ReadError("gone"), httpx.Response(422)]
    respx.patch(f"{BASE}/logs/1").mock(side_effect=replies)
    gate = Noting()
    http = Http(BASE, _credentials(), QUICK, moment.clock(), gate)
    with pytest.raises(Refused):
        _send_by_key(http)
    http.close()
    assert gate.told == ["look", "enter", "http_503", "enter", "connection_lost", "enter", "well"]


@respx.mock
def test_what_the_gate_stops_is_not_tried(moment: Time) -> None:
    """After the first attempt the gate shuts: there is no second, no wait, and the error is the gate's."""
    route = respx.get(f"{BASE}/logs").respond(500)
    http = Http(BASE, None, QUICK, moment.clock(), Noting(opens=1))
    with pytest.raises(Waiting):
        _get(http)
    http.close()
    assert (route.call_count, moment.slept) == (1, [0.25])


def test_silence_ends_at_the_read_limit(moment: Time) -> None:
    """A system that takes the request and says nothing is given up after the read limit."""
    limits = Limits(connect=1, read=0.2, total=5, attempts=1)
    with (
        Wire([lambda _connection, _request: time.sleep(0.6)]) as wire,
        _client(wire.url, moment, limits=limits) as http,
    ):
        began = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            http.get("/logs")
        assert time.monotonic() - began < 0.6
    assert caught.value.code == "read_timeout"


def test_a_redirect_is_not_followed(moment: Time) -> None:
    """A redirect to a login page is an answer without JSON; the page is never asked for."""
    with Wire([answer(200, {})]) as login, Wire([answer(302, location=login.url)]) as wire:
        with _client(wire.url, moment) as http, pytest.raises(BadAnswer) as caught:
            http.get("/logs").json()
        assert caught.value.code == "empty_answer"
        assert login.requests == []


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (raw(200, f"<h1>{TEXT}</h1>".encode(), "text/html"), "not_json"),
        (raw(200, b'{"a": 1}', ""), "not_json"),
        (raw(200, b'{"a": 1}', "text/plain"), "not_json"),
        (raw(200), "empty_answer"),
        (raw(204), "empty_answer"),
        (raw(200, json.dumps(BODY).encode()[:-9]), "broken_json"),
        (raw(200, b"\xff\xfe\xfd"), "broken_json"),
        (raw(200, b"[" * 100_000), "broken_json"),
        (raw(200, f'["{TEXT}"]'.encode()), "not_an_object"),
        (raw(200, b"null"), "not_an_object"),
        (raw(200, TEXT.encode(), content_encoding="gzip"), "broken_encoding"),
    ],
)
def test_an_answer_that_is_no_answer(moment: Time, data: bytes, code: str) -> None:
    """HTML with 200, nothing, JSON cut off, too deep or no object, and what can't be unpacked: each has its code."""
    with Wire([sending(data)]) as wire, _client(wire.url, moment) as http, pytest.raises(BadAnswer) as caught:
        http.get("/logs").json()
    assert caught.value.code == code


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/hal+json", "Application/JSON"])
def test_json_is_read_under_its_names_and_packed(moment: Time, kind: str) -> None:
    """JSON and its kinds are taken, packed or not."""
    packed = raw(200, gzip.compress(json.dumps(BODY).encode()), kind, content_encoding="gzip")
    with Wire([sending(packed)]) as wire, _client(wire.url, moment) as http:
        assert http.get("/logs").json() == BODY


def test_an_answer_without_end_is_cut_short(moment: Time) -> None:
    """More than 64 MiB, here a few packed kilobytes, is no answer."""
    bomb = gzip.compress(bytes(66 * 1024 * 1024), compresslevel=1)
    data = raw(200, bomb, content_encoding="gzip")
    with Wire([sending(data)]) as wire, _client(wire.url, moment) as http, pytest.raises(BadAnswer) as caught:
        http.get("/logs")
    assert caught.value.code == "too_large"


# --- nothing of a person -----------------------------------------------------------------------------------------

FAILURES: dict[str, Script] = {
    "refused": answer(422, {"message": TEXT}),
    "html": sending(raw(200, TEXT.encode(), "text/html")),
    "cut off": sending(raw(200, json.dumps(BODY).encode()[:-4])),
    "broken": sending(raw(200, TEXT.encode() * 9)[:-9]),
    "unpackable": sending(raw(200, TEXT.encode(), content_encoding="gzip")),
    "no http": sending(TEXT.encode()),
    "stale": answer(412, {"found": TEXT}),
    "down": answer(500, {"trace": TEXT}),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
@EITHER_WAY
def test_nothing_of_a_body_reaches_an_error_or_a_log_line(
    moment: Time, caplog: pytest.LogCaptureFixture, failure: Script, call: Call
) -> None:
    """Neither what was sent nor what came back stands in the error, its causes, its traceback or a line."""
    caplog.set_level(logging.INFO)
    with Wire([failure]) as wire, _client(wire.url, moment) as http, pytest.raises(ConnectorError) as caught:
        call(http).json()
    told = _whole(caught.value) + caplog.text
    assert "Testbarn" not in told
    assert "dårleg" not in told


def _whole(error: BaseException) -> str:
    """Give all that an error and its causes say."""
    chain, told = [error], ""
    while chain:
        one = chain.pop()
        told += f"{one} {one!r} {one.args}"
        chain += [cause for cause in (one.__cause__, one.__context__) if cause is not None]
    return told + "".join(traceback.format_exception(error))
