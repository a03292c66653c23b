"""The world of a campaign: users with logins, instances and templates, the runs they start and the slots they plan."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from uuid import UUID

from amchelper.models import User
from executions.models import Trigger
from executions.services.start import start_execution
from instances.models import AmazonConnection, AMCAccount, AMCInstance, Status
from planning.recurrence import Recurrence
from planning.windows import Window
from schedules.models import MissedPolicy, Schedule
from schedules.services.schedules import ScheduleValues, create_schedule
from templates_app.models import InstanceTemplate
from templates_app.services.templates import Content, create_template

US, CA, DE, JP = "ATVPDKIKX0DER", "A2EUQ1WTGCTBG2", "A1PA6795UKMFR9", "A1VC38T7YXB528"
PLACES = (
    ("ENTITYLOCALUS1", US, "NA", "amclocalus1"),
    ("ENTITYLOCALUS1", US, "NA", "amclocalus2"),
    ("ENTITYLOCALUS1", CA, "NA", "amclocalca1"),
    ("ENTITYLOCALDE1", DE, "EU", "amclocalde1"),
    *(("ENTITYLOCALJP1", JP, "FE", f"amclocaljp{number:03}") for number in range(1, 9)),
)
USERS = 6
# Of each schedule.
SLOTS = 5
_KEYS = uuid.UUID("0b7bcf36-6c0b-4f0b-8f5c-0d5a1f4f6e52")
SQL = (
    "SELECT campaign, {number} AS template_number, SUM(impressions) AS impressions, COUNT(DISTINCT user_id) AS users "
    "FROM {table} GROUP BY campaign"
)
TABLES = ("dsp_impressions", "sponsored_ads_traffic")


def build() -> None:
    """Create users, logins, instances and two templates for each instance."""
    users = [User.objects.create_user(f"user{n}@example.com", "not used") for n in range(USERS)]
    logins = [
        AmazonConnection.objects.create(user=user, label="Login", refresh_token="Atzr|local-healthy")
        for user in users
    ]
    accounts: dict[tuple[str, str], AMCAccount] = {}
    for number, (entity, marketplace, region, instance_id) in enumerate(PLACES):
        login = logins[number // 2]
        key = entity, marketplace
        if key not in accounts:
            accounts[key] = AMCAccount.objects.create(
                connection=login, account_id=entity, marketplace_id=marketplace, country_code="US"
            )
        account = accounts[key]
        owner = account.connection.user
        instance = AMCInstance.objects.create(
            user=owner,
            account=account,
            instance_id=instance_id,
            name=instance_id,
            region=region,
            status=Status.ACTIVE,
        )
        for table in TABLES:
            sql = SQL.format(number=number, table=table)
            content = Content(name=f"{table} {number:02}", source_sql=sql)
            create_template(actor=owner, instance=instance, content=content)


def templates() -> list[InstanceTemplate]:
    """Return the templates in the order of their making."""
    return list(InstanceTemplate.objects.select_related("user").order_by("name"))


def start_run(known: list[InstanceTemplate], number: int) -> None:
    """Start the run of this number, over a window of its own, unless it was started before."""
    template = known[number % len(known)]
    start = datetime.now(UTC).date() - timedelta(days=60 + number % 200)
    start_execution(
        actor=template.user,
        template=template,
        window=Window(start, start + timedelta(days=number % 30), "UTC"),
        trigger=Trigger.API,
        submission_key=uuid.uuid5(_KEYS, str(number)),
    )


def plan(known: list[InstanceTemplate], count: int) -> dict[UUID, set[datetime]]:
    """Make schedules with so many slots, most of them missed, the last of each due soon; returns them by schedule."""
    planned = {}
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    for number in range(count // SLOTS):
        template = known[number % len(known)]
        last = now + timedelta(minutes=1 + number % 3)
        slots = [last - timedelta(days=days) for days in range(SLOTS)]
        schedule = create_schedule(
            actor=template.user,
            template=template,
            values=ScheduleValues(
                name=f"Schedule {number}",
                recurrence=Recurrence("daily", last.time(), "UTC"),
                window_days=1 + number % 30,
                missed_policy=MissedPolicy.ALL,
            ),
        )
        # As if nothing had been running for days.
        Schedule.objects.filter(pk=schedule.pk).update(
            planned_until=slots[-1] - timedelta(hours=1), next_run_at=slots[-1]
        )
        planned[schedule.pk] = set(slots)
    return planned
