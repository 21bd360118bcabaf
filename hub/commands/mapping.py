"""`hub mapping`: checks, tries, compares, drafts and freezes mappings. Heavy rooms are imported when needed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hub.commands.shared import CONFIG, ConfigOption, TenantOption, the_tenant

if TYPE_CHECKING:
    from rich.table import Table

    from hub.operate.mappings.views import Line
    from hub.store.database import Database

app = typer.Typer(
    help="Mappings between a system's records and the relay log: check, try, draft, freeze.", no_args_is_help=True
)

Files = Annotated[list[str] | None, typer.Argument(metavar="[FILE]...", help="Mapping files; the shipped if none.")]
File = Annotated[str, typer.Argument(metavar="FILE", help="A mapping file, or the id of a shipped mapping.")]
WhoOption = Annotated[str, typer.Option("--who", help="User id of who decides; your own if left out.")]


class NoSuchFile(Exception):
    """A record's file isn't there."""


@app.command()
def lint(files: Files = None) -> None:
    """Show every mistake in mapping files with file, line and column."""
    from hub.operate.mappings.files import mistakes

    found = [error for path in _paths(files) for error in mistakes(path)]
    for error in found:
        typer.echo(str(error))
    if found:
        sys.exit(1)
    typer.echo("No mistakes")


@app.command("test")
def run_tests(
    files: Files = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="The shipped mappings, too.")] = False,
) -> None:
    """Run the cases beside mappings, then the laws on their records: what is written can be read, and stays."""
    from hub.commands.console import console, listing
    from hub.operate.mappings.checks import outcomes
    from hub.operate.mappings.files import opened

    shown, failed = listing("Tests", "mapping", "sample", "test", "result"), False
    for path in dict.fromkeys([*_paths(files), *(_paths(None) if every else [])]):
        mapping = opened(path)
        results = outcomes(mapping, path.parent)
        if not results:
            shown.add_row(mapping.id, "none", "", "nothing to test")
        for one in results:
            failed |= bool(one.broken)
            shown.add_row(mapping.id, one.sample, one.test, "\n".join(one.broken) or "ok")
    console.print(shown)
    if failed:
        sys.exit(1)


@app.command()
def preview(
    file: File,
    record: Annotated[Path, typer.Argument(help="A record at hand.")],
    *,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show the values in place of their kinds.")] = False,
) -> None:
    """Show a record, the relay log read from it and the record written back, side by side."""
    from rich.table import Table

    from hub.commands.console import console
    from hub.operate.mappings.files import mapping_path, opened
    from hub.operate.mappings.records import record_of
    from hub.operate.mappings.views import preview as previewed

    mapping = opened(mapping_path(file))
    found = previewed(mapping, record_of(_there(record), mapping), reveal=reveal)
    beside = Table.grid(padding=(0, 1))
    beside.add_row(_lines("Record", found.record), _lines("Relay log", found.log), _lines("Written back", found.back))
    console.print(beside)
    unmapped = sum(line.mark == "unmapped" for line in found.record)
    changed = sum(line.mark == "changed" for line in found.back)
    console.print(f"{unmapped} of {len(found.record)} places unmapped, {changed} changed by writing back")


@app.command()
def expect(file: File, record: Annotated[Path, typer.Argument(help="A made-up record at hand.")]) -> None:
    """Print the relay log that a record reads as, to read through and keep beside it as the test's expectation."""
    from hub.operate.mappings.files import mapping_path, opened
    from hub.operate.mappings.records import record_of

    mapping = opened(mapping_path(file))
    log = mapping.read(record_of(_there(record), mapping))
    typer.echo(log.model_dump_json(indent=2, exclude_defaults=True))


@app.command()
def coverage(
    file: File, samples: Annotated[list[Path], typer.Argument(metavar="SAMPLES...", help="Records at hand.")]
) -> None:
    """Show how often each source field is filled, and whether a rule reads it."""
    from hub.commands.console import console, listing
    from hub.operate.mappings.files import mapping_path, opened
    from hub.operate.mappings.records import record_of
    from hub.operate.mappings.views import coverage as covered

    mapping = opened(mapping_path(file))
    shown = listing(mapping.id, "source field", "filled", "read")
    for one in covered(mapping, (record_of(_there(path), mapping) for path in samples)):
        shown.add_row(
            one.place, f"{one.records} of {one.of}", "yes" if one.read else "no", style=_style(marked=not one.read)
        )
    console.print(shown)


@app.command()
def diff(one: File, other: File) -> None:
    """Show which rules two mappings don't share, by canonical path."""
    from hub.commands.console import console, listing
    from hub.operate.mappings.files import mapping_path, rules_of
    from hub.operate.mappings.views import differing_rules

    found = differing_rules(rules_of(mapping_path(one)), rules_of(mapping_path(other)))
    shown = listing(f"{one} and {other}", "path", "change", "before", "after")
    for each in found:
        change = "added" if not each.before else "changed" if each.after else "removed"
        shown.add_row(each.path, change, each.before, each.after)
    console.print(shown if found else "No difference")


