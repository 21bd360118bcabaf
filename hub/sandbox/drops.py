"""Simulated systems that can only export files: each drops its records into a folder and picks up what comes back.

What they drop are the synthetic records that stand beside the shipped templates, as bytes: nothing here reads them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from hub.sandbox.proof import PROOF_FILE, issue_proof

RECORDS = Path(__file__).parent.parent / "mappings" / "templates" / "samples"
SYSTEMS = {
    "profil": ".xml",
    "familia": ".xml",
    "infodoc": ".xml",
    "hkoppvekst": ".zip",
    "barnevern": ".json",
    "compilo": ".docx",
    "papirskjema": ".pdf",
}
"""The systems by the name of their connection, with the ending of their files."""

BOXES = ("in", "out", "done", "failed")
_DROPPED = ".dropped"
_QUIET = timedelta(minutes=5)


def exports(system: str) -> list[Path]:
    """Return the records that a system exports: whole, synthetic, and never a blank form."""
    ending = SYSTEMS[system]
    found = sorted(RECORDS.glob(f"{system}-*{ending}"))
    return [path for path in found if not path.name.endswith(".relaylog.json") and "-tom" not in path.stem]


def open_folders(root: Path, key: bytes, now: datetime) -> None:
    """Make each system's folder with its proof, and let each drop its records once."""
    for system in SYSTEMS:
        folder = root / system
        for box in BOXES:
            (folder / box).mkdir(parents=True, exist_ok=True)
        (folder / PROOF_FILE).write_text(issue_proof(key, str(folder)), encoding="ascii")
        if not (folder / _DROPPED).exists():
            _drop(exports(system), folder / "in", now - _QUIET)
            (folder / _DROPPED).touch()


def _drop(records: Iterable[Path], box: Path, at: datetime) -> None:
    for path in records:
        put = box / path.name
        shutil.copyfile(path, put)
        os.utime(put, (at.timestamp(), at.timestamp()))
