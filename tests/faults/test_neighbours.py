"""A system that answers badly: each attempt ends in time and tells why, and the neighbours hardly notice."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from socket import create_server
from statistics import quantiles
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hub.bootstrap import system_clock
from hub.connectors.base import Unavailable
from hub.connectors.http import Limits
from hub.connectors.relaylog import RelayLogs, Settings
from tests.faults.children import SINKS, SOURCE
from tests.faults.house import OtherSide, house, scale, show, wait_for
from tests.faults.proxy import Fault, Proxy, Rule, cut, delay, drip

pytestmark = pytest.mark.long

LIMITS = Limits(connect=1, read=1, total=2, attempts=1)


@contextmanager
def _dripping(folder: Path) -> Iterator[str]:
    with _behind(folder, drip(0.2)) as url:
        yield url


@contextmanager
def _silent(folder: Path) -> Iterator[str]:
    with _behind(folder, delay(60)) as url:
        yield url


@contextmanager
def _resetting(folder: Path) -> Iterator[str]:
    with _behind(folder, cut) as url:
        yield url


@contextmanager
def _behind(folder: Path, fault: Fault) -> Iterator[str]:
    with OtherSide(folder, 1) as other, Proxy(other.port, [Rule(fault, "bad")]) as proxy:
        yield f"http://127.0.0.1:{proxy.port}/{SOURCE}"


@contextmanager
def _refusing(_folder: Path) -> Iterator[str]:
    with create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    yield f"http://127.0.0.1:{port}/{SOURCE}"


@contextmanager
def _nameless(_folder: Path) -> Iterator[str]:
    yield "http://fagsystem.invalid"  # RFC 6761: never a name


@contextmanager
def _expired(folder: Path) -> Iterator[str]:
    """Give a server whose certificate, made here and trusted by nobody else, ran out yesterday."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(folder))
    with create_server(("127.0.0.1", 0)) as listening:

        def shake_hands() -> None:
            client, _ = listening.accept()
            with client, pytest.raises(ssl.SSLError):
                context.wrap_socket(client, server_side=True)

        thread = Thread(target=shake_hands)
        thread.start()
        yield f"https://localhost:{listening.getsockname()[1]}"
        thread.join()


def _certificate(folder: Path) -> Path:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - timedelta(days=9)).not_valid_after(now - timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "expired.pem"
    path.write_bytes(private + made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.parametrize(
    ("system", "code"),
    [
        (_dripping, "too_slow"),
        (_silent, "read_timeout"),
        (_refusing, "connection_refused"),
        (_resetting, "connection_reset"),
        (_nameless, "name_not_found"),
        (_expired, "certificate_not_trusted"),
    ],
)
def test_an_attempt_ends_in_time_and_tells_why(tmp_path: Path, system: object, code: str) -> None:
    """A drip, silence, a closed port, a reset, an unknown name and a bad certificate each have their own error."""
    with ExitStack() as stack:
        url = stack.enter_context(system(tmp_path))  # type: ignore[operator]
        connector = RelayLogs(Settings(base_url=url, repeat="key"), LIMITS, system_clock(), {})
        stack.callback(connector._http.close)
        stack.callback(connector._sending.close)
        before = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            connector.check()
        assert caught.value.code == code
        assert time.monotonic() - before < LIMITS.total + 1


def test_neighbours_of_a_slow_system(tmp_path: Path) -> None:
    """While one sink drips, the others get theirs; in full on a quiet machine, 19 in 20 at most a tenth slower."""
    count, slow = scale(full=400, short=60), "neither"
    more = {slow: {"timeouts": {"connect": 1, "read": 1, "total": 2}, "breaker": {"failures": 2, "period": "10m"}}}
    with house(tmp_path, count, behind=SINKS, more=more) as (other, hub, proxies):
        hub.rest()
        took = []
        for number, rules in enumerate(((), (Rule(drip(0.2), "slow", method="PUT"),)), 1):
            proxies[slow].rules = rules
            other.order(SOURCE, edit=number)
            begun = time.monotonic()
            hub.let_time_pass()
            hub.queue(SOURCE)
            process = hub.start("run")
            wait_for(lambda number=number: _told(other, number) == 2 * count, 300, hub.log)  # type: ignore[misc]
            hub.stop(process)
            took.append([gap for name in SINKS if name != slow for gap in _gaps(proxies[name], begun)])
        before, after = (quantiles(each, n=20)[-1] for each in took)
        show("neighbours of a slow system", before_ms=round(before * 1000), meanwhile_ms=round(after * 1000))
        assert proxies[slow].met("slow")
        assert scale(full=1, short=0) * after <= before * 1.1  # a busy machine's clock proves nothing


def _gaps(proxy: Proxy, begun: float) -> list[float]:
    """Give the seconds from each change to the next that came to a sink since an instant."""
    return [
        later - earlier
        for earlier, later in pairwise(seen.at for seen in proxy.seen if seen.method == "PUT" and seen.at > begun)
    ]


def _told(other: OtherSide, number: int) -> int:
    """Give how many records of the two good sinks hold the edit of a round."""
    found = [each["body"] for name in SINKS if name != "neither" for each in other.order(name)["records"].values()]
    return sum(f"runde {number}." in body["goals"][0]["text"] for body in found if body.get("goals"))
