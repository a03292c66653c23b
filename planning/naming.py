"""What executions are called."""

from __future__ import annotations

import datetime as dt

MAX_LENGTH = 500
_ELLIPSIS = "…"


def execution_name(
    *, brand: str | None, instance_name: str, template_name: str, start: dt.date, end: dt.date
) -> str:
    """Return `{Brand} - {Template} - {Start} - {End}`; the instance's name stands in for a missing brand.

    A name that is too long loses the end of the template's name, then of the brand's, never a date.
    """
    who = _one_line(brand or "") or _one_line(instance_name)
    what = _one_line(template_name)
    dates = f" - {start.isoformat()} - {end.isoformat()}"
    room = MAX_LENGTH - len(dates) - len(" - ")
    who = _shorten(who, room - min(len(what), len(_ELLIPSIS)))
    return f"{who} - {_shorten(what, room - len(who))}{dates}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _shorten(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    return text[: length - len(_ELLIPSIS)].rstrip() + _ELLIPSIS
