"""The one place that speaks HTTP: bounded attempts, tokens, and every failure as an error by what to do about it.

An attempt is bounded in total time, also against an answer that drips. One call is retried for seconds; later tries
belong to the row that asked. Nothing of a body reaches an error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from threading import Lock

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
        timeout = httpx.Timeout(limits.read, connect=limits.connect)
        self._client = httpx.Client(timeout=timeout, follow_redirects=False, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Reply:
        """Read, with retries. Raises ConnectorError for every status but 2xx and 3xx."""
        return self._retried("GET", path, params=params)

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
        deadline = self.clock.monotonic() + self._limits.total
        try:
            with self._client.stream(
                method, url, params=params, json=body, data=dict(form) if form else None, headers=headers
            ) as response:
                return Reply(response.status_code, response.headers, self._read(response, deadline))
        except httpx.ConnectTimeout:
            raise Unavailable("connect_timeout", "no connection within the time limit", CHECK_PORT) from None
        except httpx.ConnectError:
            raise Unavailable("connection_refused", "the system cannot be reached", CHECK_PORT) from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise Misconfigured("bad_address", "the address is not a web address", CHECK_ADDRESS) from None
        except httpx.TransportError as error:
            code = "read_timeout" if isinstance(error, httpx.TimeoutException) else "connection_lost"
            if sending:
                raise OutcomeUnknown(code, "the answer to a change was lost", "The hub looks it up") from None
            raise Unavailable(code, "the connection broke before the answer was complete", ASK_VENDOR) from None

    def _read(self, response: httpx.Response, deadline: float) -> bytes:
        chunks, size = [], 0
        for chunk in response.iter_bytes():
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_BYTES:
                raise BadAnswer("too_large", f"an answer of more than {MAX_BYTES} bytes", ASK_VENDOR)
            if self.clock.monotonic() > deadline:
                raise httpx.ReadTimeout("total time passed", request=response.request)
        return b"".join(chunks)

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
        for attempt in retrying:
            with attempt:
                try:
                    return self._authorized(method, path, params=params, body=body, headers=headers)
                except OutcomeUnknown as error:
                    unknown = error
                    raise
                except Unavailable as error:
                    if unknown:
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
        for last in (False, True):
            token = self._auth.header(self) if self._auth else {}
            reply = self.attempt(method, path, params=params, body=body, headers={**(headers or {}), **token})
            if reply.status == httpx.codes.UNAUTHORIZED and self._auth and not last:
                self._auth.forget()
                continue
            if reply.status < 400:
                return reply
            raise _by_status(reply, self.clock.now())
        raise AssertionError("unreachable: the second answer is returned or raised")  # pragma: no cover


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
    """Return how long a `Retry-After` header asks to wait: seconds or an HTTP date (RFC 9110, 10.2.3)."""
    if not header:
        return None
    if header.strip().isdigit():
        return timedelta(seconds=int(header))
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(at.astimezone(UTC) - now, timedelta())
