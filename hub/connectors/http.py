"""The one place that speaks HTTP: bounded attempts, tokens, and every failure as an error by what to do about it.

An attempt is bounded in total time, also against an answer that drips. One call is retried for seconds; later tries
belong to the row that asked. Nothing of a body reaches an error.
"""

from __future__ import annotations

import errno
import json
import re
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from threading import Lock, local

import httpcore
import httpx
from pydantic import BaseModel, ConfigDict, field_validator
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from hub.connectors.base import (
    OPEN,
    BadAnswer,
    ConnectorError,
    Gate,
    KeyUsed,
    Misconfigured,
    OutcomeUnknown,
    Refused,
    Stale,
    Tree,
    Unavailable,
    Waiting,
)

MAX_BYTES = 64 * 1024 * 1024
LONGEST_WAIT_IN_CALL = timedelta(seconds=20)
LONGEST_PEACE = timedelta(hours=24)
MARGIN = timedelta(seconds=10)
LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Limits:
    """How long one attempt may take, in seconds, and how often a call is tried.

    `longest_peace` is how long the hub stays away at most, whatever a system asks for.
    """

    connect: float = 5.0
    read: float = 30.0
    total: float = 60.0
    attempts: int = 3
    longest_peace: timedelta = LONGEST_PEACE


@dataclass(frozen=True)
class Clock:
    """Time as it is handed in: the present, seconds that only grow, and waiting."""

    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]


@dataclass(frozen=True)
class Reply:
    """An answer: status, headers, and the decoded JSON where there is any."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Tree:
        """Return the JSON object of the body. Raises BadAnswer for anything else: HTML, empty, cut off."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not self.body:
            raise BadAnswer("empty_answer", f"HTTP {self.status} without a body where JSON was due", ASK_VENDOR)
        if not (kind == "application/json" or kind.endswith("+json")):
            raise BadAnswer("not_json", f"HTTP {self.status} with a body that is not JSON", CHECK_ADDRESS)
        try:
            tree = json.loads(self.body)
        except (ValueError, RecursionError):
            raise BadAnswer(
                "broken_json", f"HTTP {self.status} with JSON that is cut off or broken", ASK_VENDOR
            ) from None
        if not isinstance(tree, dict):
            raise BadAnswer("not_an_object", f"HTTP {self.status} with JSON that is no object", ASK_VENDOR)
        return tree


class HttpSettings(BaseModel):
    """What a municipality configures of every system that speaks HTTP.

    `ca_file` is a PEM file with the certificate authority of the municipality's own network, where the certificates of
    `base_url` and of the token endpoint come from it. It is believed alone; without one the machine's own store is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    base_url: str
    ca_file: Path | None = None

    @field_validator("ca_file")
    @classmethod
    def _ca_readable(cls, ca_file: Path | None) -> Path | None:
        """Read the file now: a mistake in it would else look like a server that nobody trusts."""
        try:
            trusting(ca_file)
        except OSError:
            raise ValueError("ca_file cannot be read as PEM certificates: check its path, rights and content") from None
        return ca_file


CHECK_ADDRESS = "Check base_url and the paths of the profile: a login or error page often answers at a wrong address"
CHECK_CLIENT = "Check client_id, client_secret and scope of the connection, and that they belong to this environment"
LOOK_UP = "The hub looks it up"
ASK_VENDOR = "Nothing was taken in; try again, and ask the vendor if it persists"


@dataclass
class ClientCredentials:
    """OAuth 2.0 client credentials, with extra form fields such as Visma Connect's `tenant_id`. Caches the token."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)
    _token: str = field(default="", repr=False)
    _until: datetime = LONG_AGO
    _lock: Lock = field(default_factory=Lock, repr=False)

    def header(self, http: Http) -> dict[str, str]:
        """Return the authorization header, asking for a token when there is none or it is about to run out."""
        with self._lock:
            if http.clock.now() >= self._until:
                self._ask(http)
            return {"Authorization": f"Bearer {self._token}"}

    def forget(self) -> None:
        """Drop the token: it was refused."""
        with self._lock:
            self._until = LONG_AGO

    def _ask(self, http: Http) -> None:
        form = {"grant_type": "client_credentials", "client_id": self.client_id, "client_secret": self.client_secret}
        form |= {"scope": self.scope} if self.scope else {}
        reply = http.ask_for_token(self.token_url, {**form, **self.extra})
        if reply.status in (400, 401, 403):
            raise Misconfigured("token_refused", f"the token endpoint answered HTTP {reply.status}", CHECK_CLIENT)
        if reply.status != httpx.codes.OK:
            raise http.by_status(reply)
        answer = reply.json()
        token, seconds = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not isinstance(seconds, int | float):
            raise BadAnswer(
                "no_token", "the token endpoint answered without access_token and expires_in", CHECK_ADDRESS
            )
        self._token = token
        self._until = http.clock.now() + timedelta(seconds=seconds) - MARGIN


