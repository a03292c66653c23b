from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from tests.local_amc.client import CHALLENGE, CLIENT, CLIENT_ID, REDIRECT_URI, VERIFIER, LocalAmcTests
from tests.serving import PATIENCE

ASKED = {
    "client_id": CLIENT_ID,
    "scope": "advertising::campaign_management",
    "response_type": "code",
    "redirect_uri": REDIRECT_URI,
    "state": "a state & more",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


class ConsentTests(LocalAmcTests):
    def page(self, **changed: str) -> requests.Response:
        url = f"{self.amc.url}/ap/oa"
        return self.session.get(url, params={**ASKED, **changed}, allow_redirects=False, timeout=PATIENCE)

    def answer(self, **changed: str) -> requests.Response:
        form = {**ASKED, "login": "healthy", "answer": "allow", **changed}
        return self.session.post(f"{self.amc.url}/ap/oa", data=form, allow_redirects=False, timeout=PATIENCE)

    def back(self, response: requests.Response) -> dict[str, str]:
        self.assertEqual(response.status_code, 302)
        parts = urlsplit(response.headers["Location"])
        self.assertEqual(f"{parts.scheme}://{parts.netloc}{parts.path}", REDIRECT_URI)
        return {name: values[0] for name, values in parse_qs(parts.query).items()}

    def redeem(self, code: str, **changed: str) -> requests.Response:
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI,
            "code_verifier": VERIFIER, **CLIENT, **changed,
        }  # fmt: skip
        return self.session.post(f"{self.amc.url}/auth/o2/token", data=form, timeout=PATIENCE)

    def test_page_names_the_application_and_offers_both_logins(self) -> None:
        response = self.page(state='"><script>')
        self.assertEqual(response.status_code, 200)
        for text in (CLIENT_ID, "Allow", "Cancel", 'value="healthy"', 'value="noterms"'):
            self.assertIn(text, response.text)
        self.assertNotIn("<script>", response.text)
        self.assertNotIn("style=", response.text)
        style = self.session.get(f"{self.amc.url}/consent.css", timeout=PATIENCE)
        self.assertEqual((style.status_code, style.headers["Content-Type"]), (200, "text/css; charset=utf-8"))

    def test_foreign_return_address_never_redirects(self) -> None:
        for uri in (
            "", "https://evil.example.com/", "http://127.0.0.1.example.com/", "http://localhost:80@example.com/",
            "http://localhost", "javascript:alert(1)", "http://localhost:8000/#part",
        ):  # fmt: skip
            for response in (self.page(redirect_uri=uri), self.answer(redirect_uri=uri)):
                with self.subTest(uri):
                    self.assertEqual(response.status_code, 400)
                    self.assertIn("lwa-invalid-parameter-bad-redirect-uri-vendor", response.text)

    def test_local_return_addresses_are_allowed(self) -> None:
        for uri in ("http://127.0.0.1:8000/x", "http://localhost/", "http://localhost:3000/a/b?c=d"):
            self.assertEqual(self.page(redirect_uri=uri).status_code, 200, uri)

    def test_unknown_client_sees_an_error_page(self) -> None:
        self.assertEqual(self.page(client_id="somebody").status_code, 400)

    def test_wrong_requests_go_back_with_the_oauth_error(self) -> None:
        cases = [
            ({"response_type": "token"}, "invalid_request"),
            ({"scope": "profile"}, "invalid_scope"),
            ({"scope": ""}, "invalid_scope"),
            ({"code_challenge_method": "plain"}, "invalid_request"),
            ({"code_challenge": "short"}, "invalid_request"),
            ({"client_id": "amzn1.application-oa2-client.unapproved"}, "unauthorized_client"),
        ]
        for changed, expected in cases:
            with self.subTest(changed):
                answer = self.back(self.page(**changed))
                self.assertEqual((answer["error"], answer["state"]), (expected, ASKED["state"]))

    def test_cancel_and_a_login_that_cannot_consent_are_denied(self) -> None:
        for changed in ({"answer": "cancel"}, {"login": "revoked"}, {"login": "nobody"}):
            answer = self.back(self.answer(**changed))
            self.assertEqual((answer["error"], answer["state"]), ("access_denied", ASKED["state"]))
            self.assertNotIn("code", answer)

    def test_allowing_gives_the_refresh_token_of_the_chosen_login(self) -> None:
        for login in ("healthy", "noterms"):
            answer = self.back(self.answer(login=login))
            self.assertEqual((answer["state"], answer["scope"]), (ASKED["state"], ASKED["scope"]))
            tokens = self.redeem(answer["code"]).json()
            self.assertEqual(tokens["refresh_token"], f"Atzr|local-{login}")
            self.assertEqual((tokens["token_type"], tokens["expires_in"]), ("bearer", 3600))
            self.assertTrue(tokens["access_token"].startswith("Atza|"))
            self.assertGreaterEqual(len(tokens["access_token"]), 350)

    def test_code_works_once(self) -> None:
        code = self.back(self.answer())["code"]
        self.assertEqual(self.redeem(code).status_code, 200)
        again = self.redeem(code)
        self.assertEqual((again.status_code, again.json()["error"]), (400, "invalid_grant"))

    def test_code_lives_five_minutes(self) -> None:
        for seconds, status in ((295, 200), (301, 400)):
            code = self.back(self.answer())["code"]
            self.amc.control("POST", "clock", {"advance": seconds})
            self.assertEqual(self.redeem(code).status_code, status)

    def test_code_is_bound_to_address_and_challenge(self) -> None:
        for changed in (
            {"redirect_uri": "http://127.0.0.1:8000/other/"}, {"code_verifier": "another"}, {"code_verifier": ""},
        ):  # fmt: skip
            with self.subTest(changed):
                response = self.redeem(self.back(self.answer())["code"], **changed)
                self.assertEqual((response.status_code, response.json()["error"]), (400, "invalid_grant"))

    def test_challenge_is_optional(self) -> None:
        code = self.back(self.answer(code_challenge="", code_challenge_method=""))["code"]
        self.assertEqual(self.redeem(code, code_verifier="").status_code, 200)


