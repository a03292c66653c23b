"""Check instances from the command line."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from functools import partial
from typing import IO, Any, NoReturn, cast

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError
from django.db.models import Q
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from amchelper.busy import is_busy
from amchelper.http import parse_uuid, parse_uuids
from amchelper.leases import LeaseLostError
from amchelper.models import User
from instances.models import AMCInstance, Health, HealthCheckBatch
from instances.models.reasons import reason_of
from instances.services.health.batches import check_instances, hold_batch
from instances.services.health.probing import ProbeResult

EXIT_UNHEALTHY, EXIT_ERROR, EXIT_USAGE = 1, 2, 3
_GIVEN_UP = (
    "This took longer than an hour, so the check was given up; what was found out until then is stored. Check fewer "
    "instances, or more of them at the same time with --concurrency."
)
_BUSY = "The database is busy; what was found out until then is stored. Check again in a moment."
COLOURS = {Health.HEALTHY: "green", Health.UNHEALTHY: "yellow", Health.ERROR: "red"}


class Command(BaseCommand):
    """Check instances and print a table or JSON."""

    help = (
        "Check AMC instances. Exit code 0: nothing to report; 1: an instance is unhealthy (or could not be "
        "checked, with --fail-on unhealthy); 2: an instance could not be checked; 3: wrong arguments."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        # argparse's own exit code for wrong arguments means something else here.
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        if parser.called_from_command_line:
            parser.error = partial(_refuse_arguments, parser)  # type: ignore[method-assign]  # no other way to choose the code
        return parser

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("instances", nargs="*", metavar="INSTANCE", help="AMC instance IDs or our UUIDs")
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--all", action="store_true", help="every enabled instance of every user")
        which.add_argument("--failing", action="store_true", help="enabled instances whose last check failed")
        parser.add_argument("--user", metavar="EMAIL", help="only this user's instances")
        parser.add_argument("--concurrency", type=int, metavar="N", help="how many probes at the same time")
        parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
        parser.add_argument(
            "--fail-on",
            choices=["unhealthy", "error", "never"],
            default="unhealthy",
            help="unhealthy: any verdict but healthy gives exit code 1 or 2 (default); error: only "
            "instances that could not be checked; never: always 0",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        concurrency = options["concurrency"]
        if concurrency is not None and concurrency < 1:
            raise CommandError("--concurrency must be at least 1.", returncode=EXIT_USAGE)
        instances = _choose(options)
        results = self._check(instances, concurrency, quiet=options["json"] or options["verbosity"] == 0)
        rows = _rows(instances, results)
        if options["json"]:
            self.stdout.write(json.dumps({"summary": _summary(rows), "instances": rows}, indent=2))
        elif options["verbosity"] > 0:
            self._print_table(rows)
        code = _exit_code(rows, options["fail_on"])
        if code:
            sys.exit(code)

    def _check(
        self, instances: Sequence[AMCInstance], concurrency: int | None, *, quiet: bool
    ) -> list[ProbeResult]:
        claim = hold_batch(
            [instance.pk for instance in instances], actor=None, trigger=HealthCheckBatch.Trigger.COMMAND
        )
        # The bar goes to standard error, so that the table can be piped.
        with Progress(console=Console(stderr=True), disable=quiet, transient=True) as progress:
            task = progress.add_task("Checking", total=len(instances))
            try:
                return check_instances(
                    instances,
                    claim,
                    max_workers=concurrency or settings.HEALTH_CHECK_CONCURRENCY,
                    on_results=lambda results: progress.advance(task, len(results)),
                )
            except LeaseLostError as error:
                raise CommandError(_GIVEN_UP, returncode=EXIT_ERROR) from error
            except OperationalError as error:
                if not is_busy(error):
                    raise
                raise CommandError(_BUSY, returncode=EXIT_ERROR) from error

    def _print_table(self, rows: Sequence[dict[str, Any]]) -> None:
        table = Table("Instance", "Name", "Account", "Health", "Latency", "What to do", box=None)
        for row in rows:
            health = Text(row["health"], style=COLOURS[row["health"]])
            latency = "" if row["latency_ms"] is None else f"{row['latency_ms']} ms"
            told = ": ".join(filter(None, [row["reason_label"], row["fix"]]))
            # Text, not str: a name like "Acme [EU]" would be taken for markup.
            table.add_row(
                Text(row["instance_id"]), Text(row["name"]), Text(row["entity_id"]), health, latency, told
            )
        console = Console(file=cast(IO[str], self.stdout), width=None if sys.stdout.isatty() else 200)
        if rows:
            console.print(table)
        summary = _summary(rows)
        console.print(
            f"{summary['total']} checked: {summary['healthy']} healthy, {summary['unhealthy']} unhealthy, "
            f"{summary['error']} could not be checked."
        )


def _refuse_arguments(parser: CommandParser, message: str) -> NoReturn:
    parser.print_usage(sys.stderr)
    parser.exit(EXIT_USAGE, f"{parser.prog}: error: {message}\n")


def _choose(options: dict[str, Any]) -> list[AMCInstance]:
    """Return the instances asked for; raises CommandError naming what does not exist."""
    instances = AMCInstance.objects.for_probing().select_related("user")
    if options["instances"] and (options["all"] or options["failing"]):
        raise CommandError("Name instances or use --all or --failing, not both.", returncode=EXIT_USAGE)
    if options["user"]:
        if not User.objects.filter(email__iexact=options["user"]).exists():
            raise CommandError(f"There is no user {options['user']}.", returncode=EXIT_USAGE)
        instances = instances.filter(user__email__iexact=options["user"])
    if options["failing"]:
        return list(instances.failing())
    if options["all"]:
        return list(instances.enabled())
    asked = options["instances"]
    if not asked:
        raise CommandError("Name instances, or use --all or --failing.", returncode=EXIT_USAGE)
    found = list(instances.filter(Q(instance_id__in=asked) | Q(pk__in=parse_uuids(asked))))
    known = {instance.instance_id for instance in found} | {str(instance.pk) for instance in found}
    missing = [name for name in asked if name not in known and str(parse_uuid(name)) not in known]
    if missing:
        raise CommandError(f"There is no instance {', '.join(missing)}.", returncode=EXIT_USAGE)
    return found


def _rows(instances: Sequence[AMCInstance], results: Sequence[ProbeResult]) -> list[dict[str, Any]]:
    by_pk = {result.instance_pk: result for result in results}
    rows = []
    for instance in instances:
        result = by_pk[instance.pk]
        reason = reason_of(result.reason)
        rows.append(
            {
                "id": str(instance.pk),
                "instance_id": instance.instance_id,
                "name": instance.name,
                "entity_id": instance.account.account_id,
                "user": instance.user.email,
                "health": str(result.verdict),
                "reason": result.reason,
                "reason_label": reason.label if result.reason else "",
                "fix": reason.fix,
                "error": result.error,
                "http_status": result.http_status,
                "latency_ms": result.latency_ms,
                "request_id": result.request_id,
                "checked_at": result.checked_at.isoformat(),
            }
        )
    return rows


def _summary(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    counts = {str(health.value).lower(): 0 for health in Health}
    for row in rows:
        counts[row["health"].lower()] += 1
    return {"total": len(rows), **counts}


def _exit_code(rows: Sequence[dict[str, Any]], fail_on: str) -> int:
    verdicts = {row["health"] for row in rows}
    if fail_on == "never":
        return 0
    if Health.ERROR in verdicts:
        return EXIT_ERROR
    return EXIT_UNHEALTHY if fail_on == "unhealthy" and Health.UNHEALTHY in verdicts else 0
