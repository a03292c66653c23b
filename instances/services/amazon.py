"""From our rows to the AMC client: which host, which login, which token."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def amc_client(
    connection: AmazonConnection, region: str, *, policy: RetryPolicy = INTERACTIVE, pool_size: int = 4
) -> Iterator[AmcClient]:
    """Open a client for one login and region; afterwards keep a refreshed token and note a revoked login.

    Raises what `token_source` raises. No transaction may be open: the calls inside wait for Amazon.
    """
    source = token_source(connection)
    before = source.current
    hosts = hosts_for(region, settings.LOCAL_AMC_URL)
    client = AmcClient(
        hosts,
        settings.AMAZON_CLIENT_ID,
        source,
        local_url=settings.LOCAL_AMC_URL,
        throttle=get_throttle(hosts.api, str(connection.pk)),
        policy=policy,
        pool_size=pool_size,
    )
    try:
        with client:
            yield client
    except AmcAuthError as error:
        note_auth_error(connection, error)
        raise
    finally:
        if source.current is not None and source.current is not before:
            keep_tokens(connection, source)


def keep_tokens(connection: AmazonConnection, source: TokenSource) -> None:
    """Store the tokens that a refresh brought."""
    if source.current is not None:
        # What the row holds: the source may have moved on to a rotated token already.
        connection.keep_refreshed(tokens=source.current, used_refresh_token=connection.refresh_token)


def note_auth_error(connection: AmazonConnection, error: AmcAuthError) -> None:
    """Mark the login when Amazon said its grant is gone; a rejected access token alone does not."""
    if error.reason == "reconnect_required":
        connection.require_reconnect(error.message)


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
