"""Pages of discovery."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse


def connection_discover(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    raise Http404


def connection_import(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    raise Http404
