"""The services that exchange files at work: they pick up what the hub sent, and drop what has changed."""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from random import Random
from threading import Event, Thread

from hub.payloads.base import PayloadError
from hub.sandbox.door import Clock
from hub.sandbox.filesystems import FILE_SYSTEMS, FileSystem
from hub.sandbox.proof import PROOF_FILE, issue_proof
from hub.sandbox.world import World, file_key

BOXES = ("in", "out", "done", "failed")
REJECTED = "rejected"
"""The folder in `out/` where a service leaves what is none of its records."""

_QUIET = timedelta(minutes=5)
"""How long a file has been left alone when it reaches `in/`: a system writes its export elsewhere and moves it."""


def open_folders(root: Path, key: bytes) -> None:
    """Make each system's folder with its boxes and the proof that a sandbox made it."""
    for system in FILE_SYSTEMS:
        folder = root / system
        for box in BOXES:
            (folder / box).mkdir(parents=True, exist_ok=True)
        (folder / PROOF_FILE).write_text(issue_proof(key, str(folder)), encoding="ascii")


class FileServices:
    """All services on their folders under `root`, on the records that the world holds for them."""

    def __init__(self, world: World, root: Path, clock: Clock) -> None:
        self._world = world
        self._root = root
        self._clock = clock

    def act(self) -> None:
        """Let each service pick up what lies in `out/`, and drop what has changed since its last drop in `in/`."""
        with self._world.lock:
            for name, system in FILE_SYSTEMS.items():
                for path in self._sent(name):
                    self._pick_up(name, system, path)
                self._drop(name, system)

    @contextmanager
    def at_work(self, every: float) -> Iterator[None]:
        """Act every so many seconds in a thread of its own, until the end of the block."""
        ended = Event()

        def work() -> None:
            self.act()
            while not ended.wait(every):
                self.act()

        thread = Thread(target=work, name="file services")
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def edit(self, each: int, seed: int) -> int:
        """Let users change so many records in each system that has users who do; return how many were changed."""
        edited = 0
        with self._world.lock:
            for name, system in FILE_SYSTEMS.items():
                rng = Random(f"{seed}/{name}")
                keys = sorted(key for key, held in self._world.files.items() if held["system"] == name)
                rng.shuffle(keys)
                left = each
                for key in keys:
                    if left and self._edited(system, key, rng):
                        left -= 1
                        edited += 1
        return edited

    def _edited(self, system: FileSystem, key: str, rng: Random) -> bool:
        held = self._world.files[key]
        if system.edit is None or not held["record"]:
            return False
        data = b64decode(held["data"])
        tree, now = system.format.decode(data), self._clock()
        if not system.edit(tree, rng, now, self._world.next_number()):
            return False
        self._keep(key, system.saved(data, tree, now))
        return True

    def _sent(self, name: str) -> list[Path]:
        """Return what the hub put out, the oldest first; what begins with a dot is not whole."""
        found = [path for path in (self._root / name / "out").iterdir() if path.is_file() and path.name[0] != "."]
        return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))

    def _pick_up(self, name: str, system: FileSystem, path: Path) -> None:
        """Replace the service's own record by a file, if it is one; the file is gone only when that is on disk."""
        world, now = self._world, self._clock()
        data = path.read_bytes()
        record_id = _record_id(system, data)
        key = file_key(name, record_id)
        if key not in world.files:
            box = path.parent / REJECTED
            box.mkdir(exist_ok=True)
            path.replace(box / path.name)
            return
        if not any(taken.system == name and taken.idempotency_key == path.stem for taken in world.received):
            world.accept(name, record_id, system.format.decode(data), path.stem, now)
            self._keep(key, system.saved(data, system.format.decode(data), now))
        path.unlink()

    def _keep(self, key: str, data: bytes) -> None:
        self._world.files[key] |= {"data": b64encode(data).decode("ascii"), "waiting": True}
        self._world.keep(("files", key))

    def _drop(self, name: str, system: FileSystem) -> None:
        """Export every record that waits: one file each, or all in one. What a crash drops twice is the same twice."""
        held = self._world.files
        waiting = [key for key, record in held.items() if record["system"] == name and record["waiting"]]
        exports = [b64decode(held[key]["data"]) for key in waiting]
        for data in [system.bundle(exports)] if system.bundle and exports else exports:
            self._put(self._root / name / "in" / f"{name}-{self._world.next_number()}{system.suffix}", data)
        for key in waiting:
            held[key]["waiting"] = False
        if waiting:
            self._world.keep(*(("files", key) for key in waiting))

    def _put(self, path: Path, data: bytes) -> None:
        """Move a file to its place whole."""
        draft, at = path.with_name(f".{path.name}.part"), (self._clock() - _QUIET).timestamp()
        draft.write_bytes(data)
        os.utime(draft, (at, at))
        draft.replace(path)


def _record_id(system: FileSystem, data: bytes) -> str:
    """Return the id of the record that a file holds, "" for what the system cannot read."""
    try:
        return system.record_id(system.format.decode(data))
    except PayloadError:
        return ""
