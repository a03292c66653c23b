"""Pages of instances."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse


def instance_list(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    raise Http404


def instance_create(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    raise Http404


def brand_list(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    raise Http404


def instance_detail(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    raise Http404


def instance_update(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    raise Http404


def instance_delete(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    raise Http404


def instance_enable(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    raise Http404


def instance_disable(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    raise Http404
