"""What one process of the hub is told by its environment, besides the configuration folder."""

from __future__ import annotations

from pathlib import Path
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
