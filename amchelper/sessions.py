"""How long a session lasts, and who must have a second factor before anything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.signals import user_logged_in
from django.contrib.auth.views import redirect_to_login
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django_htmx.http import HttpResponseClientRedirect

from amchelper.htmx import login_from
from amchelper.models import User

SIGNED_IN, SEEN = "signed_in_at", "seen_at"
# Seconds between two notes of when a session was used: each is a write.
_NOTE_SECONDS = 300
# What a user without a second factor may still open where one is required.
_OPEN_WITHOUT_MFA = (
    "mfa_",
    "account_logout",
    "account_reauthenticate",
    "account_change_password",
    "usersessions_",
)


@receiver(user_logged_in)
def note_sign_in(request: HttpRequest, **kwargs: Any) -> None:
    """Note when a session began; a sign-in begins it anew."""
    request.session[SIGNED_IN] = request.session[SEEN] = timezone.now().timestamp()


class SessionLimitsMiddleware:
    """End sessions that were not used for long, or that began too long ago."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.user.is_authenticated and (reason := self._reason_to_end(request)):
            logout(request)
            messages.info(request, reason)
            if getattr(request, "htmx", False):
                return HttpResponseClientRedirect(login_from(request))  # type: ignore[arg-type]  # HtmxMiddleware ran
            return redirect_to_login(request.get_full_path() if request.method == "GET" else "/")
        return self.get_response(request)

    @staticmethod
    def _reason_to_end(request: HttpRequest) -> str:
        """Return a sentence when the session is over; notes that it was used otherwise."""
        session, now = request.session, timezone.now().timestamp()
        signed_in, seen = session.setdefault(SIGNED_IN, now), session.setdefault(SEEN, now)
        if now - signed_in > settings.SESSION_COOKIE_AGE:
            return f"Sign in again: a session ends after {settings.SESSION_MAX_DAYS} days."
        if now - seen > settings.SESSION_IDLE_HOURS * 3600:
            return f"Sign in again: a session ends when it is not used for {settings.SESSION_IDLE_HOURS} hours."
        if now - seen > _NOTE_SECONDS:
            session[SEEN] = now
        return ""


class RequireMfaMiddleware:
    """Send users who need a second factor and have none to where they turn it on."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view_func: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        """Return the way to the second factor, or nothing when the user may go on."""
        match, user = request.resolver_match, request.user
        if match is None or not getattr(view_func, "login_required", True) or not user.is_authenticated:
            return None
        is_open = (match.view_name or "").startswith(_OPEN_WITHOUT_MFA)
        if is_open or not requires_mfa(user) or is_mfa_enabled(user):
            return None
        messages.warning(request, "This site asks for two-factor sign-in. Turn it on to go on.")
        if getattr(request, "htmx", False):
            return HttpResponseClientRedirect(reverse("mfa_activate_totp"))
        return redirect("mfa_activate_totp")


def requires_mfa(user: User) -> bool:
    """Return whether the setting REQUIRE_MFA (none, staff or all) names this user."""
    return settings.REQUIRE_MFA == "all" or (settings.REQUIRE_MFA == "staff" and user.is_staff)
