"""One process of the hub: what its environment tells it besides the configuration, its name in leases, its memory."""

from __future__ import annotations

import gc
import os
import socket
from pathlib import Path
from secrets import token_hex
from typing import Literal

from pydantic_settings import BaseSettings, SettingsConfigDict


class Process(BaseSettings):
    """Variables STAFETTHUB_LOG_LEVEL, which outranks hub.yaml, and STAFETTHUB_SANDBOX_KEY, a sandbox's key file."""

    model_config = SettingsConfigDict(env_prefix="STAFETTHUB_", frozen=True, hide_input_in_errors=True)

    log_level: Literal["debug", "info", "warning", "error"] | None = None
    sandbox_key: Path | None = None

    def sandbox_proof(self) -> bytes | None:
        """Return the key that a sandbox proves itself with, where one is named and readable."""
        if self.sandbox_key is None or not self.sandbox_key.is_file():
            return None
        return bytes.fromhex(self.sandbox_key.read_text("ascii"))


def collect_seldom() -> None:
    """Have Python look for unreachable cycles at every 10,000 new values, and not at every 700.

    A page of records is tens of thousands of values that live until it is stored and then go by themselves: looking
    through them for cycles over and over took an eighth of what a new record costs. Memory stays where it was.
    """
    gc.set_threshold(10_000)


def owner() -> str:
    """Name this start of this process in leases: numbers of processes come again, in containers at once."""
    return f"{socket.gethostname()[:80]}.{os.getpid()}.{token_hex(6)}"
