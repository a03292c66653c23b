"""From our rows to the AMC client: which host, which login, which token."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self
from uuid import UUID

from django.conf import settings

from amchelper.exceptions import UndecryptableError
from amchelper.fields import Undecryptable
from instances.amc.auth import LoginClient, Tokens, TokenSource
from instances.amc.client import INTERACTIVE, AmcClient, RetryPolicy
from instances.amc.errors import AmcAuthError
from instances.amc.hosts import hosts_for
from instances.amc.throttle import get_throttle
from instances.models import AmazonConnection

_sources: dict[UUID, TokenSource] = {}
_sources_lock = threading.Lock()


def login_client(region: str) -> LoginClient:
    """Return the Login with Amazon client of a region with this deployment's credentials."""
    return LoginClient(
        hosts_for(region, settings.LOCAL_AMC_URL),
        settings.AMAZON_CLIENT_ID,
        settings.AMAZON_CLIENT_SECRET,
        local_url=settings.LOCAL_AMC_URL,
    )


def token_source(connection: AmazonConnection) -> TokenSource:
    """Return the connection's token source, one per process, so that concurrent callers refresh once.

    Raises AmcAuthError when the login must be connected again, UndecryptableError when its token cannot
    be read with the configured keys.
    """
    refresh_token = connection.refresh_token
    if isinstance(refresh_token, Undecryptable):
        raise UndecryptableError(
            f"The login “{connection.label}” cannot be read with the configured keys. Re-enter credentials: "
            "reconnect it."
        )
    if not connection.is_usable:
        raise AmcAuthError(f"The Amazon login “{connection.label}” is not connected. Reconnect it and try again.")
    with _sources_lock:
        source = _sources.get(connection.pk)
        if source is None or source.refresh_token != refresh_token:
            source = TokenSource(login_client(connection.region), refresh_token, _stored_tokens(connection))
            _sources[connection.pk] = source
    return source


class LoginSession:
    """What is open of one login while Amazon is asked: one token, and one client for every region.

    On leaving it keeps a refreshed token and notes a revoked login. Raises what `token_source` raises. No
    transaction may be open: the calls inside wait for Amazon. Entered and left in one thread; the clients may be
    used in many.
    """

    def __init__(
        self, connection: AmazonConnection, *, policy: RetryPolicy = INTERACTIVE, pool_size: int = 4
    ) -> None:
        self.connection, self.policy, self.pool_size = connection, policy, pool_size
        self._source = token_source(connection)
        self._tokens_before = self._source.current
        self._clients: dict[str, AmcClient] = {}
        self._revoked = ""
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()
        # A rejected access token alone does not end the grant.
        if isinstance(error, AmcAuthError) and error.reason == "reconnect_required":
            self.note_revoked(error.message)
        if self._revoked:
            self.connection.require_reconnect(self._revoked)
        tokens = self._source.current
        if tokens is not None and tokens is not self._tokens_before:
            # What the row holds: the source may have moved on to a rotated token already.
            self.connection.keep_refreshed(tokens=tokens, used_refresh_token=self.connection.refresh_token)

    def client(self, region: str) -> AmcClient:
        """Return the login's client for a region, opened when it is first asked for."""
        if region not in self._clients:
            hosts = hosts_for(region, settings.LOCAL_AMC_URL)
            self._clients[region] = self._stack.enter_context(
                AmcClient(
                    hosts,
                    settings.AMAZON_CLIENT_ID,
                    self._source,
                    local_url=settings.LOCAL_AMC_URL,
                    throttle=get_throttle(hosts.api, str(self.connection.pk)),
                    policy=self.policy,
                    pool_size=self.pool_size,
                )
            )
        return self._clients[region]

    def note_revoked(self, message: str) -> None:
        """Remember that Amazon said the grant is gone; the login is marked on leaving."""
        self._revoked = message


@contextmanager
def amc_client(
    connection: AmazonConnection, region: str, *, policy: RetryPolicy = INTERACTIVE, pool_size: int = 4
) -> Iterator[AmcClient]:
    """Open a client for one login and region, with what a `LoginSession` keeps, notes and raises."""
    with LoginSession(connection, policy=policy, pool_size=pool_size) as session:
        yield session.client(region)


def forget_tokens(connection: AmazonConnection) -> None:
    """Drop what this process keeps of a login, after it was replaced or disconnected."""
    with _sources_lock:
        _sources.pop(connection.pk, None)


def _stored_tokens(connection: AmazonConnection) -> Tokens | None:
    access_token = connection.access_token
    if not access_token or connection.access_token_expires_at is None:
        return None
    return Tokens(
        access_token=access_token,
        refresh_token=connection.refresh_token,
        expires_at=connection.access_token_expires_at,
    )
