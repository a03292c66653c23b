"""Results over HTTP: links that die, files in parts, what the CSV looks like."""

# Queries are put together freely here.
# ruff: noqa: S608

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from local_amc.server import LocalAmcServer
from tests.local_amc.api import NOON, SQL, Api, read_csv
from tests.serving import PATIENCE

NUMBERS = "SELECT x, CAST(x AS VARCHAR) AS y FROM (VALUES (1), (2), (3), (4), (5), (6), (7)) AS numbers(x)"


def code(response: requests.Response) -> tuple[int, str]:
    """Return status and code of an answer in S3's XML."""
    assert response.headers["Content-Type"] == "application/xml"
    return response.status_code, response.text.partition("<Code>")[2].partition("</Code>")[0]


class TestLinks:
    def test_answer(self, api: Api) -> None:
        done = api.run()
        body = api.get(f"workflowExecutions/{done['workflowExecutionId']}/downloadUrls")
        assert set(body) == {"downloadUrls", "metadataDownloadUrls"}  # no token: there is no further page
        [link] = body["downloadUrls"]
        parts = urlsplit(link)
        assert f"{parts.scheme}://{parts.netloc}" == api.url
        assert parts.path == f"/results/amclocalus1/{done['workflowExecutionId']}/1.csv"
        assert {name: values for name, values in parse_qs(parts.query).items() if name == "X-Amz-Expires"} == {
            "X-Amz-Expires": ["600"]
        }
        response = requests.get(link, timeout=PATIENCE)
        assert (response.headers["Content-Type"], response.text) == ("text/csv", "x\n1\n2\n3\n")
        assert response.headers["Content-Length"] == str(len(response.content))

    def test_every_call_gives_another_link(self, api: Api) -> None:
        done = api.run()
        links = [api.links(done)[0] for _ in range(3)]
        assert len(set(links)) == 3
        assert {requests.get(link, timeout=PATIENCE).text for link in links} == {"x\n1\n2\n3\n"}

    def test_a_link_dies_after_ten_minutes(self, server: LocalAmcServer, api: Api) -> None:
        server.control("POST", "clock", {"set": "2026-11-20T12:00:00.2Z"})
        api = Api(server.url)
        done = api.run()
        [link] = api.links(done)
        server.control("POST", "clock", {"advance": 590})
        assert requests.get(link, timeout=PATIENCE).status_code == 200
        server.control("POST", "clock", {"advance": 11})
        dead = requests.get(link, timeout=PATIENCE)
        assert code(dead) == (403, "AccessDenied")
        assert "Request has expired" in dead.text
        assert requests.get(api.links(done)[0], timeout=PATIENCE).status_code == 200

    def test_a_changed_link_is_refused(self, api: Api) -> None:
        first, second = api.run(), api.run(NUMBERS)
        [link], [other] = api.links(first), api.links(second)
        path, query = link.split("?")
        for changed in (
            link.replace("X-Amz-Expires=600", "X-Amz-Expires=6000"),
            link.replace("X-Amz-Date=2", "X-Amz-Date=3"),
            link[:-1] + ("0" if link[-1] != "0" else "1"),
            f"{other.split('?')[0]}?{query}",
            f"{path}?{other.split('?')[1]}",
            link + "&x=1",
            path,
        ):
            assert code(requests.get(changed, timeout=PATIENCE)) == (403, "SignatureDoesNotMatch"), changed
        # Only the first of two values counts, for the signature and for the time.
        assert requests.get(link + "&X-Amz-Expires=99999", timeout=PATIENCE).status_code == 200

    def test_a_token_beside_the_signature_is_refused(self, api: Api) -> None:
        [link] = api.links(api.run())
        for value in (str(api.session.headers["Authorization"]), "Basic x"):
            response = requests.get(link, headers={"Authorization": value}, timeout=PATIENCE)
            assert code(response) == (400, "InvalidArgument")

    def test_no_link_before_success(self, server: LocalAmcServer, api: Api) -> None:
        server.arm("exec_stuck", count=1)
        open_, refused = api.create(), api.run("SELECT nothing FROM dsp_clicks GROUP BY 1")
        for execution in (open_, refused):
            key = execution["workflowExecutionId"]
            found = api.rejection("GET", f"workflowExecutions/{key}/downloadUrls")
            assert found == (400, f"Workflow execution with ID {key} is unavailable for download.")
        assert "does not exist" in api.rejection("GET", "workflowExecutions/nobody/downloadUrls")[1]

    def test_forgotten_results_are_gone(self, server: LocalAmcServer, api: Api) -> None:
        [link] = api.links(api.run())
        server.reset()
        server.control("POST", "clock", {"set": NOON})
        assert code(requests.get(link, timeout=PATIENCE)) == (404, "NoSuchKey")

    def test_metadata_says_what_ran(self, api: Api) -> None:
        done = api.run(NUMBERS)
        path = f"workflowExecutions/{done['workflowExecutionId']}/downloadUrls"
        [link] = api.get(path)["metadataDownloadUrls"]
        response = requests.get(link, timeout=PATIENCE)
        assert response.headers["Content-Type"] == "application/json"
        assert json.loads(response.content) == {
            "workflowId": done["workflowId"],
            "workflowExecutionId": done["workflowExecutionId"],
            "sqlQuery": NUMBERS,
            "rows": 7,
        }
        bearer = {"Authorization": "Bearer x"}
        assert code(requests.get(link, headers=bearer, timeout=PATIENCE)) == (400, "InvalidArgument")


