"""Declared parameters and their values, over HTTP: every type, arrays, defaults, and what is refused."""

# Queries are put together freely here.

from __future__ import annotations

from typing import Any

import pytest

from tests.local_amc.api import Api
from tests.serving import PATIENCE

ECHO = "SELECT CUSTOM_PARAMETER('p') AS v FROM (VALUES (1)) AS one(x)"
MISSING: Any = object()


def array(kind: str) -> dict[str, Any]:
    return {"type": "ARRAY", "elementDataType": kind, "elementNullable": False}


def asked(
    data_type: Any, value: Any = MISSING, default: Any = MISSING, sql: str = ECHO
) -> tuple[str, dict[str, Any]]:
    definition = {"name": "p", "dataType": data_type}
    if default is not MISSING:
        definition["defaultValue"] = default
    body: dict[str, Any] = {"workflow": {"inputParameters": [definition]}}
    if value is not MISSING:
        body["parameterValues"] = {"p": value}
    return sql, body


def echo(api: Api, data_type: Any, value: Any = MISSING, default: Any = MISSING) -> str:
    sql, body = asked(data_type, value, default)
    return api.rows(sql, **body)[0][0]


@pytest.mark.parametrize(
    ("data_type", "value", "text"),
    [
        ("STRING", "it's; -- \"x\" {{y}}\n:z", "it's; -- \"x\" {{y}}\n:z"), ("STRING", "", ""), ("STRING", "☕", "☕"),
        ("STRING", 5, "5"), ("STRING", True, "true"), ("STRING", "'); DROP TABLE x; --", "'); DROP TABLE x; --"),
        ("BOOLEAN", True, "true"), ("BOOLEAN", "FALSE", "false"),
        ("BYTE", -128, "-128"), ("BYTE", "127", "127"), ("SHORT", 32767, "32767"),
        ("INTEGER", -(2**31), "-2147483648"),
        ("LONG", 9223372036854775807, "9223372036854775807"), ("LONG", "9007199254740993", "9007199254740993"),
        ("LONG", " -7 ", "-7"), ("FLOAT", 1.5, "1.5"), ("DOUBLE", "1e3", "1000.0"), ("DOUBLE", 0.1, "0.1"),
        ("DOUBLE", 7, "7.0"), ("DECIMAL", "12345678901234567.25", "12345678901234567.2500000000"),
        ("DATE", "2026-02-28", "2026-02-28"), ("TIMESTAMP", "2026-10-01T05:06:07", "2026-10-01T05:06:07.000Z"),
        ("TIMESTAMP", "2026-10-01 05:06:07.089", "2026-10-01T05:06:07.089Z"),
        ("TIMESTAMP", "2026-10-01T05:06:07+02:00", "2026-10-01T03:06:07.000Z"),
        ("BINARY", "abc", "616263"), ("STRING", None, ""), ("LONG", None, ""),
        (array("STRING"), ["a", "b, c", "d"], "[a, b, c, d]"), (array("STRING"), [], "[]"),
        (array("LONG"), [1, "9007199254740993"], "[1, 9007199254740993]"), (array("BOOLEAN"), [True], "[true]"),
        (array("DATE"), ["2026-10-01"], "[2026-10-01]"), (array("DOUBLE"), [1, 2.5], "[1.0, 2.5]"),
        (array("STRING"), None, ""),
    ],
)  # fmt: skip
def test_a_value_arrives_as_its_type(api: Api, data_type: Any, value: Any, text: str) -> None:
    assert echo(api, data_type, value) == text
    # A default is read the same way, and a value goes before it.
    assert echo(api, data_type, default=value) == text
    other = {"BOOLEAN": False, "DATE": "2020-01-01", "TIMESTAMP": "2020-01-01T00:00:00"}.get(str(data_type), 1)
    assert echo(api, data_type, value, default=[] if isinstance(data_type, dict) else other) == text


