"""A system that answers badly: each attempt ends in time and tells why, and the neighbours hardly notice."""

from __future__ import annotations

import itertools
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from socket import SHUT_RDWR, create_server
from statistics import quantiles
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import select

from hub.bootstrap import system_clock
from hub.connectors.base import Unavailable
from hub.connectors.http import Limits
from hub.connectors.relaylog import RelayLogs, Settings
from hub.store.tables import connection_state
from tests.faults.children import SINKS, SOURCE, Tree
from tests.faults.house import PATIENCE, TENANT, House, OtherSide, house, scale, show, wait_for
from tests.faults.proxy import Fault, Proxy, Rule, Seen, cut, delay, drip

pytestmark = pytest.mark.long

BAD, WORKERS, FAILURES = "neither", 2, 2
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
            with suppress(OSError):  # at the end: nobody listens any more
                while True:
                    client, _ = listening.accept()
                    with client, pytest.raises(OSError):  # noqa: PT011 - refused by the hub, or broken off
                        context.wrap_socket(client, server_side=True)

        thread = Thread(target=shake_hands)
        thread.start()
        try:
            yield f"https://localhost:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(SHUT_RDWR)
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


SYSTEMS = {
    "too_slow": _dripping,
    "read_timeout": _silent,
    "connection_refused": _refusing,
    "connection_reset": _resetting,
    "name_not_found": _nameless,
    "certificate_not_trusted": _expired,
}
"""Systems that answer badly, by the error that each leads to."""

BESIDE = [code for code in SYSTEMS if code != "read_timeout"]
"""Those that have neighbours: silence costs them what a drip does, and a log that is sent too often is held."""


@pytest.mark.parametrize("code", SYSTEMS)
def test_an_attempt_ends_in_time_and_tells_why(tmp_path: Path, code: str) -> None:
    """A drip, silence, a closed port, a reset, an unknown name and a bad certificate each have their own error.

    No database has a part in it.
    """
    with ExitStack() as stack:
        url = stack.enter_context(SYSTEMS[code](tmp_path))
        connector = RelayLogs(Settings(base_url=url, repeat="key"), LIMITS, system_clock(), {})
        stack.callback(connector._http.close)
        before = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            connector.check()
        assert caught.value.code == code
        assert time.monotonic() - before < LIMITS.total + 1


def test_neighbours_of_a_bad_system(tmp_path: Path) -> None:
    """Beside each kind of bad system the other sinks get each change, once, before the bad one has cost three attempts.

    In full, on a quiet machine, 19 in 20 come at most a tenth slower than just before. The breaker that keeps the
    attempts few is shown on both databases in `test_the_breaker`.
    """
    count, full = scale(full=400, short=20), bool(scale(full=1, short=0))
    tree: Tree = {"timeouts": {"connect": 1, "read": 1, "total": 2}, "breaker": {"failures": FAILURES, "period": "10m"}}
    with house(tmp_path, count, behind=SINKS, more={BAD: tree}) as (other, hub, proxies):
        hub.rest()
        good, numbers = {name: proxies[name] for name in SINKS if name != BAD}, itertools.count(1)
        alike = dict.fromkeys(good, count)
        for code in BESIDE:
            calm = _round(other, hub, good, next(numbers)) if full else {}
            before = _failures(hub)
            assert before == 0 or not full  # the breaker begins anew
            (tmp_path / code).mkdir()
            with SYSTEMS[code](tmp_path / code) as tree["base_url"]:
                hub.write()
                beside = _round(other, hub, good, next(numbers))
            del tree["base_url"]
            hub.write()
            failed = _failures(hub) - before
            show(f"neighbours beside {code}", attempts=failed, calm_ms=_slowest(calm), beside_ms=_slowest(beside))
            assert {name: len({seen.target for seen in came}) for name, came in beside.items()} == alike
            assert {name: len(came) for name, came in beside.items()} == alike
            assert 1 <= failed <= FAILURES + WORKERS - 1  # the last were on their way when the breaker opened
            if full:  # a busy machine's clock proves nothing
                assert _slowest(beside) <= _slowest(calm) * 1.1


def _failures(hub: House) -> int:
    """Give how many attempts at the bad system have failed since it last answered."""
    failures = select(connection_state.c.failures).where(connection_state.c.connection == f"{TENANT}/{BAD}")
    return int(hub.rows(failures)[0][0])


def _slowest(came: Mapping[str, list[Seen]]) -> int:
    """Give within how many milliseconds of the one before 19 in 20 changes came; 0 where none did."""
    gaps = [later.at - earlier.at for each in came.values() for earlier, later in pairwise(each)]
    return round(quantiles(gaps, n=20)[-1] * 1000) if gaps else 0


def _round(other: OtherSide, hub: House, good: Mapping[str, Proxy], number: int) -> dict[str, list[Seen]]:
    """Let the source edit all its records, and give what came to each good sink until all of them had theirs."""
    begun = {name: len(proxy.seen) for name, proxy in good.items()}
    other.order(SOURCE, edit=number)
    hub.let_time_pass()
    hub.queue(SOURCE)
    process = hub.start("run", "--workers", str(WORKERS))
    wait_for(lambda: all(_told(other, name, number) for name in good), PATIENCE, hub.log)
    hub.stop(process)
    return {name: [seen for seen in proxy.seen[begun[name] :] if seen.method == "PUT"] for name, proxy in good.items()}


def _told(other: OtherSide, name: str, number: int) -> bool:
    """Tell whether all records of a sink hold the edit of a round."""
    bodies = [each["body"] for each in other.order(name)["records"].values()]
    return all(f"runde {number}." in body["goals"][0]["text"] for body in bodies)
