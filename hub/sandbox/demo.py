"""The demo: sandbox and hub beside each other, the whole way of every log, and a summary that anybody can read.

State and packages are kept in one folder, so that a second run shows what a hub does when nothing has changed.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import httpx
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from hub.bootstrap import Hub, check_assumptions, open_hub, read_settings, system_clock
from hub.commands.console import console, show_asked, show_held, table
from hub.operate.logging import configure_logging
from hub.operate.report import InboxItem, Reports, TenantStatus
from hub.sandbox.environment import FILES, environment
from hub.sandbox.fileservices import FileServices
from hub.sandbox.municipality import MUNICIPALITY_NAME, MUNICIPALITY_ORGNR
from hub.sandbox.server import Sandbox, open_key, open_world
from hub.sandbox.world import World
from hub.service.sync import sync_now
from hub.sync.context import OSLO
from hub.sync.cycle import CycleResult

STEPS = {"pull": "Leser", "route": "Avgjør hva som kan deles", "deliver": "Sender", "archive": "Arkiverer"}


@dataclass(frozen=True)
class Demo:
    """What was asked for: folder, configuration, the children, edits to make first, where the summary and page go."""

    folder: Path
    config: Path
    children: int
    seed: int
    edit: int
    json_file: Path | None
    serve: bool
    port: int


class DemoFailed(Exception):
    """The demo could not do what it shows. Says what to do."""


def run_demo(demo: Demo) -> None:
    """Run the demo and print its summary. Raises DemoFailed when a connection failed."""
    began, clock = time.monotonic(), system_clock()
    today = clock.now().astimezone(OSLO).date()
    folder = demo.folder.resolve()
    with Sandbox(
        open_world(folder / "sandbox", demo.children, demo.seed, today), open_key(folder / "sandbox")
    ) as sandbox:
        settings = read_settings(demo.config, environment(sandbox, folder))
        services = FileServices(sandbox.world, folder / FILES, clock.now)
        services.act()
        if demo.edit:
            _edit(sandbox, services, demo.edit, clock.now())
        configure_logging(settings.environment, "warning", sys.stderr)
        with open_hub(settings, clock) as hub:
            for tenant in settings.tenants:
                check_assumptions(tenant.connections, clock, sandbox.proof_key)
            result = _synced(hub)
            services.act()
            result = _with_echo(result, _synced(hub))
            services.act()
            reports = Reports(hub.db)
            status = reports.status(MUNICIPALITY_ORGNR, hub.tenants[MUNICIPALITY_ORGNR].connections, clock.now())
            status = replace(status, held=reports.held(MUNICIPALITY_ORGNR))  # the children are invented
            packages = _packages(hub, result)
            summary = {
                **_summary(result, status, _asked(reports.inbox(MUNICIPALITY_ORGNR)), packages),
                "stories": _stories(sandbox.world, reports),
                "seconds": round(time.monotonic() - began, 1),
                "peak_mib": _peak(),
            }
            _show(summary, folder)
            if demo.json_file:
                demo.json_file.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
            if failed := {name: pulled for name, pulled in result.pulls.items() if pulled.error}:
                raise DemoFailed(
                    "; ".join(f"{name}: {pulled.error}: {pulled.remedy}" for name, pulled in failed.items())
                )
            if demo.serve:
                from hub.web.server import serve_status

                serve_status(hub, demo.port)


def _edit(sandbox: Sandbox, services: FileServices, count: int, now: datetime) -> None:
    """Let the users of the simulated systems change so many logs: some in files, the rest half in each other system."""
    seed = int(now.timestamp())
    left = count - services.edit(count // 10, seed)
    services.act()
    half = left // 2
    shares: Mapping[str, int] = {"vigilo": left - half, "samspill": half}
    for name, share in shares.items():
        httpx.post(f"{sandbox.urls[name]}/_sandbox/edit", json={"count": share, "seed": seed}).raise_for_status()


def _synced(hub: Hub) -> CycleResult:
    with _progress() as progress:
        for _, result in sync_now(hub, progress=progress):
            return result
    raise DemoFailed("The configuration has no tenant; restore config/ as it was shipped")


def _with_echo(result: CycleResult, echo: CycleResult) -> CycleResult:
    """Add what a second round did to the first: it reads what the services have taken in and dropped again."""
    sent = {name: result.sent.get(name, 0) + echo.sent.get(name, 0) for name in result.sent.keys() | echo.sent.keys()}
    pulls = {name: echo.pulls[name] if echo.pulls[name].error else pulled for name, pulled in result.pulls.items()}
    return replace(result, sent=sent, pulls=pulls, archived=[*result.archived, *echo.archived])


@contextmanager
def _progress() -> Iterator[_Shown]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Shown(progress)


class _Shown:
    """Progress as bars, one for each step."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, step: str, done: int, total: int) -> None:
        """Show how far a step is; 0 of 0 is a step whose length nobody knows."""
        if step not in self._tasks:
            verb, _, what = step.partition(" ")
            words = f"{STEPS[verb]} {what.rpartition('/')[2]}".strip()
            self._tasks[step] = self._progress.add_task(words, total=total or None)
        self._progress.update(self._tasks[step], completed=done, total=total or None)


