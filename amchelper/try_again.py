"""The answer "not now": whoever asked keeps what was typed, and may send it again."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse, HttpResponseBase, UnreadablePostError
from django.middleware.csrf import get_token
from django.template.loader import render_to_string

from amchelper.busy import RETRY_AFTER_SECONDS, BusyError, is_busy
from amchelper.htmx import wants_fragment
from amchelper.limits import TooManyError

logger = logging.getLogger(__name__)

BUSY = "Others are saving at this moment, and the database did not get to yours in time."
_TITLES = {429: "Too much at once", 503: "Busy for a moment"}


class TryAgainMiddleware:
    """Answer a busy database with 503 and a user's limit with 429, both in a way that loses nothing."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = self.get_response(request)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Return the answer to what may succeed in a moment; None for every other error."""
        if isinstance(exception, TooManyError):
            return _answer(request, 429, exception.message, exception.seconds)
        return _busy_answer(request, exception) if is_busy(exception) else None


class BusySessionMiddleware(SessionMiddleware):
    """Sessions are saved after the view, where no middleware sees what is raised: the same answer for them."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        try:
            return super().process_response(request, response)
        except Exception as error:
            # Django takes any error of the database here for a session that was deleted.
            busy = next((one for one in _with_contexts(error) if is_busy(one)), None)
            if busy is None:
                raise
            return _busy_answer(request, busy)


def _with_contexts(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__context__


def _busy_answer(request: HttpRequest, error: BaseException) -> HttpResponse:
    message = error.message if isinstance(error, BusyError) else BUSY
    logger.warning("database busy method=%s path=%s error=%s", request.method, request.path, error)
    return _answer(request, 503, f"{message} Try again in a moment.", RETRY_AFTER_SECONDS)


def _answer(request: HttpRequest, status: int, message: str, seconds: int) -> HttpResponse:
    """Return a sentence for htmx, which leaves the form in place, and else a page that holds what was sent."""
    headers = {"Retry-After": str(seconds), "Cache-Control": "no-store"}
    if getattr(request, "htmx", False) and wants_fragment(request):  # type: ignore[arg-type]  # HtmxMiddleware ran
        response = HttpResponse(message, status=status, headers=headers, content_type="text/plain; charset=utf-8")
    else:
        # Without the request: what every other page shows would be read from the database.
        context = {
            "status": status,
            "title": _TITLES[status],
            "message": message,
            "address": request.get_full_path(),
            "is_post": request.method == "POST",
            "kept": _kept(request),
            "csrf_token": get_token(request),
        }
        response = HttpResponse(render_to_string("try_again.html", context), status=status, headers=headers)
    # Said above, in one line; Django would add one that looks like a fault.
    response._has_been_logged = True  # type: ignore[attr-defined]  # what its log_response looks at
    return response


def _kept(request: HttpRequest) -> list[tuple[str, str]] | None:
    """Return the fields of a form to be sent again; None where only the browser can, which still has all of it.

    A page must not hold passwords, and cannot hold files.
    """
    if request.method != "POST" or hasattr(request, "sensitive_post_parameters"):
        return None
    try:
        if request.FILES:
            return None
        lists = request.POST.lists()
    except UnreadablePostError:
        return None
    return [(name, str(text)) for name, texts in lists if name != "csrfmiddlewaretoken" for text in texts]