class Http:
    """A client of one system: its address, its tokens, its limits, and the gate that every attempt passes."""

    def __init__(
        self,
        base_url: str,
        auth: ClientCredentials | None,
        limits: Limits,
        clock: Clock,
        gate: Gate = OPEN,
        ca_file: Path | None = None,
    ) -> None:
        """Trust as `trusting` says."""
        self.clock = clock
        self._gate = gate
        self._base = base_url.rstrip("/")
        self._auth = auth
        self._limits = limits
        self._attempt = local()
        transport = httpx.HTTPTransport(verify=trusting(ca_file), trust_env=False)
        transport._pool._network_backend = _Backend(self._left)  # noqa: SLF001 - httpx hands no backend through
        timeout = httpx.Timeout(limits.read, connect=limits.connect)
        self._client = httpx.Client(timeout=timeout, follow_redirects=False, trust_env=False, transport=transport)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Reply:
        """Read, with retries. Raises ConnectorError for every status but 2xx and 3xx."""
        return self._retried("GET", path, params=params)

    def one(self, path: str) -> Tree:
        """Read one record. Raises Refused when it is not there, else as `get` and `Reply.json` do."""
        try:
            return self.get(path).json()
        except Misconfigured as error:
            if error.code != "not_found":
                raise
            raise Refused("no_record", error.what, "It is gone, or the connection's rights have changed") from None

    def send(
        self, method: str, path: str, body: Tree, headers: Mapping[str, str], *, repeatable: bool = False
    ) -> Reply:
        """Send a change, with retries of what was surely not taken in: there was no connection, or the system said so.

        Only what is `repeatable` is sent again where it may have been taken in: the system refuses a key that it has
        seen, or nothing changes there. Raises OutcomeUnknown where nobody knows.
        """
        return self._retried(method, path, body=body, headers=headers, repeatable=repeatable)

    def send_once(self, method: str, path: str, body: Tree) -> Reply:
        """Send a change that nothing makes safe to send again: one attempt, without retries.

        Raises OutcomeUnknown wherever the change may have been taken in, also where the system tells of its own fault.
        """
        return self._authorized(method, path, body=body, open_after=_own_fault)

    def attempt(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Tree | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Make one attempt, bounded in total time, and tell the gate how it went.

        Raises Waiting where the gate lets none through, Unavailable, OutcomeUnknown or BadAnswer, never by status.
        """
        self._gate.enter()
        url = path if path.startswith(("http://", "https://")) else f"{self._base}{path}"
        reply = self._answered(method, url, sending=method != "GET", params=params, body=body, headers=headers)
        if not _is_trouble(reply.status):
            self._gate.succeeded()
        return reply

    def ask_for_token(self, url: str, form: Mapping[str, str]) -> Reply:
        """Make one attempt at a token endpoint. Raises as `attempt` does.

        The gate is told of a failure alone: that a token is given out does not show that the system itself works.
        """
        self._gate.look()
        return self._answered("POST", url, sending=False, form=form)

    def _answered(
        self,
        method: str,
        url: str,
        *,
        sending: bool,
        params: Mapping[str, str] | None = None,
        body: Tree | None = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Return the answer to one request, and tell the gate of a failure."""
        self._attempt.ends = self.clock.monotonic() + self._limits.total
        try:
            with self._client.stream(
                method, url, params=params, json=body, data=dict(form) if form else None, headers=headers
            ) as response:
                reply = Reply(response.status_code, response.headers, _read(response))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            problem = self._problem(error, sending=sending)
            self._gate.failed(problem)
            raise problem from None
        if _is_trouble(reply.status):
            self._gate.failed(self.by_status(reply))
        return reply

    def _problem(self, error: Exception, *, sending: bool) -> ConnectorError:
        """Turn what broke an attempt into the error that says what to do."""
        if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
            return Misconfigured("bad_address", "the address is not a web address", CHECK_ADDRESS)
        if isinstance(error, httpx.ConnectTimeout):
            return Unavailable("connect_timeout", "no connection within the time limit", CHECK_PORT)
        if isinstance(error, httpx.ConnectError):
            return _no_connection(error)
        if isinstance(error, httpx.DecodingError):
            if sending:
                return OutcomeUnknown("broken_encoding", "the answer to a change can't be unpacked", LOOK_UP)
            return BadAnswer("broken_encoding", "an answer that can't be unpacked", ASK_VENDOR)
        code = self._lost_by(error)
        if sending:
            return OutcomeUnknown(code, "the answer to a change was lost", LOOK_UP)
        return Unavailable(code, "the connection broke before the answer was complete", ASK_VENDOR)

    def _lost_by(self, error: Exception) -> str:
        if isinstance(error, httpx.TimeoutException):
            return "too_slow" if self._left() <= 0 else "read_timeout"
        reset = any(isinstance(cause, OSError) and cause.errno == errno.ECONNRESET for cause in _causes(error))
        return "connection_reset" if reset else "connection_lost"

    def by_status(self, reply: Reply) -> ConnectorError:
        """Turn a status into the error that says what to do."""
        status, what = reply.status, f"the system answered HTTP {reply.status}"
        if status in (401, 403):
            return Misconfigured("unauthorized", what, CHECK_CLIENT)
        if status == httpx.codes.CONFLICT and _problem_type(reply) == KEY_USED:
            return KeyUsed(KEY_USED, what, LOOK_UP)
        if status in (409, 412):
            return Stale("stale", what, "The hub reads the record again and merges")
        if status == httpx.codes.NOT_FOUND:
            return Misconfigured("not_found", what, CHECK_ADDRESS)
        if _is_trouble(status):
            asked = retry_after(reply.headers.get("retry-after"), self.clock.now(), self._limits.longest_peace)
            return Unavailable(f"http_{status}", what, ASK_VENDOR, asked)
        return Refused(f"http_{status}", what, "A person looks at the record and the mapping; it is not sent again")

    def _left(self) -> float:
        """Return the seconds that are left of the calling thread's attempt."""
        ends: float = self._attempt.ends
        return ends - self.clock.monotonic()

    def _retried(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Tree | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = True,
    ) -> Reply:
        retrying = Retrying(
            retry=retry_if_exception(_worth_waiting if repeatable else _surely_not_taken_in),
            stop=stop_after_attempt(self._limits.attempts),
            wait=_wait,
            sleep=self.clock.sleep,
            reraise=True,
        )
        open_after = _lost_on_the_way if repeatable else _unexplained_fault
        unknown: OutcomeUnknown | None = None
        try:
            for attempt in retrying:
                with attempt:
                    try:
                        return self._authorized(
                            method, path, params=params, body=body, headers=headers, open_after=open_after
                        )
                    except OutcomeUnknown as error:
                        unknown = error
                        raise
        except (Refused, KeyUsed):
            raise
        except ConnectorError as error:
            if unknown and unknown is not error:  # an earlier attempt may have been taken in: only a look can tell
                raise unknown from error
            raise
        raise AssertionError("unreachable: tenacity reraises")  # pragma: no cover

    def _authorized(
        self,
        method: str,
        path: str,
        *,
        open_after: Callable[[Reply], bool],
        params: Mapping[str, str] | None = None,
        body: Tree | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Make an attempt with a token, anew where that is refused; `open_after` tells what leaves a change open."""
        if not _leads_home(path, self._base):
            raise BadAnswer("foreign_link", "the system links to another host than base_url's", CHECK_ADDRESS)
        for last in (False, True):
            token = self._auth.header(self) if self._auth else {}
            reply = self.attempt(method, path, params=params, body=body, headers={**(headers or {}), **token})
            if reply.status == httpx.codes.UNAUTHORIZED and self._auth and not last:
                self._auth.forget()
                continue
            if reply.status < 400:
                return reply
            if method != "GET" and open_after(reply):
                raise OutcomeUnknown(f"http_{reply.status}", f"HTTP {reply.status} to a change", LOOK_UP)
            raise self.by_status(reply)
        raise AssertionError("unreachable: the second answer is returned or raised")  # pragma: no cover


def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """Return what servers are believed by: the machine's own store, or a PEM file alone. Raises OSError."""
    return ssl.create_default_context(cafile=ca_file)


GATEWAY_LOST_IT = frozenset({502, 504})
"""What a gateway says when it has handed a request on and got no answer: the change may have been taken in."""

KEY_USED = "key-used"
"""Last part of the problem type (RFC 9457) of a 409 that means: this key's change was taken in (`docs/open-api.md`)."""

CERTIFICATE_EXPIRED = 10
"""What OpenSSL calls X509_V_ERR_CERT_HAS_EXPIRED (`man openssl-verification-options`)."""

CHECK_CERTIFICATE = (
    "Tell those who run the system, or name the authority of your own network as `ca_file` of the connection: "
    "the hub sends nothing to a server that can't prove who it is"
)
CHECK_PORT = "Check base_url and token_url, that the system runs, and that the firewall lets the hub through"


def _worth_waiting(error: BaseException) -> bool:
    """A call waits for seconds; a system that asks for more peace is left to the row that asked."""
    if isinstance(error, Waiting):
        return False
    if isinstance(error, Unavailable):
        return (error.retry_after or timedelta()) <= LONGEST_WAIT_IN_CALL
    return isinstance(error, OutcomeUnknown)


def _surely_not_taken_in(error: BaseException) -> bool:
    """A change that nothing makes safe to send again waits only where it was never there, or was turned away."""
    return _worth_waiting(error) and not isinstance(error, OutcomeUnknown)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, Unavailable) and error.retry_after:
        return error.retry_after.total_seconds()
    return 0.25 * 2.0 ** (state.attempt_number - 1)


def _leads_home(link: str, base: str) -> bool:
    """Tell whether a link that a system gave stays with it: no other host is called, and none gets the token."""
    if link.startswith("/"):
        return True
    try:
        url, home = httpx.URL(link), httpx.URL(base)
    except httpx.InvalidURL:
        return False
    return (url.scheme, url.netloc) == (home.scheme, home.netloc)


def _is_trouble(status: int) -> bool:
    """Tell whether a status says that the system does not work now, whatever was asked of it."""
    return status in (408, 425, 429) or status >= 500


def _lost_on_the_way(reply: Reply) -> bool:
    return reply.status in GATEWAY_LOST_IT


def _own_fault(reply: Reply) -> bool:
    return reply.status >= httpx.codes.INTERNAL_SERVER_ERROR


def _unexplained_fault(reply: Reply) -> bool:
    """Tell of a fault in the middle of nobody knows what. A 503 that says when to come back turns a change away."""
    away = reply.status == httpx.codes.SERVICE_UNAVAILABLE and "retry-after" in reply.headers
    return _own_fault(reply) and not away


def _problem_type(reply: Reply) -> str:
    """Return the last part of the type of a problem, which may be a whole URI; "" where the body is no problem."""
    try:
        named = reply.json().get("type")
    except BadAnswer:
        return ""
    return re.split("[/:#]", named)[-1] if isinstance(named, str) else ""


def _no_connection(error: httpx.ConnectError) -> Unavailable:
    """Tell why there is no connection: name, certificate, encryption or port. No byte of a request has left."""
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return Unavailable("name_not_found", "no address is known for the host's name", CHECK_PORT)
        if isinstance(cause, ssl.SSLCertVerificationError):
            code = "certificate_expired" if cause.verify_code == CERTIFICATE_EXPIRED else "certificate_not_trusted"
            return Unavailable(code, "the system's certificate is not valid", CHECK_CERTIFICATE)
        if isinstance(cause, ssl.SSLError):
            return Unavailable("tls_failed", "no encrypted connection could be agreed on", CHECK_CERTIFICATE)
    return Unavailable("connection_refused", "the system cannot be reached", CHECK_PORT)


def _causes(error: BaseException) -> Iterable[BaseException]:
    """Yield an error and what it came from."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def retry_after(header: str | None, now: datetime, longest: timedelta) -> timedelta | None:
    """Return how long a `Retry-After` header asks to wait: seconds or an HTTP date (RFC 9110, 10.2.3).

    At most `longest`; None for what is neither. A date names a whole second, which is waited out.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=int(text.lstrip("0")[:9] or "0")), longest)
    try:
        at = parsedate_to_datetime(text)
        asked = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
    except (ValueError, OverflowError):
        return None
    return min(asked + timedelta(seconds=1), longest) if asked > timedelta() else timedelta()


