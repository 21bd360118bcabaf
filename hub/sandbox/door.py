"""What both simulated systems share at their door: credentials, tokens, refusals, and the sandbox's own endpoints.

The endpoints under `/_sandbox/` belong to no vendor. They let a test or the demo see what was received, let the
systems' own users edit, switch on faults, and fetch the proof that this is a sandbox.
"""

import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, FastAPI, Request, Response
from pydantic import BaseModel, Field

from hub.sandbox.case import Json
from hub.sandbox.edits import Editor, Words
from hub.sandbox.faults import Fault, Faults
from hub.sandbox.proof import issue_proof
from hub.sandbox.world import World

Clock = Callable[[], datetime]
"""Gives the present instant, aware, in UTC."""


class Refused(Exception):
    """The request is answered with this status and JSON body. The body names places, never values."""

    def __init__(self, status: int, body: Json, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"refused with {status}")
        self.status = status
        self.body = body
        self.headers = headers or {}


@dataclass(frozen=True, slots=True)
class Door:
    """Where a simulator answers and what opens it. `base_url` has no trailing slash."""

    base_url: str
    client_id: str
    client_secret: str = field(repr=False)
    proof_key: bytes = field(repr=False)

    def opened_by(self, client_id: str, client_secret: str) -> bool:
        """Tell whether these are the client's credentials."""
        same_id = hmac.compare_digest(self.client_id.encode(), client_id.encode())
        return hmac.compare_digest(self.client_secret.encode(), client_secret.encode()) and same_id


@dataclass
class Tokens:
    """Bearer tokens given out, with their scopes and end."""

    clock: Clock
    lifetime: timedelta
    given: dict[str, tuple[frozenset[str], datetime]] = field(default_factory=dict)

    def issue(self, scopes: frozenset[str]) -> Json:
        """Give a token and the answer that carries it."""
        token = secrets.token_urlsafe(24)
        self.given[token] = (scopes, self.clock() + self.lifetime)
        return {
            "access_token": token,
            "expires_in": int(self.lifetime.total_seconds()),
            "token_type": "Bearer",
            "scope": " ".join(sorted(scopes)),
        }

    def scopes(self, request: Request) -> frozenset[str]:
        """Give the scopes of the request's token. Raises `Refused` with 401 without a living one."""
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        scopes, end = self.given.get(token, (frozenset(), None))
        if kind.lower() != "bearer" or end is None or end <= self.clock():
            raise Refused(401, {"error": "invalid_token"}, {"WWW-Authenticate": 'Bearer error="invalid_token"'})
        return scopes


async def read_body(request: Request) -> bytes:
    """Read a request's body; the one step that has to wait for the network."""
    return await request.body()


Body = Annotated[bytes, Depends(read_body)]


def read_form(request: Request, body: bytes) -> dict[str, str]:
    """Read a form-encoded body; anything else is an empty form."""
    if not request.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
        return {}
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def read_object(body: bytes) -> Json | None:
    """Read a JSON object, None for anything else."""
    try:
        value = json.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def encoded(value: object) -> bytes:
    """Write JSON as UTF-8."""
    return json.dumps(value, ensure_ascii=False).encode()


class EditRequest(BaseModel):
    """How many logs the system's own users edit, and the seed that decides which and how."""

    count: int = Field(ge=1)
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Backstage:
    """The sandbox's own endpoints on one simulated system."""

    system: str
    records: dict[str, Json]
    words: Words
    world: World
    clock: Clock
    door: Door
    faults: Faults

    def received(self) -> Json:
        """List the writes this system accepted, oldest first."""
        with self.world.lock:
            return {
                "received": [
                    {
                        "system": entry.system,
                        "recordId": entry.record_id,
                        "body": entry.body,
                        "idempotencyKey": entry.idempotency_key,
                        "at": entry.at,
                    }
                    for entry in self.world.received
                    if entry.system == self.system
                ]
            }

    def edit(self, wanted: EditRequest) -> Json:
        """Let the system's own users edit some logs."""
        with self.world.lock:
            editor = Editor(self.words, wanted.seed, self.clock(), self.world.next_number)
            broken = {record for tale in self.world.told("broken") for record in (*tale.vigilo, *tale.samspill)}
            whole = {record_id: record for record_id, record in self.records.items() if record_id not in broken}
            edited = editor.edit(whole, wanted.count)
            self.world.keep()
            return {"edited": edited}

    def fault(self, fault: Fault) -> Response:
        """Switch on a fault on the list of logs."""
        self.faults.switch_on(fault)
        return Response(status_code=204)

    def mended(self) -> Response:
        """Switch all faults off."""
        self.faults.switch_off()
        return Response(status_code=204)

    def token(self) -> Json:
        """Prove that this address is a sandbox's."""
        return {"token": issue_proof(self.door.proof_key, self.door.base_url)}


def open_app(title: str, backstage: Backstage) -> FastAPI:
    """Make an app that answers refusals and the sandbox's own endpoints; the system adds its own."""
    app = FastAPI(title=title, openapi_url=None)

    def refuse(_request: Request, refused: Exception) -> Response:
        if not isinstance(refused, Refused):
            raise refused
        return Response(encoded(refused.body), refused.status, refused.headers, media_type="application/json")

    app.add_exception_handler(Refused, refuse)
    app.add_api_route("/_sandbox/received", backstage.received, methods=["GET"])
    app.add_api_route("/_sandbox/edit", backstage.edit, methods=["POST"])
    app.add_api_route("/_sandbox/fault", backstage.fault, methods=["POST"], response_model=None)
    app.add_api_route("/_sandbox/fault", backstage.mended, methods=["DELETE"], response_model=None)
    app.add_api_route("/_sandbox/token", backstage.token, methods=["GET"])
    return app
