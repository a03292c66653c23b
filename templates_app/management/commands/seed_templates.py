"""Give the demo some templates to look at and to run."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from amchelper.models import User
from instances.management.commands.seed_demo import EMAIL
from instances.models import AMCInstance
from templates_app.models import InstanceTemplate
from templates_app.services.templates import Content, create_template

INSTANCE = "amclocalus1"
TEMPLATES = (
    Content(
        name="Reach and frequency by campaign",
        description="How many people every display campaign reached, and how often.",
        tags=("reach", "weekly"),
        source_sql="""SELECT
  campaign,
  SUM(impressions) AS impressions,
  COUNT(DISTINCT user_id) AS reach,
  SUM(impressions) / COUNT(DISTINCT user_id) AS frequency
FROM dsp_impressions
WHERE campaign LIKE '%{{campaign_word}}%'
GROUP BY 1
HAVING SUM(impressions) >= {{least_impressions}}
""",
        # The names are the ones the SQL above uses.
        parameter_values={"campaign_word": "Kids", "least_impressions": "50"},
    ),
    Content(
        name="Sponsored ads: spend and clicks by day",
        description="Spend comes in microcents; the query turns it into dollars.",
        tags=("sponsored ads", "spend"),
        source_sql="""SELECT
  event_date_utc,
  ad_product_type,
  SUM(spend) / 100000000 AS spend,
  SUM(clicks) AS clicks,
  COUNT(DISTINCT user_id) AS people
FROM sponsored_ads_traffic
GROUP BY 1, 2
""",
    ),
    Content(
        name="New-to-brand purchases by ASIN",
        description="Purchases that followed an ad, and how many were a first purchase of the brand.",
        tags=("new to brand",),
        source_sql="""SELECT
  tracked_asin,
  SUM(total_purchases) AS purchases,
  SUM(new_to_brand_total_purchases) AS new_to_brand,
  COUNT(DISTINCT user_id) AS buyers
FROM amazon_attributed_events_by_conversion_time
WHERE total_purchases > 0 AND conversion_event_date_utc >= :first_order_date
GROUP BY 1
""",
        parameter_values={"first_order_date": "2026-01-01"},
    ),
)


class Command(BaseCommand):
    """Seed the demo's templates, once."""

    help = "Give the demo's first instance some templates, if it has none."

    def handle(self, *args: Any, **options: Any) -> None:
        if not (settings.DEBUG and settings.LOCAL_AMC_URL):
            raise CommandError("The demo needs DEBUG=true and LOCAL_AMC_URL; it is not for a real deployment.")
        user = User.objects.filter(email__iexact=EMAIL).first()
        instance = AMCInstance.objects.filter(user=user, instance_id=INSTANCE).first() if user else None
        if user is None or instance is None or InstanceTemplate.objects.of_instance(instance).exists():
            return
        for content in TEMPLATES:
            create_template(actor=user, instance=instance, content=content)
