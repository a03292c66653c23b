"""What every page says about broken logins."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from instances.models import AmazonConnection


def reconnect_connections(request: HttpRequest) -> dict[str, Any]:
    """Return the user's logins that must be connected again; lazy, so fragments do not pay for it."""

    def find() -> list[AmazonConnection]:
        return list(AmazonConnection.objects.visible_to(request.user).needing_reconnect().only("pk", "label"))

    return {"reconnect_connections": SimpleLazyObject(find)}
