"""Sign-ins, changes of passwords, factors and rights, and exports, one line of the log each."""

from __future__ import annotations

import logging
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.signals import password_changed, password_reset, password_set
from allauth.mfa.signals import authenticator_added, authenticator_removed, authenticator_reset
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.core.exceptions import PermissionDenied
from django.dispatch import Signal
from django.http import HttpRequest

logger = logging.getLogger(__name__)

_EVENTS: dict[Signal, str] = {
    user_logged_in: "signed_in",
    user_logged_out: "signed_out",
    password_changed: "password_changed",
    password_set: "password_set",
    password_reset: "password_reset",
    authenticator_added: "second_factor_added",
    authenticator_removed: "second_factor_removed",
    authenticator_reset: "second_factor_reset",
}


def log_event(event: str, request: HttpRequest | None, *, user: Any = None, **facts: Any) -> None:
    """Write what happened, to whose account and from where; facts are numbers, codes and keys, never secrets."""
    said = "".join(f" {name}={value}" for name, value in facts.items())
    logger.info("security event=%s user=%s ip=%s%s", event, getattr(user, "pk", None), _address(request), said)


def connect() -> None:
    """Listen to Django and allauth; call it once, when the apps are ready."""
    for signal, event in _EVENTS.items():
        signal.connect(_Listener(event), weak=False, dispatch_uid=f"security-{event}")
    user_login_failed.connect(_note_failure, dispatch_uid="security-sign_in_failed")


class _Listener:
    def __init__(self, event: str) -> None:
        self.event = event

    def __call__(self, *, request: HttpRequest | None = None, user: Any = None, **kwargs: Any) -> None:
        log_event(self.event, request, user=user)


def _note_failure(*, request: HttpRequest | None = None, **kwargs: Any) -> None:
    # Whose account it was to be stays out: a password typed into the wrong field would stand in the log.
    log_event("sign_in_failed", request)


def _address(request: HttpRequest | None) -> str:
    if request is None:
        return ""
    try:
        return get_adapter().get_client_ip(request)
    except PermissionDenied:
        return ""  # what the proxies say is not to be trusted, or there is nothing