@app.command()
def new(
    system: Annotated[str, typer.Argument(help="The system's name, or system/template.")],
    sample: Annotated[Path, typer.Option("--from", help="A record at hand; its ending tells the format.")],
) -> None:
    """Draft a mapping from a sample. Every guess is marked `# gjettet`; no value of the sample is in it."""
    from hub.operate.mappings.draft import draft
    from hub.operate.mappings.records import guessed_record, kind_of

    record, options = guessed_record(_there(sample))
    typer.echo(draft(system, kind_of(sample), options, record), nl=False)


@app.command()
def shape(record: Annotated[Path, typer.Argument(help="A record at hand; its ending tells the format.")]) -> None:
    """Print a record's structure as JSON with every value replaced by its kind: safe to send to a vendor."""
    import json

    from hub.operate.mappings.records import guessed_record
    from hub.operate.mappings.records import shape as shaped

    typer.echo(json.dumps(shaped(guessed_record(_there(record))[0]), indent=2, ensure_ascii=False))


@app.command()
def freeze(file: File, config: ConfigOption = CONFIG, tenant: TenantOption = "", who: WhoOption = "") -> None:
    """Freeze a mapping's version: it never changes again. It must lint, and its tests must hold."""
    from hub.operate.mappings.files import mapping_path
    from hub.operate.mappings.versions import freeze as frozen

    with _store(config, tenant) as (number, db):
        form, is_new = frozen(db, number, mapping_path(file), who or getuser(), datetime.now(UTC))
    typer.echo(f"{form.id} version {form.version} {'is frozen' if is_new else 'was frozen already, the same'}")


@app.command()
def versions(
    mapping: Annotated[str, typer.Argument(metavar="[MAPPING]", help="A mapping's id; all if none.")] = "",
    config: ConfigOption = CONFIG,
    tenant: TenantOption = "",
) -> None:
    """List the frozen versions of a mapping: who froze each and when, which is active, and by whom since when."""
    from hub.commands.console import console, listing
    from hub.store.mappingversions import versions as kept

    with _store(config, tenant) as (number, db), db.read() as tx:
        found = kept(tx, number, mapping)
    shown = listing(f"Frozen for {number}", "mapping", "version", "frozen", "by", "active", "last activated", "by")
    for one in found:
        shown.add_row(
            one.mapping, str(one.version), _moment(one.frozen_at), one.frozen_by, "yes" if one.active else "",
            _moment(one.activated_at), one.activated_by or "",
        )  # fmt: skip
    console.print(shown if found else "Nothing is frozen: the shipped mappings run")


@app.command()
def activate(
    mapping: Annotated[str, typer.Argument(help="The mapping's id, such as vigilo/stafettlogg.")],
    version: Annotated[int, typer.Argument(min=1, help="A frozen version.")],
    config: ConfigOption = CONFIG,
    tenant: TenantOption = "",
    who: WhoOption = "",
) -> None:
    """Let a frozen version run, from the next start of the hub on."""
    from hub.operate.mappings.versions import activate as activated

    with _store(config, tenant) as (number, db):
        activated(db, number, mapping, version, who or getuser(), datetime.now(UTC))
    typer.echo(f"{mapping} version {version} is active. Start `hub run` again to use it")


@contextmanager
def _store(config: Path, tenant: str) -> Iterator[tuple[str, Database]]:
    """Open the store of a configuration and find the tenant that is meant."""
    from hub.bootstrap import read_settings
    from hub.store.database import open_database

    settings = read_settings(config, os.environ)
    number = the_tenant([one.organisation_number for one in settings.tenants], tenant)
    settings.data.mkdir(parents=True, exist_ok=True)
    db = open_database(settings.database.get_secret_value())
    try:
        db.migrate()
        yield number, db
    finally:
        db.close()


def _paths(words: Sequence[str] | None) -> list[Path]:
    """Return the files that are meant; the shipped mappings where none is named."""
    from hub.mappings import shipped
    from hub.operate.mappings.files import mapping_path

    return [mapping_path(word) for word in words] if words else list(shipped().values())


def _there(path: Path) -> Path:
    if not path.exists():
        raise NoSuchFile(f"{path} is not there. Name a record's file, or the folder of a CSV set")
    return path


def _lines(title: str, lines: Sequence[Line]) -> Table:
    from hub.commands.console import listing

    made = listing(title, "place", "value", "")
    for line in lines:
        made.add_row(line.place, line.value, line.mark, style=_style(marked=bool(line.mark)))
    return made


def _moment(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if at else ""


def _style(*, marked: bool) -> str | None:
    return "yellow" if marked else None
