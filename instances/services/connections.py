"""Connect Amazon logins: consent, pasted tokens, disconnect."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.db import IntegrityError, transaction
from django.utils import timezone

from amchelper.access import pk_of
from amchelper.exceptions import AmcHelperError, InvalidStateError
from amchelper.models import User
from instances.amc.auth import Tokens, pkce_pair
from instances.amc.errors import AmcAuthError
from instances.amc.time_limits import PAGE_SECONDS, time_limit
from instances.models import AmazonConnection, AMCAccount
from instances.services.amazon import forget_tokens, login_client
from instances.services.pasted_tokens import read_refresh_token

logger = logging.getLogger(__name__)

# Amazon's code lives five minutes; the rest is for reading the consent page.
CONSENT_SECONDS = 600
_SESSION_KEY = "amazon_consents"
# One per open tab; more can only be left over.
_MAX_PENDING = 10

NAME_TAKEN = "You have a connection with this name already."
ACCOUNT_TAKEN = "This login has this account and marketplace already."
_NOT_APPROVED = (
    "Amazon does not allow this deployment's client to use the Ads API. An administrator must ask Amazon to "
    "approve the client."
)
_TROUBLE = "Amazon's sign-in has trouble at the moment. Try again in a few minutes."
_REFUSALS = {
    "access_denied": "Amazon reports that consent was not given, so nothing was connected. Try again when you "
    "are ready, with a login that has access to AMC.",
    "unauthorized_client": _NOT_APPROVED,
    "invalid_scope": _NOT_APPROVED,
    "invalid_request": "Amazon did not understand the request. An administrator must check AMAZON_CLIENT_ID.",
    "server_error": _TROUBLE,
    "temporarily_unavailable": _TROUBLE,
}


@dataclass(frozen=True)
class Consent:
    """A consent on its way: who asked for what; `connection` is empty for a new one."""

    user: str
    verifier: str
    redirect_uri: str
    label: str
    region: str
    connection: str
    started_at: float


class ConsentError(AmcHelperError):
    """Connecting failed; `consent` holds what was asked for, where that is known."""

    code = "consent_failed"

    def __init__(self, message: str, consent: Consent | None = None) -> None:
        super().__init__(message)
        self.consent = consent


def start_consent(
    *,
    session: SessionBase,
    actor: User,
    redirect_uri: str,
    label: str,
    region: str,
    connection: AmazonConnection | None = None,
) -> str:
    """Remember the consent in the session; returns the address of Amazon's consent page.

    Raises AmcHelperError when this deployment has no client at Amazon.
    """
    _require_client()
    state = secrets.token_urlsafe(32)
    verifier, challenge = pkce_pair()
    consent = Consent(
        user=str(actor.pk),
        verifier=verifier,
        redirect_uri=redirect_uri,
        label=label,
        region=region,
        connection=str(connection.pk) if connection else "",
        started_at=timezone.now().timestamp(),
    )
    pending = {**session.get(_SESSION_KEY, {}), state: asdict(consent)}
    session[_SESSION_KEY] = dict(list(pending.items())[-_MAX_PENDING:])
    return login_client(region).authorize_url(redirect_uri, state, challenge)


def finish_consent(
    *, session: SessionBase, actor: User, answer: Mapping[str, str]
) -> tuple[AmazonConnection, bool]:
    """Redeem Amazon's answer; returns the connection and whether it is new.

    Raises ConsentError for an answer that cannot be used, AmcError when Amazon cannot be asked.
    """
    consent = _take_consent(session, actor, answer.get("state", ""))
    if "error" in answer:
        raise ConsentError(_refusal(answer["error"]), consent)
    if not answer.get("code"):
        raise ConsentError("Amazon sent no answer that can be used. Connect again.", consent)
    login = login_client(consent.region)
    try:
        with time_limit(PAGE_SECONDS):
            tokens = login.exchange_code(answer["code"], consent.redirect_uri, consent.verifier)
    except AmcAuthError:
        raise ConsentError("Amazon's answer is too old or was used already. Connect again.", consent) from None
    except AmcHelperError as error:
        raise ConsentError(error.message, consent) from error
    if not tokens.refresh_token:
        raise ConsentError("Amazon sent no refresh token, so nothing was connected. Connect again.", consent)
    return _keep(
        actor=actor,
        tokens=tokens,
        label=consent.label,
        region=consent.region,
        pk=UUID(consent.connection) if consent.connection else None,
    )


def connect_with_refresh_token(
    *, actor: User, refresh_token: str, label: str, region: str, connection: AmazonConnection | None = None
) -> tuple[AmazonConnection, bool]:
    """Prove a pasted token with a refresh at Amazon, then keep it; returns the connection and whether it is new.

    Raises PastedTokenError for a text that holds none, ConsentError when Amazon does not accept it, AmcError when
    Amazon cannot be asked in PAGE_SECONDS.
    """
    _require_client()
    token = read_refresh_token(refresh_token)
    try:
        with time_limit(PAGE_SECONDS):
            tokens = login_client(region).refresh(token)
    except AmcAuthError:
        raise ConsentError(
            "Amazon does not accept this refresh token: it was revoked, is incomplete, or was issued to another "
            "client ID. Paste it again, or connect with Amazon instead."
        ) from None
    return _keep(actor=actor, tokens=tokens, label=label, region=region, pk=connection.pk if connection else None)


def update_connection(connection: AmazonConnection, *, actor: User | None) -> None:
    """Save another name and region; raises InvalidStateError when another tab took the name."""
    try:
        with transaction.atomic():
            # Named fields: a token that was refreshed meanwhile must not be undone.
            connection.save(update_fields=["label", "region", "updated_at"])
    except IntegrityError:
        raise InvalidStateError(NAME_TAKEN) from None
    forget_tokens(connection)
    logger.info("connection updated connection=%s actor=%s", connection.pk, pk_of(actor))


def disconnect(connection: AmazonConnection, *, actor: User | None) -> None:
    """Forget the tokens; accounts and instances stay."""
    connection.disconnect()
    forget_tokens(connection)
    logger.info("connection disconnected connection=%s actor=%s", connection.pk, pk_of(actor))


def add_account(account: AMCAccount, *, actor: User | None) -> None:
    """Save an account that was typed by hand; raises InvalidStateError when the login has it already."""
    try:
        with transaction.atomic():
            account.save(force_insert=True)
    except IntegrityError:
        raise InvalidStateError(ACCOUNT_TAKEN) from None
    logger.info("account added account=%s actor=%s", account.pk, pk_of(actor))


def _require_client() -> None:
    if not (settings.AMAZON_CLIENT_ID and settings.AMAZON_CLIENT_SECRET):
        raise AmcHelperError(
            "This deployment is not registered at Amazon yet. An administrator must set AMAZON_CLIENT_ID and "
            "AMAZON_CLIENT_SECRET."
        )


def _take_consent(session: SessionBase, actor: User, state: str) -> Consent:
    """Take the consent out of the session, so that an answer works once; raises ConsentError."""
    pending: dict[str, dict[str, Any]] = dict(session.get(_SESSION_KEY, {}))
    stored = pending.pop(state, None)
    if stored is None:
        raise ConsentError(
            "This answer belongs to no connection that was started in this browser, or it was used already. "
            "Connect again."
        )
    session[_SESSION_KEY] = pending
    consent = Consent(**stored)
    if consent.user != str(actor.pk):
        raise ConsentError("This connection was started by another user. Connect again.")
    if timezone.now().timestamp() - consent.started_at > CONSENT_SECONDS:
        raise ConsentError("Connecting took longer than ten minutes, so it was stopped. Connect again.", consent)
    return consent


def _refusal(code: str) -> str:
    # The code comes with the address: an unknown one is shown only if it looks like a code.
    shown = code if re.fullmatch(r"[a-z_]{1,40}", code) else "unknown error"
    return _REFUSALS.get(code, f"Amazon ended the sign-in: {shown}. Connect again.")


def _keep(
    *, actor: User, tokens: Tokens, label: str, region: str, pk: UUID | None
) -> tuple[AmazonConnection, bool]:
    try:
        connection, is_new = _save(actor, tokens, label, region, pk)
    except IntegrityError:
        # Another tab took the name between our look and our insert; the second look sees it.
        connection, is_new = _save(actor, tokens, label, region, pk)
    forget_tokens(connection)
    logger.info("connection connected connection=%s actor=%s new=%s", connection.pk, pk_of(actor), is_new)
    return connection, is_new


def _save(actor: User, tokens: Tokens, label: str, region: str, pk: UUID | None) -> tuple[AmazonConnection, bool]:
    with transaction.atomic():
        editable = AmazonConnection.objects.editable_by(actor)
        # One that was deleted while its owner was at Amazon comes back as a new one.
        existing = editable.select_for_update().filter(pk=pk).first() if pk else None
        connection = existing or AmazonConnection.objects.create(
            user=actor, label=_free_label(actor, label), region=region, status=AmazonConnection.Status.DISCONNECTED
        )
        connection.store_tokens(
            refresh_token=tokens.refresh_token, access_token=tokens.access_token, expires_at=tokens.expires_at
        )
    return connection, existing is None


def _free_label(owner: User, label: str) -> str:
    """Return `label`, numbered if another tab took it since the form was checked: a consent is not thrown away."""
    labels = AmazonConnection.objects.owned_by(owner).values_list("label", flat=True)
    others = {name.casefold() for name in labels}
    free, number = label, 2
    while free.casefold() in others:
        free, number = f"{label[:90]} ({number})", number + 1
    return free