class TokenTests(LocalAmcTests):
    def test_json_body_works_too(self) -> None:
        body = {"grant_type": "refresh_token", "refresh_token": "Atzr|local-healthy", **CLIENT}
        response = self.session.post(f"{self.amc.url}/auth/o2/token", json=body, timeout=PATIENCE)
        self.assertEqual(response.json()["refresh_token"], "Atzr|local-healthy")

    def test_rejections(self) -> None:
        cases: list[tuple[dict[str, Any], int, str]] = [
            ({"refresh_token": "Atzr|local-revoked"}, 400, "invalid_grant"),
            ({"refresh_token": "Atzr|unknown"}, 400, "invalid_grant"),
            ({"refresh_token": None}, 400, "invalid_request"),
            ({"refresh_token": ""}, 400, "invalid_request"),
            ({"grant_type": None}, 400, "invalid_request"),
            ({"client_secret": None}, 400, "invalid_request"),
            ({"client_id": [CLIENT_ID, "another"]}, 400, "invalid_request"),
            ({"grant_type": "password"}, 400, "unsupported_grant_type"),
            ({"client_id": "somebody"}, 401, "invalid_client"),
            ({"client_secret": "wrong"}, 401, "invalid_client"),
            ({"client_secret": "wröng"}, 401, "invalid_client"),
            ({"client_id": "amzn1.application-oa2-client.unapproved"}, 400, "unauthorized_client"),
            ({"scope": "profile"}, 400, "invalid_scope"),
        ]
        for changed, status, name in cases:
            with self.subTest(changed):
                response = self.refresh(**changed)
                self.assertEqual((response.status_code, response.json()["error"]), (status, name))
                self.assertTrue(response.json()["error_description"])

    def test_a_new_token_leaves_the_older_one_valid_until_its_end(self) -> None:
        old = self.headers()
        self.amc.control("POST", "clock", {"advance": 3000})
        new = self.headers()
        self.assertNotEqual(old["Authorization"], new["Authorization"])
        self.assertEqual(self.get("/amc/accounts", old).status_code, 200)
        self.amc.control("POST", "clock", {"advance": 601})
        self.assertEqual(self.get("/amc/accounts", old).status_code, 401)
        self.assertEqual(self.get("/amc/accounts", new).status_code, 200)
