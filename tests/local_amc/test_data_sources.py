"""`/dataSources` over HTTP: what an instance has, with columns, types and sensitivity."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import amc_facts
from amc_facts.tables import TABLES
from local_amc.server import LocalAmcServer
from tests.local_amc.api import Api

DATA_TYPES = {"STRING", "LONG", "INTEGER", "BOOLEAN", "DATE", "TIMESTAMP", "DOUBLE", "DECIMAL", "ARRAY"}


def test_an_instance_with_everything_has_every_documented_table_and_column(api: Api) -> None:
    sources = api.get("dataSources")["dataSources"]
    assert {source["dataSourceId"] for source in sources} == set(TABLES)
    for source in sources:
        table = TABLES[source["dataSourceId"]]
        assert [column["name"] for column in source["columns"]] == list(table.columns)
        for column in source["columns"]:
            known = table.columns[column["name"]]
            assert (column["columnType"], column["sensitivity"]) == (known.kind, known.threshold)
            assert column["dataType"] in DATA_TYPES
            assert column["description"] == known.description
        assert source["description"] == table.description
        assert (source["owner"], source["provider"]) == ("AMAZON", "AMAZON")


def words(text: str) -> set[str]:
    return {word for word in re.findall("[a-z0-9]+", text.lower()) if len(word) > 1}


def test_every_column_of_every_table_is_described_in_more_than_its_name() -> None:
    for table in TABLES.values():
        assert words(table.description) - words(table.name.replace("_", " ")), table.name
        for column in table.columns.values():
            text = column.description
            assert re.fullmatch(r"[A-Z0-9].{14,}\.", text), (table.name, column.name, text)
            own = words(column.name.replace("_", " "))
            assert words(text) - own - {"the", "of", "in", "an"}, (table.name, column.name, text)


@pytest.mark.parametrize(
    ("table", "column", "text"),
    [
        ("dsp_impressions", "impression_dt_hour_utc", "Date and hour of the impression, in UTC."),
        ("dsp_views", "campaign_end_dt", "Date and time on which the campaign ends, in the advertiser's time zone."),
        ("conversions", "event_type", "Says that the event is a conversion."),
        ("experian_vehicle_purchases", "purchase_date", "When the vehicle was bought."),
        ("amazon_attributed_events_by_traffic_time", "new_to_brand_total_purchases_clicks",
         "Purchases of promoted products and the brand's others, by customers new to the brand, credited to clicks."),
        ("amazon_attributed_events_by_traffic_time", "digital_paid_app_subscription_signup_purchases",
         "Sign-ups for paid subscriptions in apps."),
        ("adserver_traffic", "video_played_75pc_viewable", "Videos played to 75 percent while they could be seen."),
    ],
)  # fmt: skip
def test_descriptions_by_name_by_table_and_by_rule(table: str, column: str, text: str) -> None:
    assert TABLES[table].columns[column].description == text


def test_nothing_is_described_that_no_table_has() -> None:
    described = json.loads((Path(amc_facts.__file__).parent / "descriptions.json").read_text())
    assert list(described["tables"]) == list(TABLES)
    columns = {name for table in TABLES.values() for name in table.columns}
    exact = {f"{table.name}.{name}" for table in TABLES.values() for name in table.columns}
    assert set(described["columns"]) <= columns | exact


@pytest.mark.parametrize(
    ("name", "column", "kind", "data_type", "sensitivity"),
    [
        ("dsp_impressions", "user_id", "DIMENSION", "STRING", "VERY_HIGH"),
        ("dsp_impressions", "impressions", "METRIC", "LONG", "NONE"),
        ("dsp_impressions", "total_cost", "METRIC", "DOUBLE", "NONE"),
        ("dsp_impressions", "postal_code", "DIMENSION", "STRING", "HIGH"),
        ("dsp_impressions", "impression_dt_utc", "DIMENSION", "TIMESTAMP", "MEDIUM"),
        ("dsp_impressions", "is_amazon_owned", "DIMENSION", "BOOLEAN", "LOW"),
        ("conversions", "total_product_sales", "METRIC", "DECIMAL", "NONE"),
        ("conversions", "event_date_utc", "DIMENSION", "DATE", "LOW"),
    ],
)
def test_columns_as_documented(
    api: Api, name: str, column: str, kind: str, data_type: str, sensitivity: str
) -> None:
    columns = {found["name"]: found for found in api.get(f"dataSources/{name}")["columns"]}
    found = columns[column]
    assert (found["columnType"], found["dataType"], found["sensitivity"]) == (kind, data_type, sensitivity)


def test_tables_follow_the_advertiser_types(api: Api) -> None:
    names = {source["dataSourceId"] for source in api.get("dataSources", instance="amclocalus2")["dataSources"]}
    assert "sponsored_ads_traffic" in names
    assert not any(name.startswith("dsp_") for name in names)
    status, details = api.rejection("GET", "dataSources/dsp_impressions", instance="amclocalus2")
    assert (status, details) == (400, "Data source with ID dsp_impressions does not exist.")


def test_single_answers_are_the_listed_ones_and_may_be_wrapped(server: LocalAmcServer, api: Api) -> None:
    listed = api.get("dataSources", limit=1)["dataSources"][0]
    single = api.get(f"dataSources/{listed['dataSourceId']}")
    assert single == listed
    server.control("POST", "options", {"wraps_answers": True})
    assert api.get(f"dataSources/{listed['dataSourceId']}") == {"dataSource": single}


def test_pages(api: Api) -> None:
    names, token = [], ""
    while token is not None:
        page = api.get("dataSources", limit=10, nextToken=token)
        names += [source["dataSourceId"] for source in page["dataSources"]]
        token = page.get("nextToken")
    assert names == list(TABLES)


def test_uploaded_tables_belong_to_their_instance(server: LocalAmcServer, api: Api) -> None:
    columns = [{"name": "user_id"}, {"name": "score", "type": "DOUBLE", "threshold": "NONE"}, {"name": "tier"}]
    server.control("POST", "tables", {"instance": "amclocalus1", "name": "crm", "columns": columns})
    source = api.get("dataSources/crm")
    assert (source["owner"], source["provider"]) == ("CUSTOMER", "ADVERTISER_DATA_UPLOAD")
    shown = [(column["name"], column["dataType"], column["sensitivity"]) for column in source["columns"]]
    assert {source["description"], *(column["description"] for column in source["columns"])} == {
        "Uploaded by the advertiser."
    }
    assert shown == [("user_id", "STRING", "VERY_HIGH"), ("score", "DOUBLE", "NONE"), ("tier", "STRING", "LOW")]
    assert api.rows("SELECT COUNT(DISTINCT user_id) AS users FROM crm")[0][0] != "0"
    assert api.rejection("GET", "dataSources/crm", instance="amclocalca1")[0] == 403
    assert api.rejection("GET", "dataSources/crm", instance="amclocalus2")[0] == 400


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"instance": "nowhere"}, "there is no instance"), ({"name": "dsp_clicks"}, "one of AMC's own tables"),
        ({"name": "1st"}, "name must be"), ({"columns": []}, "columns must be"), ({"columns": ["a", "A"]}, "own"),
        ({"columns": [{"name": "a", "type": "MAP"}]}, "type of a"),
        ({"columns": [{"name": "a", "threshold": "SOME"}]}, "threshold of a"),
        ({"columns": [f"c{n}" for n in range(501)]}, "at most 500"),
    ],
)  # fmt: skip
def test_uploads_with_mistakes(server: LocalAmcServer, api: Api, body: dict[str, object], words: str) -> None:
    good = {"instance": "amclocalus1", "name": "crm", "columns": ["a"]}
    with pytest.raises(ValueError, match=words):
        server.control("POST", "tables", {**good, **body})
    assert api.rejection("GET", "dataSources/crm")[0] == 400