def _packages(hub: Hub, result: CycleResult) -> list[str]:
    """Return the folders of the packages that this run archived."""
    archive = next(
        tenant.archive for tenant in hub.settings.tenants if tenant.organisation_number == MUNICIPALITY_ORGNR
    )
    if archive is None:
        return []
    wanted = set(result.archived)
    root = archive.folder / MUNICIPALITY_ORGNR
    return sorted(str(path) for path in root.glob("*/*") if path.name in wanted)


def _asked(inbox: Iterable[InboxItem]) -> dict[str, int]:
    """Count what waits for people beside what is held: proposals and tasks by what they are about, the rest by kind."""
    told = ("proposal", "task", "quarantine")
    asked = Counter(f"{item.kind}: {item.reason}" if item.kind in told else item.kind for item in inbox)
    return {what: asked[what] for what in sorted(asked) if what != "hold"}


def _stories(world: World, reports: Reports) -> dict[str, dict[str, int]]:
    """Count by story its children, and what became of their logs: what stops one is told by its rule."""
    logs, of_record = reports.of_logs(MUNICIPALITY_ORGNR), reports.records_of(MUNICIPALITY_ORGNR)
    stories: dict[str, Counter[str]] = {}
    for tale in world.tales:
        named = [("vigilo", each) for each in tale.vigilo] + [("samspill", each) for each in tale.samspill]
        named += [(system, each) for system, _, each in (key.partition("/") for key in tale.files)]
        found = {of_record.get((f"{MUNICIPALITY_ORGNR}/{system}", record)) for system, record in named}
        counted = stories.setdefault(tale.story, Counter())
        counted["children"] += 1
        counted.update(what for log_id in found if log_id for what in logs[log_id])
        counted["in quarantine"] += None in found
    return {story: dict(sorted((+stories[story]).items())) for story in sorted(stories)}


def _summary(
    result: CycleResult, status: TenantStatus, asked: dict[str, int], packages: list[str]
) -> dict[str, object]:
    systems = {}
    for each in status.connections:
        pulled = result.pulls[each.connection]
        counts = {name: pulled.counts.get(name, 0) for name in ("read", "new", "changed")}
        systems[each.connection.rpartition("/")[2]] = {
            **counts,
            "sent": result.sent.get(each.connection, 0),
            "held": each.held,
            "quarantined": each.quarantined,
            "conflicts": each.conflicts,
            "failed": each.failed + each.unknown,
        }
    return {
        "systems": systems,
        "held": status.held,
        "asked": asked,
        "archived": len(result.archived),
        "packages": packages,
        "logs": status.logs,
        "archived_in_all": status.archived,
    }


def _peak() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def _show(summary: dict[str, object], folder: Path) -> None:
    systems, held, asked = summary["systems"], summary["held"], summary["asked"]
    assert isinstance(systems, dict)  # noqa: S101 - what _summary made
    assert isinstance(held, dict)  # noqa: S101
    assert isinstance(asked, dict)  # noqa: S101
    columns = ("system", "read", "new", "changed", "sent", "held", "quarantined", "conflicts", "failed")
    made = table(f"{MUNICIPALITY_NAME}: {summary['logs']} logs", *columns)
    for name, counts in systems.items():
        made.add_row(name, *(str(counts[column]) for column in columns[1:]))
    console.print(made)
    _show_stories(summary["stories"])
    show_held(held)
    show_asked(asked)
    console.print(
        f"Archived now: {summary['archived']}, in all {summary['archived_in_all']}. Packages: {folder / 'arkiv'}"
    )
    console.print(
        f"{summary['seconds']} s, at most {summary['peak_mib']} MiB. Run it again: nothing is sent or archived twice."
    )


def _show_stories(stories: object) -> None:
    assert isinstance(stories, dict)  # noqa: S101 - what _stories made
    made = table("What became of each story", "story", "children")
    made.add_column("of their logs")
    for story, counts in stories.items():
        became = ", ".join(f"{number} {what}" for what, number in counts.items() if what != "children")
        made.add_row(story.replace("_", " "), str(counts["children"]), became or "nothing to send")
    console.print(made)