class TestParts:
    @pytest.mark.parametrize(
        ("size", "rows"), [(7, [7]), (100, [7]), (3, [3, 3, 1]), (1, [1, 1, 1, 1, 3]), (2, [2, 2, 2, 1])]
    )
    def test_every_part_has_the_header(self, server: LocalAmcServer, api: Api, size: int, rows: list[int]) -> None:
        server.control("POST", "options", {"rows_per_part": size})
        parts = [read_csv(requests.get(link, timeout=PATIENCE)) for link in api.links(api.run(NUMBERS))]
        assert [part[0] for part in parts] == [["x", "y"]] * len(rows)
        assert [len(part) - 1 for part in parts] == rows
        assert [int(row[0]) for part in parts for row in part[1:]] == [1, 2, 3, 4, 5, 6, 7]

    def test_a_full_last_part_is_not_followed_by_an_empty_one(self, server: LocalAmcServer, api: Api) -> None:
        server.control("POST", "options", {"rows_per_part": 1})
        three = api.run("SELECT x FROM (VALUES (1), (2), (3)) AS t(x)")
        assert len(api.links(three)) == 3

    def test_an_empty_result_is_one_header(self, api: Api) -> None:
        done = api.run("SELECT x FROM (VALUES (1)) AS t(x) WHERE x > 1")
        [link] = api.links(done)
        assert (done["status"], requests.get(link, timeout=PATIENCE).text) == ("SUCCEEDED", "x\n")


class TestText:
    @pytest.mark.parametrize(
        ("expression", "text"),
        [
            ("'a,b'", '"a,b"'), ("'say \"hi\"'", '"say ""hi"""'), ("'two\nlines'", '"two\nlines"'), ("''", '""'),
            ("CAST(NULL AS VARCHAR)", '""'), ("'=1+1'", "=1+1"), ("'Kaffee ☕ Röstung'", "Kaffee ☕ Röstung"),
            ("1 = 1", "true"), ("1 = 2", "false"), ("9223372036854775807", "9223372036854775807"),
            ("CAST('2026-10-01 05:06:07.0891' AS TIMESTAMP)", "2026-10-01T05:06:07.089Z"),
            ("CAST('0012-10-01 00:00:00' AS TIMESTAMP)", "0012-10-01T00:00:00.000Z"),
            ("CAST('2026-10-01' AS DATE)", "2026-10-01"), ("CAST(1.50 AS DECIMAL(38,4))", "1.5000"),
            ("0.1 + 0.2", "0.3"), ("CAST(0.00001 AS DOUBLE)", "0.00001"), ("1E21 * 1", "1000000000000000000000"),
        ],
    )  # fmt: skip
    def test_values(self, api: Api, expression: str, text: str) -> None:
        [link] = api.links(api.run(f"SELECT {expression} AS v FROM (VALUES (1)) AS t(x)"))
        assert requests.get(link, timeout=PATIENCE).content.decode() == f"v\n{text}\n"

    @pytest.mark.parametrize(
        ("style", "text"),
        [
            ({}, 'a,b\n1,"it\'s, ""x"""\n'),
            ({"separatorCharacter": ";"}, 'a;b\n1;"it\'s, ""x"""\n'),
            ({"separatorCharacter": "\t", "quoteCharacter": "'"}, "a\tb\n1\t'it''s, \"x\"'\n"),
            ({"escapeCharacter": "\\"}, 'a,b\n1,"it\'s, \\"x\\""\n'),
            ({"separatorCharacter": "|", "quoteCharacter": "'", "escapeCharacter": "\\"}, "a|b\n1|it\\'s, \"x\"\n"),
        ],
    )  # fmt: skip
    def test_the_format_of_the_workflow(self, api: Api, style: dict[str, Any], text: str) -> None:
        sql = "SELECT x AS a, 'it''s, \"x\"' AS b FROM (VALUES (1)) AS t(x)"
        [link] = api.links(api.run(sql, workflow={"outputFormat": style}))
        assert requests.get(link, timeout=PATIENCE).content.decode() == text

    def test_headers_are_lower_case_and_unnamed_ones_numbered(self, api: Api) -> None:
        done = api.run("SELECT Campaign, SUM(clicks), COUNT(*) AS N FROM dsp_clicks GROUP BY 1")
        assert [column["name"] for column in done["outputColumns"]] == ["campaign", "expr$1", "n"]
        [link] = api.links(done)
        assert read_csv(requests.get(link, timeout=PATIENCE))[0] == ["campaign", "expr$1", "n"]

    def test_the_same_run_gives_the_same_rows(self, api: Api) -> None:
        window = {
            "timeWindowType": "EXPLICIT",
            "timeWindowStart": "2026-09-01T00:00:00",
            "timeWindowEnd": "2026-10-01T00:00:00",
        }
        first, second = (sorted(api.rows(SQL, **window)) for _ in range(2))
        assert first == second
        assert first
        assert sorted(api.rows(SQL, instance="amclocalsbx", requireSyntheticData=True, **window)) != first