@pytest.mark.parametrize(
    ("data_type", "value"),
    [
        ("STRING", ["a"]), ("STRING", {"a": 1}), ("STRING", "\ud800"), ("BOOLEAN", "yes"), ("BOOLEAN", 1),
        ("BYTE", 128), ("SHORT", -32769), ("INTEGER", 2**31), ("LONG", 2**63), ("LONG", "1.0"), ("LONG", 1.5),
        ("LONG", ""), ("LONG", "1_000"), ("LONG", "٣"), ("LONG", True), ("LONG", [1]), ("FLOAT", "NaN"),
        ("DOUBLE", "Infinity"), ("DOUBLE", "many"), ("DOUBLE", False), ("DECIMAL", "1,5"), ("DECIMAL", ""),
        ("DATE", "01.10.2026"), ("DATE", "2026-02-29"), ("DATE", 20261001),
        ("DATE", "20261001"), ("DATE", "2026-W40-4"), ("DATE", "2026-10-01T00:00:00"),
        ("TIMESTAMP", "yesterday"), ("TIMESTAMP", "2026-10-01T25:00:00"), ("TIMESTAMP", 5),
        (array("STRING"), "a"), (array("STRING"), {"a": 1}), (array("STRING"), [None]), (array("STRING"), [["a"]]),
        (array("LONG"), [1, "x"]), (array("DATE"), ["2026-10-01", ""]),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_refused_at_once(api: Api, data_type: Any, value: Any) -> None:
    for changes in ({"value": value}, {"default": value}):
        sql, body = asked(data_type, **changes)
        workflow = {"sqlQuery": sql, **body.pop("workflow")}
        status, details = api.rejection("POST", "workflowExecutions", {"workflow": workflow, **body})
        assert status == 400
        assert details.startswith("parameterValues: ")
        assert "p" in details


@pytest.mark.parametrize(
    "kind",
    ["STRING", "BOOLEAN", "BYTE", "SHORT", "INTEGER", "LONG", "FLOAT", "DOUBLE", "DECIMAL", "DATE", "TIMESTAMP",
     "BINARY", "CALENDAR_INTERVAL"],
)  # fmt: skip
def test_every_documented_type_can_be_declared(api: Api, kind: str) -> None:
    for data_type in (kind, array(kind)):
        body = {"workflowId": "w", "sqlQuery": ECHO, "inputParameters": [{"name": "p", "dataType": data_type}]}
        assert api.call("POST", "workflows", body).status_code == 200
        assert api.get("workflows/w")["inputParameters"] == body["inputParameters"]
        api.call("DELETE", "workflows/w")
        done = api.run(*asked(data_type, None)[:1], **asked(data_type, None)[1])
        shown = "ARRAY" if isinstance(data_type, dict) else kind
        assert [column["dataType"] for column in done["outputColumns"]] == [shown]


def test_without_a_type_it_is_a_text(api: Api) -> None:
    workflow = {"inputParameters": [{"name": "p"}]}
    assert api.rows(ECHO, workflow=workflow, parameterValues={"p": "5"}) == [["5"]]


def test_an_array_without_element_nullable_is_one(api: Api) -> None:
    assert echo(api, {"type": "ARRAY", "elementDataType": "STRING"}, ["a"]) == "[a]"


def test_a_whole_number_keeps_its_range_in_arithmetic(api: Api) -> None:
    sql = "SELECT CUSTOM_PARAMETER('p') * 3000000 AS v FROM (VALUES (1)) AS one(x)"
    assert api.rows(*asked("LONG", 1000, sql=sql)[:1], **asked("LONG", 1000, sql=sql)[1]) == [["3000000000"]]


def test_neither_value_nor_default_is_refused_when_it_runs(api: Api) -> None:
    sql, body = asked("LONG")
    done = api.run(sql, **body)
    assert done["status"] == "REJECTED"
    words = "parameter 'p' has neither a value nor a default; set it in parameterValues"
    assert done["statusReason"] == f"From line 1, column 8 to line 1, column 27: {words}"


def test_undeclared_in_the_query_is_refused_when_it_runs(api: Api) -> None:
    done = api.run("SELECT\n  CUSTOM_PARAMETER('other') AS v\nFROM (VALUES (1)) AS one(x)")
    assert done["status"] == "REJECTED"
    assert "From line 2, column 3 to line 2, column " in done["statusReason"]
    assert "was unable to compile workflow: undeclared parameter 'other'" in done["statusReason"]


def test_a_value_for_an_unknown_name_is_refused_at_once(api: Api) -> None:
    sql, body = asked("LONG", 1)
    body["parameterValues"] |= {"b": 1, "a": 2}
    workflow = {"sqlQuery": sql, **body["workflow"]}
    found = api.rejection("POST", "workflowExecutions", {**body, "workflow": workflow})
    assert found == (400, "parameterValues: undeclared parameter a, b")
    # Names are compared exactly.
    body["parameterValues"] = {"P": 1}
    assert api.rejection("POST", "workflowExecutions", {**body, "workflow": workflow})[0] == 400


def test_a_declared_name_need_not_be_used(api: Api) -> None:
    workflow = {"inputParameters": [{"name": "p", "dataType": "LONG"}, {"name": "unused", "dataType": "DATE"}]}
    assert api.rows(ECHO, workflow=workflow, parameterValues={"p": 1}) == [["1"]]


def test_saved_defaults_and_values_of_a_run(api: Api) -> None:
    body = {
        "workflowId": "w",
        "sqlQuery": "SELECT CUSTOM_PARAMETER('p') AS v FROM (VALUES (1)) AS one(x)",
        "inputParameters": [{"name": "p", "dataType": array("STRING"), "defaultValue": ["saved"]}],
    }
    api.call("POST", "workflows", body)
    for values, text in (({}, "saved"), ({"p": ["given"]}, "given")):
        answer = api.call("POST", "workflowExecutions", {"workflowId": "w", "parameterValues": values}).json()
        done = api.read(answer)
        assert done["parameterValues"] == values
        [link] = api.links(done)
        assert api.session.get(link, headers={"Authorization": None}, timeout=PATIENCE).text == f"v\n[{text}]\n"


def test_array_contains_takes_what_is_in_the_array(api: Api) -> None:
    window = {
        "timeWindowType": "EXPLICIT",
        "timeWindowStart": "2026-09-01T00:00:00",
        "timeWindowEnd": "2026-10-01T00:00:00",
    }
    sql = "SELECT campaign, SUM(impressions) AS n FROM dsp_impressions {} GROUP BY 1"
    every = sorted(api.rows(sql.format(""), **window))
    wanted = [every[0][0], every[-1][0], "no such campaign"]
    filtered = sql.format("WHERE ARRAY_CONTAINS(CUSTOM_PARAMETER('p'), campaign)")
    _, body = asked(array("STRING"), wanted)
    assert sorted(api.rows(filtered, **body, **window)) == [every[0], every[-1]]
    _, body = asked(array("STRING"), [])
    assert api.rows(filtered, **body, **window) == []


def test_a_value_never_becomes_a_name(api: Api) -> None:
    for sql in (
        "SELECT SUM(impressions) AS n FROM CUSTOM_PARAMETER('p')",
        'SELECT x AS v FROM "CUSTOM_PARAMETER"',
    ):
        answer = api.call(
            "POST", "workflowExecutions",
            {"workflow": {"sqlQuery": sql, "inputParameters": [{"name": "p", "defaultValue": "dsp_impressions"}]}},
        )  # fmt: skip
        assert answer.status_code == 400 or api.read(answer.json())["status"] == "REJECTED"
