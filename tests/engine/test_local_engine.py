"""The local engine's own line: a row waits in it once."""

from __future__ import annotations

from threading import Event

from hub.engine.local import LocalEngine
from hub.engine.port import Engine, Task
from hub.store.database import Database
from tests.engine.runrows import RunRows, now, until

STORES = ["sqlite"]


def test_a_row_waits_in_line_once(db: Database) -> None:
    """Asking for a row again while it waits does not make it wait twice, and afterwards it may be asked for again."""
    entered, go_on = Event(), Event()
    calls: list[str] = []

    class Slow(RunRows):
        def work(self, task: Task, stopping: Event) -> None:  # noqa: ARG002 - the port's signature
            calls.append(task.row_id)
            entered.set()
            go_on.wait(5)

    engine: Engine = LocalEngine(Slow(db, lambda _row, _stopping: None), {}, clock=now, workers=1)
    engine.start()
    engine.enqueue("run", "first")
    assert entered.wait(5)
    for _ in range(3):
        engine.enqueue("run", "second")
    engine.enqueue("run", "last")
    go_on.set()
    until(lambda: calls[-1] == "last")
    engine.stop()
    assert calls == ["first", "second", "last"]
