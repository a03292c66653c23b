"""What every page says about broken logins."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from instances.models import AmazonConnection


def reconnect_connections(request: HttpRequest) -> dict[str, Any]:
    """Return the logins that the user must connect again; lazy, so fragments do not pay for it."""

    def find() -> list[AmazonConnection]:
        return list(AmazonConnection.objects.editable_by(request.user).needing_reconnect().only("pk", "label"))

    return {"reconnect_connections": SimpleLazyObject(find)}
