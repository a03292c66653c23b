"""Pages of checks."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse


def check_create(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    raise Http404


def check_detail(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    raise Http404


def instance_check(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    raise Http404
