"""Home, where one is signed in, and the way to the admin."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from allauth.usersessions.views import ListUserSessionsView
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from amchelper.htmx import HtmxHttpRequest, wants_fragment
from amchelper.user_agents import browser_name
from executions.presenters.home import latest_runs
from instances.presenters.overview import instance_overview
from schedules.presenters.schedule_lists import upcoming_rows
from templates_app.models import InstanceTemplate

# allauth's limits are by the minute; it does not tell how much of one is left.
_TRY_AGAIN_SECONDS = 60


@require_GET
def home(request: HtmxHttpRequest) -> HttpResponse:
    runs = latest_runs(request.user)
    if wants_fragment(request):
        return render(request, "_partials/home_runs.html", runs)
    context = {
        **instance_overview(request.user),
        "has_template": InstanceTemplate.objects.visible_to(request.user).exists(),
        "upcoming": upcoming_rows(request.user),
        **runs,
    }
    return render(request, "home.html", context)


class SessionsView(ListUserSessionsView):
    """allauth's page, with what it does not know: how long sessions last, and what browsers are called."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)
        shown = [(session, browser_name(session.user_agent)) for session in context["sessions"]]
        # This one first, then the newest.
        shown.sort(key=lambda pair: (pair[0].is_current(), pair[0].created_at), reverse=True)
        return {
            **context,
            "shown": shown,
            "idle_hours": settings.SESSION_IDLE_HOURS,
            "max_days": settings.SESSION_MAX_DAYS,
        }


def too_many_tries(request: HttpRequest) -> HttpResponse:
    """Say that signing in and the like were tried too often, and how to go on; allauth's own answer is bare."""
    # A page must not hold passwords, so that what was typed is left to the browser.
    response = render(request, "429.html", status=429)
    response["Retry-After"] = str(_TRY_AGAIN_SECONDS)
    return response


@login_not_required
def admin_login(request: HttpRequest) -> HttpResponse:
    """Send to the one sign-in page; users signed in without the right are told so instead of going round."""
    if request.user.is_authenticated:
        raise PermissionDenied("The admin is for staff.")
    query = urlencode({"next": request.GET.get("next") or reverse("admin:index")})
    return HttpResponseRedirect(f"{reverse('account_login')}?{query}")
