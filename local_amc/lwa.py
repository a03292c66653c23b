"""Login with Amazon: the consent page and the token endpoint."""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from werkzeug.wrappers import Request, Response

from local_amc.fixtures import BY_REFRESH_TOKEN, CLIENT_ID, CLIENT_SECRETS, LOGINS
from local_amc.request_fields import read_object
from local_amc.responses import json_response
from local_amc.state import ServerState
from local_amc.store import Code, Token

CODE_SECONDS = 300
TOKEN_SECONDS = 3600
SCOPES = frozenset(
    {"advertising::campaign_management", "advertising::audiences", "cpc_advertising:campaign_management"}
)
# Programs on this machine only; "testserver" is what Django's test client calls itself.
_REDIRECT_URI = re.compile(r"\Ahttp://(127\.0\.0\.1|localhost|testserver)(:\d{1,5})?/[^#\s\\]*\Z")
_CHALLENGE = re.compile(r"\A[A-Za-z0-9_-]{43}\Z")
_NEEDED = {
    "authorization_code": ("code", "redirect_uri", "client_id", "client_secret"),
    "refresh_token": ("refresh_token", "client_id", "client_secret"),
}
# Cannot be a field's name in a form that a browser or library sends.
_REPEATED = "\0repeated"

_CONSENT_FIELDS = (
    "client_id",
    "redirect_uri",
    "scope",
    "response_type",
    "state",
    "code_challenge",
    "code_challenge_method",
)
# Whom the page offers; the revoked login cannot consent.
_CHOICES = ("healthy", "noterms")
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in – Local AMC</title><link rel="stylesheet" href="/consent.css"></head>
<body><main><h1>Local AMC</h1>
<p>This page stands in for Login with Amazon. An application asks to use Amazon Marketing Cloud in your name.</p>
<dl><dt>Application</dt><dd>{client_id}</dd><dt>May use</dt><dd>{scope}</dd></dl>
<form method="post" action="/ap/oa">{hidden}
<label for="login">Sign in as</label>
<select id="login" name="login">
<option value="healthy">healthy: everything works</option>
<option value="noterms">noterms: AMC terms not accepted</option>
</select>
<p class="buttons"><button name="answer" value="allow">Allow</button>
<button name="answer" value="cancel" class="plain">Cancel</button></p>
</form></main></body></html>"""

_CONSENT_CSS = """body{font:16px/1.5 system-ui,sans-serif;background:#f5f6f8;color:#1b2430;margin:0}
main{max-width:26rem;margin:10vh auto;box-sizing:border-box;background:#fff;
padding:2rem;border-radius:.5rem;border:1px solid #dde1e7}
h1{font-size:1.3rem;margin:0 0 .5rem}label{display:block;font-weight:600}
select,button{font:inherit;padding:.5rem .75rem;border-radius:.35rem;border:1px solid #b5bdc9;width:100%}
.buttons{display:flex;gap:.75rem}button{background:#0b5cad;color:#fff;cursor:pointer}
dt{font-weight:600}dd{margin:0 0 .75rem;overflow-wrap:anywhere}
button.plain{background:#fff;color:#1b2430}
@media (prefers-color-scheme:dark){body{background:#14181d;color:#e6e9ee}
main{background:#1e242b;border-color:#333c47}select,button.plain{background:#14181d;color:inherit}}
"""


def consent_css(state: ServerState, request: Request) -> Response:
    """Return the consent page's style."""
    return Response(_CONSENT_CSS, content_type="text/css; charset=utf-8")


def consent(state: ServerState, request: Request) -> Response:
    """Show who asks for what, or send the browser back; first the checks after which Amazon never redirects."""
    values = request.form if request.method == "POST" else request.args
    rejection = _reject_unknown_client(values)
    if rejection:
        return rejection
    failure = _redirect_error(values)
    if failure:
        return _redirect_back(values, error=failure, error_description="The request cannot be served")
    return _decide(state, request.form) if request.method == "POST" else _show(request.args)


def _show(asked: Mapping[str, str]) -> Response:
    hidden = "".join(
        f'<input type="hidden" name="{name}" value="{html.escape(asked[name])}">'
        for name in _CONSENT_FIELDS
        if name in asked
    )
    page = _PAGE.format(
        client_id=html.escape(asked["client_id"]), scope=html.escape(asked["scope"]), hidden=hidden
    )
    return Response(page, content_type="text/html; charset=utf-8")


def _decide(state: ServerState, form: Mapping[str, str]) -> Response:
    login = form.get("login", _CHOICES[0])
    if form.get("answer") != "allow" or login not in _CHOICES:
        return _redirect_back(form, error="access_denied", error_description="User denied access")
    code = secrets.token_urlsafe(15)
    bound = Code(
        login=login,
        client_id=form["client_id"],
        redirect_uri=form["redirect_uri"],
        challenge=form.get("code_challenge", ""),
        expires_at=state.clock.timestamp() + CODE_SECONDS,
    )
    state.store.add_code(code, bound)
    return _redirect_back(form, code=code, scope=form["scope"])


def token(state: ServerState, request: Request) -> Response:
    """Issue tokens for both grants, from a form or a JSON body."""
    fields = _fields(request)
    grant = fields.get("grant_type", "")
    rejection = _reject_form(grant, fields) or _reject_client(fields)
    if rejection:
        return rejection
    if grant == "authorization_code":
        return _redeem_code(state, fields)
    if not set(fields.get("scope", "").split()) <= SCOPES:
        return _rejection(400, "invalid_scope", "The scope is unknown or was not granted")
    login = BY_REFRESH_TOKEN.get(fields["refresh_token"])
    if login is None or login.is_revoked:
        return _rejection(400, "invalid_grant", "The request has an invalid grant parameter : refresh_token")
    return _issue(state, login.name, fields["client_id"])


def _reject_form(grant: str, fields: dict[str, str]) -> Response | None:
    """Return the rejection of a request whose fields are missing, repeated or of an unknown grant."""
    if _REPEATED in fields:
        text = f"The request includes a parameter more than once : {fields[_REPEATED]}"
        return _rejection(400, "invalid_request", text)
    if not grant:
        return _rejection(400, "invalid_request", "The request is missing a required parameter : grant_type")
    if grant not in _NEEDED:
        return _rejection(400, "unsupported_grant_type", "The grant type is not supported")
    for name in _NEEDED[grant]:
        if not fields.get(name):
            return _rejection(400, "invalid_request", f"The request is missing a required parameter : {name}")
    return None


def _reject_client(fields: dict[str, str]) -> Response | None:
    """Return the rejection of a client that is not who it says, or not approved."""
    secret = CLIENT_SECRETS.get(fields["client_id"], "")
    if not secret or not _same(fields["client_secret"], secret):
        return _rejection(401, "invalid_client", "Client authentication failed")
    if fields["client_id"] != CLIENT_ID:
        return _rejection(400, "unauthorized_client", "The client is not authorized for this grant")
    return None


def _redeem_code(state: ServerState, fields: dict[str, str]) -> Response:
    # Taken whatever comes next: a code that was shown to another client is worth nothing afterwards.
    code = state.store.take_code(fields["code"])
    if (
        code is None
        or code.expires_at <= state.clock.timestamp()
        or code.client_id != fields["client_id"]
        or code.redirect_uri != fields["redirect_uri"]
        or not _proves(fields.get("code_verifier", ""), code.challenge)
    ):
        return _rejection(400, "invalid_grant", "The request has an invalid grant parameter : code")
    return _issue(state, code.login, code.client_id)


def _proves(verifier: str, challenge: str) -> bool:
    if not challenge:
        return True
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return _same(digest, challenge)


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def _issue(state: ServerState, login: str, client_id: str) -> Response:
    access_token = f"Atza|{secrets.token_urlsafe(270)}"
    now = state.clock.timestamp()
    state.store.add_token(access_token, Token(login, client_id, issued_at=now, expires_at=now + TOKEN_SECONDS))
    return _uncached(
        {
            "access_token": access_token,
            "refresh_token": LOGINS[login].refresh_token,
            "token_type": "bearer",
            "expires_in": TOKEN_SECONDS,
        }
    )


def _fields(request: Request) -> dict[str, str]:
    """Return a form's or JSON body's fields; a repeated one is noted under its own key."""
    if request.mimetype == "application/json":
        with suppress(ValueError):
            return {name: _plain(value) for name, value in read_object(request).items()}
        return {}
    repeated = [name for name, values in request.form.lists() if len(values) > 1]
    return {**request.form.to_dict(), **({_REPEATED: repeated[0]} if repeated else {})}


def _plain(value: Any) -> str:
    return str(value).encode(errors="replace").decode()


def _reject_unknown_client(values: Mapping[str, str]) -> Response | None:
    """Return the page for what must never redirect: an unknown client or return address."""
    if values.get("client_id") not in CLIENT_SECRETS:
        return _error_page("lwa-invalid-parameter-unknown-client-id")
    if not _REDIRECT_URI.match(values.get("redirect_uri", "")):
        return _error_page("lwa-invalid-parameter-bad-redirect-uri-vendor")
    return None


def _redirect_error(values: Mapping[str, str]) -> str:
    """Return the OAuth code of what is wrong, or nothing."""
    scopes = values.get("scope", "").split()
    challenge, method = values.get("code_challenge", ""), values.get("code_challenge_method", "")
    if values.get("client_id") != CLIENT_ID:
        return "unauthorized_client"
    if values.get("response_type") != "code":
        return "invalid_request"
    if not scopes or not set(scopes) <= SCOPES:
        return "invalid_scope"
    if (challenge or method) and (method != "S256" or not _CHALLENGE.match(challenge)):
        return "invalid_request"
    return ""


def _redirect_back(values: Mapping[str, str], **parameters: str) -> Response:
    if values.get("state"):
        parameters["state"] = values["state"]
    uri = values["redirect_uri"]
    location = f"{uri}{'&' if '?' in uri else '?'}{urlencode(parameters)}"
    return Response(status=302, headers={"Location": location, "Cache-Control": "no-store"})


def _error_page(code: str) -> Response:
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Error – Local AMC</title>'
        '<link rel="stylesheet" href="/consent.css"></head><body><main><h1>We are sorry</h1>'
        f"<p>An error occurred when we tried to process your request: <code>{code}</code></p></main></body></html>"
    )
    return Response(page, 400, content_type="text/html; charset=utf-8")


def _rejection(status: int, name: str, description: str) -> Response:
    body = {"error": name, "error_description": description, "request_id": secrets.token_hex(8)}
    return _uncached(body, status)


def _uncached(body: dict[str, Any], status: int = 200) -> Response:
    response = json_response(body, status, "application/json;charset=UTF-8")
    response.headers["Cache-Control"] = "no-store"
    return response
