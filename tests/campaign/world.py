"""The world of a campaign: three users with logins, instances and templates, and the runs they start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from amchelper.models import User
from instances.models import AmazonConnection, AMCAccount, AMCInstance, Status
from templates_app.models import Execution, InstanceTemplate, Trigger
from templates_app.planning.windows import Window
from templates_app.services.executions import start_execution
from templates_app.services.templates import Content, create_template

US, CA, DE, JP = "ATVPDKIKX0DER", "A2EUQ1WTGCTBG2", "A1PA6795UKMFR9", "A1VC38T7YXB528"
PLACES = (
    ("ENTITYLOCALUS1", US, "NA", "amclocalus1"),
    ("ENTITYLOCALUS1", US, "NA", "amclocalus2"),
    ("ENTITYLOCALUS1", CA, "NA", "amclocalca1"),
    ("ENTITYLOCALDE1", DE, "EU", "amclocalde1"),
    ("ENTITYLOCALJP1", JP, "FE", "amclocaljp001"),
    ("ENTITYLOCALJP1", JP, "FE", "amclocaljp002"),
)
USERS = 3
SQL = (
    "SELECT campaign, {number} AS template_number, SUM(impressions) AS impressions, COUNT(DISTINCT user_id) AS users "
    "FROM {table} GROUP BY campaign"
)
TABLES = ("dsp_impressions", "sponsored_ads_traffic")


def build() -> list[InstanceTemplate]:
    """Create users, logins, instances and two templates for each instance."""
    users = [User.objects.create_user(f"user{n}@example.com", "not used") for n in range(USERS)]
    logins = [
        AmazonConnection.objects.create(user=user, label="Login", refresh_token="Atzr|local-healthy")
        for user in users
    ]
    accounts: dict[tuple[str, str], AMCAccount] = {}
    templates = []
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
            content = Content(name=f"{table} {number}", source_sql=SQL.format(number=len(templates), table=table))
            templates.append(create_template(user=owner, instance=instance, content=content))
    return templates


def start_runs(templates: list[InstanceTemplate], count: int) -> list[Execution]:
    """Start so many runs, each over a window of its own."""
    today = datetime.now(UTC).date()
    runs = []
    for number in range(count):
        template = templates[number % len(templates)]
        start = today - timedelta(days=60 + number % 200)
        runs.append(
            start_execution(
                user=template.user,
                template=template,
                window=Window(start, start + timedelta(days=number % 30), "UTC"),
                trigger=Trigger.API,
            )
        )
    return runs
