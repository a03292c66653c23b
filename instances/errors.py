"""Errors of instances with names of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amchelper.exceptions import AmcHelperError, InvalidStateError

if TYPE_CHECKING:
    from instances.services.connection_test import ConnectionTest


class InstanceConnectionError(AmcHelperError):
    """The connection test failed; `test` tells at which step."""

    code = "instance_connection"
    http_status = 422

    def __init__(self, message: str, *, test: ConnectionTest) -> None:
        super().__init__(message)
        self.test = test


class InvalidInstanceConfiguration(AmcHelperError):  # noqa: N818  the name other parts and the API know
    """A value an instance cannot have; `field` names which of the `InstanceValues` it is, empty for none."""

    code = "invalid_instance"
    http_status = 422

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class StaleInstanceError(InvalidStateError):
    """Another user or tab changed the instance since the page was loaded."""

    code = "stale_instance"
