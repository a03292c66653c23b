"""Middleware for htmx: signing in and messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.messages import get_messages
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django_htmx.http import HttpResponseClientRedirect

from amchelper.htmx import HtmxHttpRequest, wants_fragment


class HtmxLoginRequiredMiddleware(LoginRequiredMiddleware):
    """Every view is private; a signed-out htmx request leaves the page instead of filling a table."""

    def handle_no_permission(self, request: HttpRequest, view_func: Callable[..., Any]) -> Any:
        # From the sign-in page back to the page (not the fragment) the request came from.
        response = super().handle_no_permission(request, view_func)
        htmx = getattr(request, "htmx", None)
        if not htmx:
            return response
        came_from = htmx.current_url_abs_path or "/"
        login_url = self.get_login_url(view_func)
        return HttpResponseClientRedirect(f"{login_url}?{urlencode({'next': came_from})}")


class HtmxMessagesMiddleware:
    """Append waiting messages to a swapped fragment, out of band, so that no action stays silent."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HtmxHttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not self._can_carry_messages(request, response):
            return response
        messages = get_messages(request)
        if not messages:
            return response
        response.content += render_to_string(
            "_partials/messages.html", {"messages": messages, "oob": True}, request=request
        ).encode()
        if "Content-Length" in response:
            response["Content-Length"] = str(len(response.content))
        return response

    @staticmethod
    def _can_carry_messages(request: HtmxHttpRequest, response: HttpResponse) -> bool:
        leaves_page = any(header in response for header in ("HX-Redirect", "HX-Refresh", "Location"))
        is_html = response.get("Content-Type", "").startswith("text/html")
        return (
            bool(getattr(request, "htmx", False))
            and wants_fragment(request)
            and not response.streaming
            and is_html
            and response.status_code == 200
            and not leaves_page
        )
