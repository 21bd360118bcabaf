"""A key service is spoken to as Transit publishes it; what fails is told in seconds, without key, token or text."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hub.connectors.base import BadAnswer, ConnectorError, Refused, Unavailable
from hub.connectors.http import Limits
from hub.connectors.transit import Transit
from tests.connectors.conftest import Time
from tests.connectors.tls import VALID, tls_server
from tests.connectors.transit_server import TOKEN, TransitServer
from tests.connectors.wire import Script, Wire, answer, dripping, hang_up, raw, reset, sending

SECRET = b"the municipality's key"
WRAPPED = "vault:v1:c29tZXRoaW5n"
QUICK = Limits(connect=0.5, read=0.5, total=0.5, attempts=1)


@pytest.fixture
def server() -> Iterator[TransitServer]:
    with TransitServer() as running:
        yield running


def _transit(url: str, moment: Time) -> Transit:
    return Transit(url, "transit", "stafetthub", TOKEN, moment.clock(), limits=QUICK)


def test_what_is_wrapped_opens_again(server: TransitServer, moment: Time) -> None:
    """Any bytes come back whole, by the two published calls, and the ciphertext shows nothing of them."""
    transit, data = _transit(server.url, moment), bytes(range(256))
    wrapped = transit.encrypt(data)
    assert transit.decrypt(wrapped) == data
    assert wrapped.startswith("vault:v1:")
    assert b64encode(data).decode() not in wrapped
    assert server.asked == ["POST /v1/transit/encrypt/stafetthub", "POST /v1/transit/decrypt/stafetthub"]


def test_token_and_body_are_sent_as_published(moment: Time) -> None:
    """The token goes in `X-Vault-Token` and nowhere else, the ciphertext as JSON."""
    told = {"data": {"plaintext": b64encode(SECRET).decode()}}
    with Wire([answer(200, told)]) as wire:
        assert _transit(wire.url, moment).decrypt(WRAPPED) == SECRET
        (request,) = wire.requests
        assert wire.header("X-Vault-Token") == [TOKEN]
    assert json.loads(request.partition(b"\r\n\r\n")[2]) == {"ciphertext": WRAPPED}
    assert request.count(TOKEN.encode()) == 1


def _refused(transit: Transit, wrapped: str = WRAPPED) -> ConnectorError:
    with pytest.raises(ConnectorError) as caught:
        transit.decrypt(wrapped)
    shown = f"{caught.value!r} {caught.value} {transit!r}"
    assert TOKEN not in shown
    assert caught.value.__cause__ is None
    return caught.value


def test_each_refusal_says_what_to_do(server: TransitServer, moment: Time) -> None:
    """A wrong token, mount, key and ciphertext of another key are told apart, without the service's own words."""
    transit = _transit(server.url, moment)
    wrapped = transit.encrypt(SECRET)
    with TransitServer() as other:
        foreign = _transit(other.url, moment).encrypt(SECRET)
    cases = {
        "refuses the token": (replace(transit, token="another"), wrapped),
        "nothing at this path": (replace(transit, mount="elsewhere"), wrapped),
        "does not open this with its key": (transit, foreign),
        "Check `key` and `mount`": (replace(transit, key="unknown"), wrapped),
        "this is no ciphertext": (transit, "eyJjdXJyZW50IjogMX0="),
    }
    for said, (asked, text) in cases.items():
        error = _refused(asked, text)
        assert isinstance(error, Refused)
        assert said in str(error)
        assert "permission denied" not in str(error)


def test_a_sealed_service_is_waited_for_and_then_told(server: TransitServer, moment: Time) -> None:
    """Sealed is asked again once, after a pause, and is told as what its keepers can mend."""
    transit = replace(_transit(server.url, moment), limits=replace(QUICK, attempts=2))
    wrapped = transit.encrypt(SECRET)
    server.sealed = True
    error = _refused(transit, wrapped)
    assert (type(error), error.code, len(server.asked)) == (Unavailable, "http_503", 3)
    assert "sealed" in str(error)
    server.sealed = False
    assert transit.decrypt(wrapped) == SECRET


def _silent(_connection: object, _request: bytes) -> None:
    time.sleep(1)


@pytest.mark.parametrize(
    "script",
    [_silent, hang_up, reset, dripping(raw(200, b'{"data": {}}'), 20, 0.1)],
    ids=["silent", "hung up", "reset", "dripping"],
)
def test_no_answer_is_bounded_in_time(moment: Time, script: Script) -> None:
    """Whoever keeps silent, breaks off or drips is given up in time, as a service that does not answer."""
    began = time.monotonic()
    with Wire([script]) as wire:
        error = _refused(_transit(wire.url, moment))
        took = time.monotonic() - began
    assert type(error) is Unavailable
    assert "does not answer" in str(error)
    assert took < 2


def test_nobody_at_the_address_is_told(moment: Time) -> None:
    """A port where nobody listens, and a name that is none."""
    with Wire([hang_up]) as wire:
        url = wire.url
    for address in (url, "http://nobody.invalid:8200"):
        assert isinstance(_refused(_transit(address, moment)), Unavailable)


@pytest.mark.parametrize(
    "script",
    [
        answer(200, {"data": None}),
        answer(200, {"data": {"plaintext": 7}}),
        answer(200, {"data": {"plaintext": "not base64 at all"}}),
        answer(200, {"errors": []}),
        answer(204),
        answer(307, None, Location="http://127.0.0.1:1/v1/transit"),
        sending(raw(200, b"<html>Login</html>", "text/html")),
        sending(raw(200, b'{"data": {"plain')),
        sending(raw(200, b"[]")),
    ],
)
def test_an_answer_that_is_none_is_told(moment: Time, script: Script) -> None:
    """Half a JSON, a login page, a redirect or the wrong fields are never taken for a key."""
    with Wire([script]) as wire:
        error = _refused(_transit(wire.url, moment))
    assert isinstance(error, BadAnswer)


def test_a_ciphertext_of_another_shape_is_not_stored(moment: Time) -> None:
    """Where the service answers an encryption with something else, nothing is taken for wrapped."""
    with Wire([answer(200, {"data": {"ciphertext": b64encode(SECRET).decode()}})]) as wire, pytest.raises(BadAnswer):
        _transit(wire.url, moment).encrypt(SECRET)


def test_a_certificate_that_is_not_trusted_gets_no_token(tmp_path: Path, moment: Time) -> None:
    """The machine's own store does not know the test's authority; a file that is no certificate is told as that."""
    with tls_server(tmp_path, VALID) as (url, ca_file):
        transit = _transit(url, moment)
        assert _refused(transit).code == "certificate_not_trusted"
        assert _refused(replace(transit, ca_file=tmp_path / "none.pem")).code == "no_ca_file"
        assert _refused(replace(transit, ca_file=ca_file)).code != "certificate_not_trusted"
