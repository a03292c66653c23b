"""What AMC's tables and their columns hold, in one sentence of our own each.

Most columns mean the same in every table, so they stand in `descriptions.json` by name; `table.name` there is for the
tables where one means something else. Names that are made by a rule, such as those of times and of attributed
measures, are described by it.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

# Whose time a column says.
_MOMENTS = {
    "impression": "of the impression",
    "click": "of the click",
    "event": "of the event",
    "conversion_event": "of the conversion",
    "traffic_event": "of the click or impression that is credited",
    "purchase": "of the purchase",
    "pv_playback": "of watching",
    **{
        f"{name}_{end}": f"on which the {name.replace('_', ' ')} {'begins' if end == 'start' else 'ends'}"
        for name in ("campaign", "line_item", "ad_group", "package", "placement")
        for end in ("start", "end")
    },
}
_PARTS = {
    "dt_hour": "Date and hour",
    "dt": "Date and time",
    "date": "Calendar date",
    "day": "Day of the month",
    "hour": "Hour of the day, 0 to 23,",
    "month": "Month, 1 to 12,",
}
_TIME = re.compile(rf"(?P<moment>{'|'.join(_MOMENTS)})_(?P<part>{'|'.join(_PARTS)})(?P<utc>_utc)?")

_MEASURES = {
    "purchases": "Purchases of {}",
    "units_sold": "Units sold of {}",
    "product_sales": "Sales of {}, in purchase_currency",
    "add_to_cart": "Times {} were put into the cart",
    "detail_page_view": "Views of the pages of {}",
}
_SCOPES = {
    "": "promoted products",
    "total_": "promoted products and the brand's others",
    "brand_halo_": "the brand's products that are not promoted",
}
_SIDES = {None: "", "_clicks": ", credited to clicks", "_views": ", credited to views"}
_MEASURE = re.compile(
    rf"(?P<new>new_to_brand_)?(?P<scope>total_|brand_halo_|)(?P<measure>{'|'.join(_MEASURES)})(?P<side>_clicks|_views)?"
)
_SIGN_UP = re.compile(
    r"digital_(?P<plan>free_trial_|paid_)?(?P<app>app_)?subscription_signup_purchases(?P<side>_clicks|_views)?"
)
_PLANS = {
    None: "subscriptions, free trials and paid ones",
    "free_trial_": "free trials",
    "paid_": "paid subscriptions",
}
_PLAYED = re.compile(r"video_played_(?P<share>\d+)pc(?P<seen>_viewable)?")


def describe(table: str, column: str) -> str:
    """Return what a column of one of AMC's tables holds; empty for one that is not known."""
    known = _described()["columns"]
    return known.get(f"{table}.{column}") or known.get(column) or _by_rule(column)


def describe_table(table: str) -> str:
    """Return what one of AMC's tables holds; empty for one that is not known."""
    return _described()["tables"].get(table, "")


@cache
def _described() -> dict[str, dict[str, str]]:
    described: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("descriptions.json").read_text())
    return described


def _by_rule(column: str) -> str:
    if found := _TIME.fullmatch(column):
        zone = "in UTC" if found["utc"] else "in the advertiser's time zone"
        return f"{_PARTS[found['part']]} {_MOMENTS[found['moment']]}, {zone}."
    if found := _MEASURE.fullmatch(column):
        buyers = ", by customers new to the brand" if found["new"] else ""
        what = _MEASURES[found["measure"]].format(_SCOPES[found["scope"]])
        return f"{what}{buyers}{_SIDES[found['side']]}."
    if found := _SIGN_UP.fullmatch(column):
        where = " in apps" if found["app"] else ""
        return f"Sign-ups for {_PLANS[found['plan']]}{where}{_SIDES[found['side']]}."
    if found := _PLAYED.fullmatch(column):
        seen = " while they could be seen" if found["seen"] else ""
        return f"Videos played to {found['share']} percent{seen}."
    return ""
