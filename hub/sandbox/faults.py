"""Faults that a simulated system can be told to have on its list of relay logs, each seen at a real vendor.

`html` is an error page with status 200, `empty` a well-formed list without a single record, `truncated` a body cut in
half, `status` an error status with or without Retry-After.
"""

from dataclasses import dataclass
from threading import Lock
from typing import Literal

from fastapi import Response
from pydantic import BaseModel, Field

_HTML = "<!doctype html><title>Vedlikehald</title><p>Systemet er oppe att om litt.</p>"


class Fault(BaseModel):
    """What to do wrong. `page` counts from 0, None means any page; `times` is how many answers it spoils.

    `retry_after` is sent as it stands, so both forms (seconds and HTTP date) can be tried.
    """

    kind: Literal["html", "empty", "truncated", "status"]
    status: int = Field(default=503, ge=400, le=599)
    page: int | None = None
    times: int = Field(default=1, ge=1)
    retry_after: int | str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A list's answer before anything goes wrong: its body, the body of an empty list, and its media type."""

    body: bytes
    empty: bytes
    media_type: str


class Faults:
    """The faults switched on and not yet used up. Safe to use from several threads."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self._lock = Lock()

    def switch_on(self, fault: Fault) -> None:
        """Add a fault; several wait in line."""
        with self._lock:
            self._waiting.append(fault)

    def switch_off(self) -> None:
        """Let everything work again."""
        with self._lock:
            self._waiting.clear()

    def answer(self, number: int, page: Page) -> Response:
        """Give the answer for page `number`, spoiled by the first fault that fits."""
        fault = self._take(number)
        if fault is None:
            return Response(page.body, media_type=page.media_type)
        if fault.kind == "html":
            return Response(_HTML, media_type="text/html")
        if fault.kind == "empty":
            return Response(page.empty, media_type=page.media_type)
        if fault.kind == "truncated":
            return Response(page.body[: len(page.body) // 2], media_type=page.media_type)
        headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after is not None else {}
        return Response("Service Unavailable", fault.status, headers, media_type="text/plain")

    def _take(self, number: int) -> Fault | None:
        with self._lock:
            for index, fault in enumerate(self._waiting):
                if fault.page in (None, number):
                    left = fault.times - 1
                    self._waiting[index : index + 1] = [fault.model_copy(update={"times": left})] if left else []
                    return fault
        return None
