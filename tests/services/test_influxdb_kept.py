"""InfluxDB as a site runs it, killed: what it answered 204 to is there; and what the site's script set up."""

import subprocess
import tomllib
from collections.abc import Callable

import httpx
import pytest

from tests.services.influxdb import DEPLOY, ORGANISATION, Influxdb

pytestmark = pytest.mark.services

BUCKETS = {"raw": 1826 * 86_400, "hour": 3652 * 86_400, "day": 0}


def asked(database: Influxdb, token: str) -> httpx.Client:
    return httpx.Client(base_url=f"{database.url}/api/v2", headers={"Authorization": f"Token {token}"}, timeout=30)


def write(client: httpx.Client, bucket: str, lines: str) -> int:
    said = {"org": ORGANISATION, "bucket": bucket, "precision": "ms"}
    return client.post("/write", params=said, content=lines.encode()).status_code


def count(client: httpx.Client, bucket: str, measurement: str) -> int:
    query = f'from(bucket: "{bucket}") |> range(start: 0) |> filter(fn: (r) => r._measurement == "{measurement}") |> group() |> count()'
    answer = client.post("/query", params={"org": ORGANISATION}, json={"query": query}).raise_for_status().text
    rows = [row.split(",") for row in answer.strip().splitlines()]
    return int(rows[1][rows[0].index("_value")]) if len(rows) > 1 else 0


def test_what_was_answered_204_is_there_after_a_kill(an_influxdb: Callable[..., Influxdb]) -> None:
    database = an_influxdb()
    database.make_bucket("kept")
    with asked(database, database.token) as client:
        for time in range(2):
            lines = "\n".join(f"water,station=S{n} w=1.5 {time * 1000}" for n in range(2_000))
            assert write(client, "kept", lines) == httpx.codes.NO_CONTENT
            database.kill()
            database.start()
        assert count(client, "kept", "water") == 4_000


def test_the_buckets_keep_as_long_as_the_file_says(influxdb: Influxdb) -> None:
    with asked(influxdb, influxdb.token) as client:
        buckets = client.get("/buckets").raise_for_status().json()["buckets"]
    kept = {b["name"]: sum(rule["everySeconds"] for rule in b["retentionRules"]) for b in buckets}
    assert {name: kept[name] for name in BUCKETS} == BUCKETS
    assert "set-up" not in kept


def test_every_setting_of_the_site_is_one_that_influxd_knows(influxdb: Influxdb) -> None:
    """It says nothing about those that it does not know."""
    wanted = tomllib.loads((DEPLOY / "config.toml").read_text())
    with asked(influxdb, influxdb.token) as client:
        used = client.get("/config").raise_for_status().json()["config"]
    assert wanted.keys() <= used.keys()
    limits = [name for name in wanted if name.startswith("query-")]
    assert len(limits) == 3
    assert [used[name] for name in limits] == [wanted[name] for name in limits]


def test_the_token_of_the_service_may_read_and_write_its_buckets_and_nothing_else(influxdb: Influxdb) -> None:
    influxdb.make_bucket("of somebody else")
    with asked(influxdb, influxdb.token) as client:
        org_id = client.get("/orgs").json()["orgs"][0]["id"]
    with asked(influxdb, influxdb.service_token) as client:
        for bucket in BUCKETS:
            assert write(client, bucket, "kept,station=S w=1") == httpx.codes.NO_CONTENT  # now
            assert count(client, bucket, "kept") >= 0
        assert write(client, "of somebody else", "kept w=1 1") in {403, 404}
        assert client.post("/buckets", json={"name": "mine", "orgID": org_id}).status_code in {401, 403}
        assert client.get("/authorizations").json().get("authorizations", []) == []


def test_the_script_can_be_run_again_and_changes_nothing(influxdb: Influxdb) -> None:
    before = influxdb.service_token
    subprocess.run([DEPLOY / "set-up.sh", influxdb.url, influxdb.folder / "secrets"], check=True)
    assert influxdb.service_token == before
    with asked(influxdb, influxdb.token) as client:
        tokens = client.get("/authorizations").json()["authorizations"]
    assert len([token for token in tokens if token["description"] == "jianwei"]) == 1


def test_secrets_are_for_their_owner_only(influxdb: Influxdb) -> None:
    files = list((influxdb.folder / "secrets").iterdir())
    assert {file.stat().st_mode & 0o077 for file in files} == {0}
