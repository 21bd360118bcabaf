"""The one place that speaks HTTP: bounded attempts, tokens, and every failure as an error by what to do about it.

An attempt is bounded in total time, also against an answer that drips. One call is retried for seconds; later tries
belong to the row that asked. Nothing of a body reaches an error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from ssl import SSLContext
from threading import Lock, local

import httpcore
import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from hub.connectors.base import (
    BadAnswer,
    ConnectorError,
    Misconfigured,
    OutcomeUnknown,
    Refused,
    Stale,
    Tree,
    Unavailable,
)

MAX_BYTES = 64 * 1024 * 1024
LONGEST_WAIT_IN_CALL = timedelta(seconds=20)
LONGEST_PEACE = timedelta(days=7)
MARGIN = timedelta(seconds=10)
LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Limits:
    """How long one attempt may take, in seconds, and how often a call is tried."""

    connect: float = 5.0
    read: float = 30.0
    total: float = 60.0
    attempts: int = 3


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
        reply = http.attempt("POST", self.token_url, form={**form, **self.extra})
        if reply.status in (400, 401, 403):
            raise Misconfigured("token_refused", f"the token endpoint answered HTTP {reply.status}", CHECK_CLIENT)
        if reply.status != httpx.codes.OK:
            raise _by_status(reply, http.clock.now())
        answer = reply.json()
        token, seconds = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not isinstance(seconds, int | float):
            raise BadAnswer(
                "no_token", "the token endpoint answered without access_token and expires_in", CHECK_ADDRESS
            )
        self._token = token
        self._until = http.clock.now() + timedelta(seconds=seconds) - MARGIN


class Http:
    """A client of one system: its address, its tokens, its limits."""

    def __init__(self, base_url: str, auth: ClientCredentials | None, limits: Limits, clock: Clock) -> None:
        self.clock = clock
        self._base = base_url.rstrip("/")
        self._auth = auth
        self._limits = limits
        self._attempt = local()
        transport = httpx.HTTPTransport(trust_env=False)
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

    def send(self, method: str, path: str, body: Tree, headers: Mapping[str, str]) -> Reply:
        """Send a change that carries its own idempotency key, with retries.

        Raises OutcomeUnknown when the last attempt may have been taken in.
        """
        return self._retried(method, path, body=body, headers=headers)

    def check_token(self) -> None:
        """Ask for a token and nothing else."""
        if self._auth:
            self._auth.header(self)

    def attempt(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Tree | None = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Make one attempt, bounded in total time. Raises Unavailable, OutcomeUnknown or BadAnswer, never by status."""
        url = path if path.startswith(("http://", "https://")) else f"{self._base}{path}"
        sending = method != "GET" and form is None
        self._attempt.ends = self.clock.monotonic() + self._limits.total
        try:
            with self._client.stream(
                method, url, params=params, json=body, data=dict(form) if form else None, headers=headers
            ) as response:
                return Reply(response.status_code, response.headers, _read(response))
        except httpx.ConnectTimeout:
            raise Unavailable("connect_timeout", "no connection within the time limit", CHECK_PORT) from None
        except httpx.ConnectError:
            raise Unavailable("connection_refused", "the system cannot be reached", CHECK_PORT) from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise Misconfigured("bad_address", "the address is not a web address", CHECK_ADDRESS) from None
        except httpx.DecodingError:
            if sending:
                raise OutcomeUnknown("broken_encoding", "the answer to a change can't be unpacked", LOOK_UP) from None
            raise BadAnswer("broken_encoding", "an answer that can't be unpacked", ASK_VENDOR) from None
        except httpx.TransportError as error:
            code = "read_timeout" if isinstance(error, httpx.TimeoutException) else "connection_lost"
            if sending:
                raise OutcomeUnknown(code, "the answer to a change was lost", LOOK_UP) from None
            raise Unavailable(code, "the connection broke before the answer was complete", ASK_VENDOR) from None

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
    ) -> Reply:
        retrying = Retrying(
            retry=retry_if_exception(_worth_waiting),
            stop=stop_after_attempt(self._limits.attempts),
            wait=_wait,
            sleep=self.clock.sleep,
            reraise=True,
        )
        unknown: OutcomeUnknown | None = None
        try:
            for attempt in retrying:
                with attempt:
                    try:
                        return self._authorized(method, path, params=params, body=body, headers=headers)
                    except OutcomeUnknown as error:
                        unknown = error
                        raise
        except Refused:
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
        params: Mapping[str, str] | None,
        body: Tree | None,
        headers: Mapping[str, str] | None,
    ) -> Reply:
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
            if method != "GET" and reply.status in GATEWAY_LOST_IT:
                raise OutcomeUnknown(f"http_{reply.status}", "a gateway lost the answer to a change", LOOK_UP)
            raise _by_status(reply, self.clock.now())
        raise AssertionError("unreachable: the second answer is returned or raised")  # pragma: no cover


GATEWAY_LOST_IT = frozenset({502, 504})
"""What a gateway says when it has handed a request on and got no answer: the change may have been taken in."""

CHECK_PORT = "Check base_url and token_url, that the system runs, and that the firewall lets the hub through"


def _worth_waiting(error: BaseException) -> bool:
    """A call waits for seconds; a system that asks for more peace is left to the row that asked."""
    if isinstance(error, Unavailable):
        return (error.retry_after or timedelta()) <= LONGEST_WAIT_IN_CALL
    return isinstance(error, OutcomeUnknown)


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


def _by_status(reply: Reply, now: datetime) -> ConnectorError:
    """Turn a status into the error that says what to do."""
    status, what = reply.status, f"the system answered HTTP {reply.status}"
    if status in (401, 403):
        return Misconfigured("unauthorized", what, CHECK_CLIENT)
    if status in (409, 412):
        return Stale("stale", what, "The hub reads the record again and merges")
    if status == httpx.codes.NOT_FOUND:
        return Misconfigured("not_found", what, CHECK_ADDRESS)
    if status in (408, 425, 429) or status >= 500:
        return Unavailable(f"http_{status}", what, ASK_VENDOR, retry_after(reply.headers.get("retry-after"), now))
    return Refused(f"http_{status}", what, "A person looks at the record and the mapping; it is not sent again")


def retry_after(header: str | None, now: datetime) -> timedelta | None:
    """Return how long a `Retry-After` header asks to wait: seconds or an HTTP date (RFC 9110, 10.2.3).

    At most `LONGEST_PEACE`; None for what is neither.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=int(text.lstrip("0")[:9] or "0")), LONGEST_PEACE)
    try:
        at = parsedate_to_datetime(text)
        asked = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
    except (ValueError, OverflowError):
        return None
    return min(max(asked, timedelta()), LONGEST_PEACE)


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
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Go on encrypted."""
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout), self._left)

    def get_extra_info(self, info: str) -> object:
        """Tell what httpcore asks of the socket."""
        return self._stream.get_extra_info(info)
