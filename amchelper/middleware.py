"""Middleware: what a request may hold, signing in and messages for htmx, and a page for what is not there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.messages import get_messages
from django.core.exceptions import BadRequest, RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.http import HttpRequest, HttpResponse, HttpResponseBase, UnreadablePostError
from django.shortcuts import render
from django.template.defaultfilters import filesizeformat
from django.template.loader import render_to_string
from django.urls import reverse
from django_htmx.http import HttpResponseClientRedirect

from amchelper.access import MissingRowError
from amchelper.htmx import HtmxHttpRequest, login_from, wants_fragment

_MEGABYTE = 1024 * 1024
_CHUNK_BYTES = 64 * 1024
# More digits than any length has.
_MAX_DIGITS = 18
# How many times the limit is read, and thrown away, of what a signed-in user sends.
_MAX_DRAINED = 16
_NO_LENGTH = "This request does not say how long it is. Nothing was saved. Send it with a Content-Length."


class NoNulMiddleware:
    """Answer 400 to an address or a cookie with the character NUL, at which PostgreSQL fails.

    Nobody types it, and no page of ours makes it. Forms say themselves which of their fields holds it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        asked = [text for name, texts in request.GET.lists() for text in (name, *texts)]
        if any("\0" in text for text in (request.path_info, *asked, *request.COOKIES.values())):
            raise BadRequest("The character NUL stands in the address or in a cookie.")
        return self.get_response(request)


class _TooMuch(NamedTuple):
    """Why a request is refused, and how many bytes of it are read before the answer."""

    message: str
    drained: int = 0


class BodySizeMiddleware:
    """Answer 413 to a body that is too large, before anything reads it.

    Looking for a form's token parses the whole body, that of a stranger too; files of any size go to the disk.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HtmxHttpRequest) -> HttpResponse:
        too_much = _length_problem(request) or _form_problem(request)
        if too_much is None:
            return self.get_response(request)
        _drain(request, too_much.drained)
        if request.htmx:
            # The page shows the sentence, and its form stays as it is.
            return HttpResponse(too_much.message, status=413, content_type="text/plain; charset=utf-8")
        return render(request, "413.html", {"message": too_much.message}, status=413)


def _length_problem(request: HtmxHttpRequest) -> _TooMuch | None:
    """Look at the length alone; the user is only looked up when more depends on it."""
    text = request.META.get("CONTENT_LENGTH") or "0"
    if "HTTP_TRANSFER_ENCODING" in request.META or not (text.isascii() and text.isdecimal()):
        return _TooMuch(_NO_LENGTH)
    # Zeros in front are no digits that count: servers read such a length too.
    length, most = int(text.lstrip("0")[:_MAX_DIGITS] or 0), _most_bytes()
    most_signed_out = min(most, settings.MAX_BODY_KB_SIGNED_OUT * 1024)
    if length <= most_signed_out:
        return None
    found = filesizeformat(length)
    if not request.user.is_authenticated:
        return _TooMuch(
            f"You are not signed in, and then at most {filesizeformat(most_signed_out)} are taken at once; this has"
            f" {found}. Nothing was saved. Sign in in another tab, then send it again.",
            most,
        )
    if length <= most:
        return None
    return _TooMuch(
        f"This request has {found}; at most {filesizeformat(most)} are taken at once. Nothing was saved. Make the text"
        " or the file smaller, or split it.",
        _MAX_DRAINED * most,
    )


def _form_problem(request: HtmxHttpRequest) -> _TooMuch | None:
    """Read the form, as what comes next would, and say which of its limits it breaks."""
    try:
        request.POST  # noqa: B018  reads it
    except RequestDataTooBig:
        most = filesizeformat(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        sentence = (
            f"The fields of a form take at most {most} of text. Make it shorter; upload a long list as a file."
        )
    except TooManyFieldsSent:
        sentence = f"A form has at most {settings.DATA_UPLOAD_MAX_NUMBER_FIELDS:,} fields. Choose fewer at a time."
    except TooManyFilesSent:
        sentence = f"A form has at most {settings.DATA_UPLOAD_MAX_NUMBER_FILES:,} files. Send fewer at a time."
    except UnreadablePostError:
        # The client has gone; whoever reads next notices it too.
        return None
    else:
        return None
    return _TooMuch(f"This form holds more than is taken at once; nothing was saved. {sentence}", _most_bytes())


def _most_bytes() -> int:
    return int(settings.MAX_BODY_MB) * _MEGABYTE


def _drain(request: HttpRequest, most: int) -> None:
    """Read what is still being sent: a browser that is cut off shows a broken connection and not the answer."""
    with suppress(UnreadablePostError):
        while most > 0 and (chunk := request.read(_CHUNK_BYTES)):
            most -= len(chunk)


class HtmxLoginRequiredMiddleware(LoginRequiredMiddleware):
    """Every view is private; a signed-out htmx request leaves the page instead of filling a table."""

    def handle_no_permission(self, request: HttpRequest, view_func: Callable[..., Any]) -> Any:
        response = super().handle_no_permission(request, view_func)
        if not getattr(request, "htmx", None):
            return response
        return HttpResponseClientRedirect(login_from(request))  # type: ignore[arg-type]  # HtmxMiddleware ran


# Where rows of a kind are listed, which is the way on from one that is gone.
_LISTS = {
    "instance": ("instances:instance-list", "Instances"),
    "connection": ("instances:connection-list", "Connections"),
    "account": ("instances:connection-list", "Connections"),
    "health check": ("instances:health-list", "Health"),
    "run": ("executions:execution-list", "Runs"),
    "schedule": ("schedules:schedule-list", "Schedules"),
}


class MissingRowMiddleware:
    """Show what is not there on a page that says so and leads on, while developing too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer for a view that found no row; all else is as always."""
        if not isinstance(exception, MissingRowError):
            return None
        address, label = self._way_on(request, exception.noun)
        context = {"sentence": str(exception), "hint": exception.hint, "way_on": address, "way_on_label": label}
        return render(request, "404.html", context, status=404)

    @staticmethod
    def _way_on(request: HttpRequest, noun: str) -> tuple[str, str]:
        where = request.resolver_match.kwargs if request.resolver_match else {}
        if noun == "template" and "template_id" in where:
            return reverse("templates:template-list", args=[where["pk"]]), "Templates of this instance"
        name, label = _LISTS.get(noun, _LISTS["instance"])
        return reverse(name), label


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
