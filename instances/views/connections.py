"""Pages of connections."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse


def connection_list(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    raise Http404


def connection_start(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    raise Http404


def connection_callback(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    raise Http404


def connection_paste(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    raise Http404


def connection_detail(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    raise Http404


def connection_update(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    raise Http404


def connection_reconnect(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    raise Http404


def connection_disconnect(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    raise Http404


def connection_delete(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    raise Http404


def account_create(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    raise Http404