def _read(response: httpx.Response) -> bytes:
    chunks, size = [], 0
    for chunk in response.iter_bytes():
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_BYTES:
            raise BadAnswer("too_large", f"an answer of more than {MAX_BYTES} bytes", ASK_VENDOR)
    return b"".join(chunks)


class _Backend(httpcore.SyncBackend):
    """Opens connections on which nothing outlasts the attempt that it serves, headers that drip included."""

    def __init__(self, left: Callable[[], float]) -> None:
        self._left = left

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect, within what is left of the attempt."""
        return _Stream(super().connect_tcp(host, port, timeout, local_address, socket_options), self._left)


class _Stream(httpcore.NetworkStream):
    """A connection whose every wait ends with the attempt. httpx bounds each wait, and a drip is a wait a byte."""

    def __init__(self, stream: httpcore.NetworkStream, left: Callable[[], float]) -> None:
        self._stream = stream
        self._left = left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what comes."""
        left = self._left()
        if left <= 0:
            raise httpcore.ReadTimeout("total time passed")
        return self._stream.read(max_bytes, left if timeout is None else min(timeout, left))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of it."""
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        """Close it."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Go on encrypted."""
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout), self._left)

    def get_extra_info(self, info: str) -> object:
        """Tell what httpcore asks of the socket."""
        return self._stream.get_extra_info(info)
