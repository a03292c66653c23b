"""The one way pages and fragments are rendered."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render, resolve_url
from django.utils.cache import patch_vary_headers
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from amchelper.models import User


class HtmxHttpRequest(HttpRequest):
    """A request of a signed-in user behind HtmxMiddleware."""

    htmx: HtmxDetails
    user: User


def wants_fragment(request: HtmxHttpRequest) -> bool:
    """Return whether htmx will swap the answer into a page, so that only the fragment is needed."""
    htmx = request.htmx
    return bool(htmx) and not htmx.boosted and not htmx.history_restore_request


def render_page(request: HtmxHttpRequest, page: str, fragment: str, context: dict[str, Any]) -> HttpResponse:
    """Render `fragment` for an htmx swap and `page`, which includes it, otherwise."""
    response = render(request, fragment if wants_fragment(request) else page, context)
    patch_vary_headers(response, ["HX-Request"])  # else the Back button can show a bare fragment
    return response


def redirect_page(request: HtmxHttpRequest, to: Any, *args: Any, **kwargs: Any) -> HttpResponse:
    """Send the browser to another page, also when htmx asked."""
    url = resolve_url(to, *args, **kwargs)
    return HttpResponseClientRedirect(url) if wants_fragment(request) else HttpResponseRedirect(url)


def query_of_page(request: HtmxHttpRequest) -> QueryDict:
    """Return what the address of the page says that htmx asked from; nothing where the header is no address."""
    try:
        return QueryDict(urlsplit(request.htmx.current_url or "").query)
    except ValueError:
        return QueryDict()


def login_from(request: HtmxHttpRequest) -> str:
    """Return the sign-in page's address that leads back to the page, not the fragment, htmx asked from."""
    try:
        came_from = request.htmx.current_url_abs_path or "/"
    except ValueError:  # the header is no address
        came_from = "/"
    return f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': came_from})}"
