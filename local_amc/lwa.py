"""Login with Amazon: the consent page and the token endpoint."""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import json
import re
import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from werkzeug.utils import redirect
from werkzeug.wrappers import Request, Response

from local_amc.fixtures import BY_REFRESH_TOKEN, CLIENT_ID, CLIENT_SECRET, LOGINS
from local_amc.store import Code

if TYPE_CHECKING:
    from local_amc.server import LocalAmc

CODE_SECONDS = 300
TOKEN_SECONDS = 3600
SCOPES = frozenset(
    {"advertising::campaign_management", "advertising::audiences", "cpc_advertising:campaign_management"}
)
_REDIRECT_URI = re.compile(r"\Ahttps?://(127\.0\.0\.1|localhost|testserver|\[::1\])(:\d+)?/[^#\s]*\Z")

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Local AMC: sign in</title><link rel="stylesheet" href="/consent.css"></head>
<body><main><h1>Local AMC</h1>
<p>This page stands in for Login with Amazon. An application asks to use Amazon Marketing Cloud in your name.</p>
<form method="post" action="/ap/oa">{hidden}
<label for="login">Sign in as</label>
<select id="login" name="login">
<option value="healthy">healthy: everything works</option>
<option value="noterms">noterms: AMC terms not accepted</option>
</select>
<p class="buttons"><button name="answer" value="allow">Allow</button>
<button name="answer" value="cancel" class="plain">Cancel</button></p>
</form></main></body></html>"""

CONSENT_CSS = """body{font:16px/1.5 system-ui,sans-serif;background:#f5f6f8;color:#1b2430;margin:0}
main{max-width:26rem;margin:12vh auto;background:#fff;padding:2rem;border-radius:.5rem;border:1px solid #dde1e7}
h1{font-size:1.3rem;margin:0 0 .5rem}label{display:block;font-weight:600}
select,button{font:inherit;padding:.5rem .75rem;border-radius:.35rem;border:1px solid #b5bdc9;width:100%}
.buttons{display:flex;gap:.75rem}button{background:#0b5cad;color:#fff;cursor:pointer}.plain{background:#fff;color:#1b2430}
@media (prefers-color-scheme:dark){body{background:#14181d;color:#e6e9ee}
main{background:#1e242b;border-color:#333c47}select{background:#14181d;color:inherit}}
"""


def consent_page(app: LocalAmc, request: Request) -> Response:
    """Show who asks for what, after the checks Amazon makes before it redirects anybody."""
    problem = _bad_request(request.args)
    if problem:
        return problem
    failure = _redirect_error(request.args)
    if failure:
        return _back(request.args, error=failure)
    names = (
        "client_id",
        "redirect_uri",
        "scope",
        "response_type",
        "state",
        "code_challenge",
        "code_challenge_method",
    )
    hidden = "".join(
        f'<input type="hidden" name="{name}" value="{html.escape(request.args[name], quote=True)}">'
        for name in names
        if name in request.args
    )
    return Response(_PAGE.format(hidden=hidden), content_type="text/html; charset=utf-8")


def consent_answer(app: LocalAmc, request: Request) -> Response:
    """Send the browser back with a code, or with the refusal."""
    form = request.form
    problem = _bad_request(form)
    if problem:
        return problem
    failure = _redirect_error(form)
    if failure:
        return _back(form, error=failure)
    login = form.get("login", "healthy")
    if form.get("answer") != "allow" or login not in LOGINS:
        return _back(form, error="access_denied", error_description="User denied access")
    code = Code(
        code=secrets.token_urlsafe(15),
        login=login,
        client_id=form["client_id"],
        redirect_uri=form["redirect_uri"],
        challenge=form.get("code_challenge", ""),
        expires_at=app.clock.now().timestamp() + CODE_SECONDS,
    )
    app.store.add_code(code)
    return _back(form, code=code.code, scope=form.get("scope", ""))


def token(app: LocalAmc, request: Request) -> Response:
    """Issue tokens for both grants, from a form or a JSON body."""
    fields = _fields(request)
    grant = fields.get("grant_type")
    needed = {
        "authorization_code": ("code", "redirect_uri", "client_id", "client_secret"),
        "refresh_token": ("refresh_token", "client_id", "client_secret"),
    }
    if not grant:
        return _refusal(400, "invalid_request", "The request is missing a required parameter : grant_type")
    if grant not in needed:
        return _refusal(400, "unsupported_grant_type", "The grant type is not supported")
    for name in needed[grant]:
        if not fields.get(name):
            return _refusal(400, "invalid_request", f"The request is missing a required parameter : {name}")
    known = hmac.compare_digest(fields["client_id"], CLIENT_ID)
    if not (known and hmac.compare_digest(fields["client_secret"], CLIENT_SECRET)):
        return _refusal(401, "invalid_client", "Client authentication failed")
    if grant == "authorization_code":
        return _redeem_code(app, fields)
    login = BY_REFRESH_TOKEN.get(fields["refresh_token"])
    if login is None or login.is_revoked:
        return _refusal(400, "invalid_grant", "The request has an invalid grant parameter : refresh_token")
    return _issue(app, login.name)


def _redeem_code(app: LocalAmc, fields: dict[str, str]) -> Response:
    code = app.store.take_code(fields["code"])
    now = app.clock.now().timestamp()
    if (
        code is None
        or code.expires_at <= now
        or code.client_id != fields["client_id"]
        or code.redirect_uri != fields["redirect_uri"]
        or not _proves(fields.get("code_verifier", ""), code.challenge)
    ):
        return _refusal(400, "invalid_grant", "The request has an invalid grant parameter : code")
    return _issue(app, code.login)


def _proves(verifier: str, challenge: str) -> bool:
    if not challenge:
        return True
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return hmac.compare_digest(digest, challenge)


def _issue(app: LocalAmc, login: str) -> Response:
    access_token = f"Atza|{secrets.token_urlsafe(270)}"
    app.store.add_token(access_token, login, app.clock.now().timestamp() + TOKEN_SECONDS)
    body = {
        "access_token": access_token,
        "refresh_token": LOGINS[login].refresh_token,
        "token_type": "bearer",
        "expires_in": TOKEN_SECONDS,
    }
    return Response(json.dumps(body), content_type="application/json;charset=UTF-8")


def _fields(request: Request) -> dict[str, str]:
    if request.mimetype == "application/json":
        body = request.get_json(silent=True)
        return {name: str(value) for name, value in body.items()} if isinstance(body, dict) else {}
    return request.form.to_dict()


def _bad_request(values: dict[str, str]) -> Response | None:
    """Answer what must never redirect: an unknown client or return address."""
    if values.get("client_id") != CLIENT_ID:
        return _error_page("lwa-invalid-parameter-unknown-client-id")
    if not _REDIRECT_URI.match(values.get("redirect_uri", "")):
        return _error_page("lwa-invalid-parameter-bad-redirect-uri-vendor")
    return None


def _redirect_error(values: dict[str, str]) -> str:
    scopes = values.get("scope", "").split()
    if values.get("response_type") != "code":
        return "invalid_request"
    if not scopes or not set(scopes) <= SCOPES:
        return "invalid_scope"
    if values.get("code_challenge") and values.get("code_challenge_method") != "S256":
        return "invalid_request"
    return ""


def _back(values: dict[str, str], **answer: str) -> Response:
    if values.get("state"):
        answer["state"] = values["state"]
    uri = values["redirect_uri"]
    return redirect(f"{uri}{'&' if '?' in uri else '?'}{urlencode(answer)}", 302)


def _error_page(code: str) -> Response:
    page = f"<!doctype html><title>400</title><h1>We're sorry!</h1><p>An error occurred: {code}</p>"
    return Response(page, 400, content_type="text/html; charset=utf-8")


def _refusal(status: int, name: str, description: str) -> Response:
    body = {"error": name, "error_description": description, "request_id": secrets.token_hex(8)}
    return Response(json.dumps(body), status, content_type="application/json;charset=UTF-8")
