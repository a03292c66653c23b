"""Headers of every answer: what browsers and proxies may keep, and what a page may use of the device."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

# Of the device no page needs more than the clipboard, which is its own by default.
PERMISSIONS_POLICY = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer", "browsing-topics", "camera", "display-capture", "geolocation", "gyroscope", "magnetometer",
        "microphone", "midi", "payment", "screen-wake-lock", "serial", "usb",
    )
)  # fmt: skip


class PrivacyHeadersMiddleware:
    """Keep signed-in pages out of every cache; files may stay with the browser that fetched them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        if request.user.is_authenticated:
            is_file = response.get("Content-Disposition", "").startswith("attachment")
            response.headers.setdefault("Cache-Control", "private" if is_file else "private, no-store")
        return response
