"""The command line: what municipal IT and the demo use. Heavy rooms are imported when a command needs them."""

from __future__ import annotations

import resource
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from hub.commands.audit import app as audit_app
from hub.commands.baton import app as baton_app
from hub.commands.inbox import app as inbox_app
from hub.commands.keep import backup, restore, wipe
from hub.commands.keys import app as keys_app
from hub.commands.mapping import app as mapping_app
from hub.commands.plan import app as plan_app
from hub.commands.report import app as report_app
from hub.commands.report import document
from hub.commands.rights import app as rights_app
from hub.commands.shared import CONFIG, ConfigOption, WhoOption
from hub.commands.shared import opened as _opened

if TYPE_CHECKING:
    from hub.bootstrap import Hub
    from hub.sync.context import Tenant

app = typer.Typer(
    name="hub",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(inbox_app, name="inbox")
app.add_typer(baton_app, name="baton")
app.add_typer(plan_app, name="plan")
app.add_typer(rights_app, name="rights")
app.add_typer(keys_app, name="keys")
store_app = typer.Typer(help="The database that everything is stored in.", no_args_is_help=True)
app.add_typer(store_app, name="store")
app.add_typer(mapping_app, name="mapping")
app.add_typer(report_app, name="report")
app.add_typer(audit_app, name="audit")
for command in (document, wipe, backup, restore):
    app.command()(command)


def main() -> None:
    """Run the command line. Every known failure is one line that says what to do, and exit code 1."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash leaves no image of keys and opened logs
    try:
        app()
    except Exception as error:  # noqa: BLE001 - what nobody knows is told without its text
        if _known(error):
            _fail(str(error))
        from hub.operate.logging import tell_uncaught

        tell_uncaught(error, sys.stderr)
        sys.exit(1)


def _known(error: Exception) -> bool:
    """Tell whether an error is one of ours, whose text names place and remedy and never a value."""
    return any(kind.__module__.partition(".")[0] == "hub" for kind in type(error).__mro__)


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    sys.exit(1)


def _show_version(asked: bool) -> None:
    if asked:
        from hub import __version__

        typer.echo(f"stafetthub {__version__}")
        raise typer.Exit


@app.callback()
def hub(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Stafetthub: reads relay logs from every system, merges, shares by consent, and archives with proof."""


@app.command()
def demo(
    folder: Annotated[Path, typer.Option("--dir", help="Where all state and the packages are kept.")] = Path(
        "var/demo"
    ),
    config: ConfigOption = CONFIG,
    children: Annotated[int, typer.Option(min=20, max=5000, help="How many synthetic children to make.")] = 200,
    seed: Annotated[int, typer.Option(help="The same seed makes the same children.")] = 1,
    edit: Annotated[int, typer.Option(min=0, help="Let so many logs change in the simulated systems first.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the summary as JSON to this file.")] = None,
    serve: Annotated[bool, typer.Option("--serve", help="Stay up afterwards with a status page.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the status page; 0 takes a free one.")] = 8080,
) -> None:
    """Show the whole way of a relay log: simulated systems, one made-up municipality, one archive."""
    from hub.sandbox.demo import Demo, run_demo

    run_demo(Demo(folder, config, children, seed, edit, json_file, serve, port))


@app.command()
def sandbox(
    folder: Annotated[Path, typer.Option("--dir", help="Where the simulated systems keep their state.")] = Path(
        "var/sandbox"
    ),
    children: Annotated[int, typer.Option(min=20, max=5000, help="How many synthetic children to make.")] = 200,
    seed: Annotated[int, typer.Option(help="The same seed makes the same children.")] = 1,
    vigilo_port: Annotated[int, typer.Option(help="Port of the simulated Vigilo; 0 takes a free one.")] = 0,
    samspill_port: Annotated[int, typer.Option(help="Port of the simulated Samspill; 0 takes a free one.")] = 0,
) -> None:
    """Run the simulated systems until stopped, and write what a hub needs to reach them to a file to source."""
    from hub.sandbox.alone import run_sandbox

    run_sandbox(folder.resolve(), children, seed, (vigilo_port, samspill_port), datetime.now(UTC).date())


@app.command()
def run(
    config: ConfigOption = CONFIG,
    workers: Annotated[int, typer.Option(min=1, max=32, help="How many rows of work to do at once.")] = 2,
) -> None:
    """Run every connection on its schedule until stopped (Ctrl-C or SIGTERM)."""
    from hub.service.serve import serve_until_stopped

    with _opened(config, calls=True) as hub:
        serve_until_stopped(hub, workers)


@app.command()
def scheduler(config: ConfigOption = CONFIG) -> None:
    """Tell workers when work is due, until stopped. On PostgreSQL; any number may run."""
    from hub.service.serve import serve_until_stopped

    with _opened(config) as hub:
        serve_until_stopped(hub, 0)


@app.command()
def worker(
    config: ConfigOption = CONFIG,
    workers: Annotated[int, typer.Option(min=1, max=32, help="How many rows of work to do at once.")] = 2,
) -> None:
    """Do the work that schedulers tell of, until stopped. On PostgreSQL; any number may run, on any machine."""
    from hub.service.serve import serve_until_stopped

    with _opened(config, calls=True) as hub:
        serve_until_stopped(hub, workers, ticks=False)


@app.command()
def web(
    config: ConfigOption = CONFIG,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the status page; 0 takes a free one.")] = 8080,
) -> None:
    """Serve the status page on this computer until stopped."""
    from hub.web.server import serve_status

    with _opened(config) as hub:
        serve_status(hub, port)


@app.command()
def sync(
    connection: Annotated[str, typer.Argument(help="One connection; all where none is named.")] = "",
    config: ConfigOption = CONFIG,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and plan; store and send nothing.")] = False,
    accept_short_listing: Annotated[
        bool,
        typer.Option(
            "--accept-short-listing",
            help="Take the connection's listing for whole, however many logs it lacks: you have found out that they "
            "are gone there. Each is still asked about. Takes --who and --why.",
        ),
    ] = False,
    who: Annotated[str, typer.Option("--who", help="Your user id; it is kept with the decision.")] = "",
    why: Annotated[str, typer.Option("--why", help="Why, in a few words. They are kept sealed.")] = "",
) -> None:
    """Pull now, and send and archive what follows from it."""
    from hub.commands.console import show_cycle
    from hub.service.sync import sync_now
    from hub.store.decisions import Who

    if accept_short_listing and not (connection and who.strip() and why.strip() and not dry_run):
        _fail("--accept-short-listing is about one connection, and takes its name, --who and --why, and no dry run")
    short = Who(who, why) if accept_short_listing else None
    with _opened(config, calls=True) as hub:
        failed = False
        for tenant, result in sync_now(hub, connection, dry_run=dry_run, short=short):
            show_cycle(tenant, result, dry_run=dry_run)
            failed |= any(pulled.error for pulled in result.pulls.values())
        if failed:
            sys.exit(1)


@app.command()
def reconcile(
    connection: Annotated[
        str, typer.Argument(help="One connection; all that list everything where none is named.")
    ] = "",
    config: ConfigOption = CONFIG,
) -> None:
    """Count source, hub and archive beside each other now, as every night. Differences stand in the inbox."""
    from hub.service.sync import reconcile_now

    with _opened(config, calls=True) as hub:
        failed = False
        for name, result in reconcile_now(hub, connection):
            failed |= bool(result.error)
            said = result.remedy if result.error else f"{result.counts['differences']} differences"
            typer.echo(f"{name}: {result.counts['read']} read, {said}")
        if failed:
            sys.exit(1)


@app.command()
def check(
    connection: Annotated[str, typer.Argument(help="One connection; all and the archive where none is named.")] = "",
    config: ConfigOption = CONFIG,
) -> None:
    """Check the configuration, the keys and that every system can be reached with its secrets."""
    from hub.commands.console import show_checks
    from hub.service.check import check_all

    with _opened(config, calls=True) as hub:
        if not show_checks(check_all(hub, connection)):
            sys.exit(1)


@app.command()
def pause(
    connection: Annotated[str, typer.Argument(help="The connection, or <organisation number>/folder for the archive.")],
    who: WhoOption,
    config: ConfigOption = CONFIG,
) -> None:
    """Let no call to a system begin, in any process, until `hub resume`. What is due waits and is not lost."""
    from hub.sync.gate import pause as pause_connection

    with _opened(config) as hub:
        tenant, name = _gated(hub, connection)
        pause_connection(tenant, name, who)
        typer.echo(f"{name} is paused")


@app.command()
def resume(
    connection: Annotated[str, typer.Argument(help="The connection, or <organisation number>/folder for the archive.")],
    who: WhoOption,
    config: ConfigOption = CONFIG,
) -> None:
    """End a pause, and send what was held because the system or the configuration failed."""
    from hub.sync.gate import resume as resume_connection

    with _opened(config) as hub:
        tenant, name = _gated(hub, connection)
        resume_connection(tenant, name, who)
        typer.echo(f"{name} goes on")


def _gated(hub: Hub, name: str) -> tuple[Tenant, str]:
    """Return what may be paused by a name: a connection, or a municipality's archive by its whole name."""
    for tenant in hub.tenants.values():
        if tenant.archive and tenant.archive.id == name:
            return tenant, name
    tenant, found = hub.connection(name)
    return tenant, found.id


@app.command()
def status(
    config: ConfigOption = CONFIG,
    health: Annotated[bool, typer.Option("--health", help="Say nothing; exit 0 if the store answers.")] = False,
) -> None:
    """Show every connection's last run, what was sent, and what waits."""
    from hub.commands.console import show_status
    from hub.operate.report import Reports

    with _opened(config) as hub:
        reports = Reports(hub.db, hub.settings.archive_alarms)
        for number, tenant in hub.tenants.items():
            archive = tenant.archive.id if tenant.archive else ""
            found = reports.status(number, tenant.connections, tenant.now(), archive)
            if not health:
                show_status(tenant.name, found)


@app.command()
def trace(
    subject: Annotated[
        str,
        typer.Argument(
            help="Id of a log, a run, a delivery or of something in the inbox, or CONNECTION/RECORD; "
            "<organisation number>/CONNECTION tells of its pauses."
        ),
    ],
    config: ConfigOption = CONFIG,
) -> None:
    """Tell in order what happened, and why. No one's data is shown."""
    from hub.commands.console import show_trace
    from hub.operate.report import Reports

    with _opened(config) as hub:
        reports, (connection, _, record) = Reports(hub.db), subject.rpartition("/")
        for number in hub.tenants:
            full = connection if "/" in connection else f"{number}/{connection}"
            if lines := reports.trace(number, reports.log_of_record(number, full, record) or subject):
                show_trace(lines)
                return
    _fail("Nothing is known of this id. `hub inbox list` and `hub status` show ids")


@app.command()
def schema(
    mapping: Annotated[bool, typer.Option("--mapping", help="That of a mapping file, for editors.")] = False,
) -> None:
    """Print the JSON Schema of the canonical relay log."""
    import json

    from hub.mappings.language.schema import mapping_schema
    from hub.relaylog.model import RelayLog

    found = mapping_schema() if mapping else RelayLog.model_json_schema()
    typer.echo(json.dumps(found, indent=2, ensure_ascii=False))


@store_app.command("move")
def store_move(
    to: Annotated[
        str, typer.Option("--to", help="The new database, postgresql+psycopg://…", envvar="STAFETTHUB_MOVE_TO")
    ],
    config: ConfigOption = CONFIG,
) -> None:
    """Move everything from SQLite to an empty PostgreSQL database. The old file stays as it is."""
    from rich.progress import Progress

    from hub.store.database import open_database
    from hub.store.move import move_store

    with _opened(config) as hub, closing(open_database(to)) as target, Progress() as bars:
        bar = bars.add_task("")

        def show(table: str, done: int, total: int) -> None:
            bars.update(bar, description=table, completed=done, total=total)

        rows = move_store(hub.db, target, datetime.now(UTC), show)
    typer.echo(
        f"Moved {sum(rows.values())} rows of {len(rows)} tables. Name the new database in hub.yaml as `database`"
    )
    typer.echo("before you start the hub, and delete the old file when you have seen that all is well.")


if __name__ == "__main__":
    main()
