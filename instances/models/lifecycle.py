"""The life cycle of an instance, in one table; docs/lifecycle.md shows the same one."""

from __future__ import annotations

from django.db import models

from amchelper.exceptions import InvalidStateError


class Status(models.TextChoices):
    """Where an instance is in its life."""

    PENDING = "PENDING", "Pending"
    ACTIVE = "ACTIVE", "Active"
    INACTIVE = "INACTIVE", "Inactive"
    ERROR = "ERROR", "Error"


class Health(models.TextChoices):
    """The verdict of a probe: UNHEALTHY is a definite no, ERROR means we could not find out."""

    HEALTHY = "HEALTHY", "Healthy"
    UNHEALTHY = "UNHEALTHY", "Unhealthy"
    ERROR = "ERROR", "Error"


class Event(models.TextChoices):
    """What can happen to an instance."""

    HEALTHY = "healthy", "a test or a check passed"
    DEFINITE_NO = "definite_no", "AMC said no"
    CANNOT_TELL = "cannot_tell", "the first failure to find out"
    CANNOT_TELL_AGAIN = "cannot_tell_again", "a second failure to find out in a row"
    DISABLE = "disable", "the user disables it"
    ENABLE = "enable", "the user enables it"
    RELINK = "relink", "it is saved without a passed test"


TRANSITIONS: dict[Status, dict[Event, Status]] = {
    Status.PENDING: {
        Event.HEALTHY: Status.ACTIVE,
        Event.DEFINITE_NO: Status.ERROR,
        Event.CANNOT_TELL: Status.PENDING,
        Event.CANNOT_TELL_AGAIN: Status.ERROR,
        Event.DISABLE: Status.INACTIVE,
        Event.RELINK: Status.PENDING,
    },
    Status.ACTIVE: {
        Event.HEALTHY: Status.ACTIVE,
        Event.DEFINITE_NO: Status.ERROR,
        Event.CANNOT_TELL: Status.ACTIVE,
        Event.CANNOT_TELL_AGAIN: Status.ERROR,
        Event.DISABLE: Status.INACTIVE,
        Event.RELINK: Status.PENDING,
    },
    Status.ERROR: {
        Event.HEALTHY: Status.ACTIVE,
        Event.DEFINITE_NO: Status.ERROR,
        Event.CANNOT_TELL: Status.ERROR,
        Event.CANNOT_TELL_AGAIN: Status.ERROR,
        Event.DISABLE: Status.INACTIVE,
        Event.RELINK: Status.PENDING,
    },
    # What a check finds out about a disabled instance is kept as its health, but never enables it.
    Status.INACTIVE: {
        Event.HEALTHY: Status.INACTIVE,
        Event.DEFINITE_NO: Status.INACTIVE,
        Event.CANNOT_TELL: Status.INACTIVE,
        Event.CANNOT_TELL_AGAIN: Status.INACTIVE,
        Event.ENABLE: Status.PENDING,
        Event.RELINK: Status.INACTIVE,
    },
}


def next_status(status: str, event: Event) -> Status:
    """Return the status after `event`; raises InvalidStateError when the event cannot happen in `status`."""
    try:
        return TRANSITIONS[Status(status)][event]
    except KeyError:
        raise InvalidStateError(
            f"An instance that is {Status(status).label.lower()} cannot be changed: {event.label}."
        ) from None


def event_of(verdict: str, consecutive_errors: int) -> Event:
    """Return the event a probe's verdict stands for; `consecutive_errors` counts this probe too."""
    if verdict == Health.HEALTHY:
        return Event.HEALTHY
    if verdict == Health.UNHEALTHY:
        return Event.DEFINITE_NO
    return Event.CANNOT_TELL_AGAIN if consecutive_errors >= 2 else Event.CANNOT_TELL
