"""Settings are validated whole, every problem with its path and what to do; secrets are never printed."""

import os
import traceback
from pathlib import Path

import pytest

from alerts.channels.file import FileChannelSettings
from alerts.channels.mqtt import MqttChannelSettings
from alerts.channels.webhook import WebhookSettings
from ingest.sources.mqtt import MqttSourceSettings
from ingest.stores.influxdb import InfluxdbStoreSettings
from ingest.stores.sqlite import SqliteStoreSettings
from jianwei.settings import SettingsProblems, read_settings
from rules.readings import Family, Level


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("JIANWEI_"):
            monkeypatch.delenv(name)


def written(folder: Path, text: str) -> Path:
    path = folder / "jianwei.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems_of(path: Path | None) -> list[str]:
    with pytest.raises(SettingsProblems) as found:
        read_settings(path)
    return found.value.problems


WHOLE = """
instance = "tz-west"
data_dir = "state"
stations = ["stations.yaml", "/etc/others.yaml"]

[broker]
enabled = true
port = 0

[[sources]]
name = "north"
host = "broker.example"
topics = ["jianwei/v1/#"]
username = "u"
password_file = "secrets/north"

[sources.tls]
ca = "ca.pem"

[[sources]]
name = "south"
client_id = "own"

[journal]
retention_days = 1825

[channels.file]
type = "file"
folder = "alerts"

[channels.hook]
type = "webhook"
url = "https://example.org/hook"
secret_file = "secrets/hook"

[channels.mqtt]
type = "mqtt"
host = "broker.example"
ca_file = "ca.pem"

[[routes]]
channel = "hook"
min_level = "orange"
families = ["exceedance"]
"""


def test_nothing_said_is_a_service_that_may_start() -> None:
    said = read_settings(None)
    assert said.journal.sync
    assert isinstance(said.store, SqliteStoreSettings)
    assert said.store.sync, "what is acknowledged survives a power failure unless somebody says otherwise"
    assert said.journal.retention_days is None, "nothing is dropped unless somebody says so"
    assert said.http.host == "127.0.0.1", "the operator's port is not open to the world"
    assert said.formats[0].topic == "jianwei/v1/#"


def test_a_file_says_all_of_it(tmp_path: Path) -> None:
    said = read_settings(written(tmp_path, WHOLE))
    assert said.instance == "tz-west"
    assert [getattr(source, "client_id", "") for source in said.sources] == ["jianwei-north", "own"]
    assert said.routes[0].min_level is Level.ORANGE
    assert said.routes[0].families == {Family.EXCEEDANCE}
    assert said.journal.retention_days == 1825
    assert said.journal.tick_s == 5.0


def test_relative_paths_begin_at_the_file_wherever_the_service_is_started(tmp_path: Path) -> None:
    said = read_settings(written(tmp_path, WHOLE))
    assert said.data_dir == tmp_path / "state"
    assert said.stations == [tmp_path / "stations.yaml", Path("/etc/others.yaml")]
    north = said.sources[0]
    assert isinstance(north, MqttSourceSettings)
    assert north.password_file == tmp_path / "secrets" / "north"
    assert north.tls is not None
    assert north.tls.ca == tmp_path / "ca.pem"
    hook, mqtt, file = said.channels["hook"], said.channels["mqtt"], said.channels["file"]
    assert isinstance(hook, WebhookSettings)
    assert hook.secret_file == tmp_path / "secrets" / "hook"
    assert isinstance(mqtt, MqttChannelSettings)
    assert mqtt.ca_file == tmp_path / "ca.pem"
    assert isinstance(file, FileChannelSettings)
    assert file.folder == Path("alerts"), "it lies under the data folder"


def test_the_environment_goes_before_the_file_and_changes_only_what_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JIANWEI_STORE__SYNC", "false")
    monkeypatch.setenv("JIANWEI_JOURNAL__TICK_S", "2.5")
    monkeypatch.setenv("JIANWEI_INSTANCE", "other")
    monkeypatch.setenv("JIANWEI_STATIONS", '["one.yaml"]')
    monkeypatch.setenv("JIANWEI_CHANNELS__MQTT__HOST", "elsewhere")
    said = read_settings(written(tmp_path, WHOLE))
    assert isinstance(said.store, SqliteStoreSettings)
    assert not said.store.sync
    assert said.store.most_rows == 200_000
    assert (said.journal.tick_s, said.journal.retention_days) == (2.5, 1825)
    assert said.instance == "other"
    assert said.stations == [tmp_path / "one.yaml"]
    mqtt = said.channels["mqtt"]
    assert isinstance(mqtt, MqttChannelSettings)
    assert mqtt.host == "elsewhere"
    assert mqtt.ca_file == tmp_path / "ca.pem"


def test_every_problem_is_told_at_once_with_its_path_and_what_to_do(tmp_path: Path) -> None:
    found = problems_of(
        written(
            tmp_path,
            """
            instance = "a b"
            colour = 1
            [journal]
            tick_s = -1
            syncc = true
            [[sources]]
            port = "x"
            topics = ["a#"]
            [[sources]]
            type = "pigeon"
            [[sources]]
            type = "kafka"
            topics = ["a b"]
            group = 5
            [channels.hook]
            type = "webhook"
            url = "not a url"
            secret = "long enough"
            [channels.f]
            type = "fax"
            [channels.m]
            type = "mqtt"
            [channels.n]
            folder = "x"
            [[routes]]
            channel = "f"
            min_level = "loud"
            [[formats]]
            format = "xml"
            """,
        )
    )
    told = dict(problem.split(": ", 1) for problem in found)
    assert len(told) == len(found)
    assert told.keys() == {
        "instance",
        "colour",
        "journal.tick_s",
        "journal.syncc",
        "sources[0].port",
        "sources[0].topics[0]",
        "sources[1].type",
        "sources[2].topics[0]",
        "sources[2].group",
        "channels.hook.url",
        "channels.f.type",
        "channels.m.host",
        "channels.n.type",
        "routes[0].min_level",
        "formats[0].format",
    }
    assert told["journal.syncc"].startswith("there is no such setting")
    assert told["journal.tick_s"] == "should be greater than 0"
    assert (
        told["channels.f.type"] == "there is no type 'fax': say one of 'file', 'kafka', 'mqtt', 'terminal', 'webhook'"
    )
    assert told["sources[1].type"] == "there is no type 'pigeon': say one of 'mqtt', 'kafka', 'hj212_tcp'"
    assert told["channels.m.host"] == "is not given, and has to be"
    assert told["routes[0].min_level"] == "say one of none, blue, yellow, orange, red"
    assert told["formats[0].format"] == "say one of 'json_v1' or 'hj212'"


def test_a_problem_is_a_line_that_begins_with_its_file(tmp_path: Path) -> None:
    path = written(tmp_path, "colour = 1\nsize = 2\n")
    with pytest.raises(SettingsProblems) as found:
        read_settings(path)
    assert [line.startswith(f"{path}: ") for line in str(found.value).splitlines()] == [True, True]


def test_a_problem_of_a_variable_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JIANWEI_JOURNAL__TICK_S", "often")
    monkeypatch.setenv("JIANWEI_STORE__SINK", "1")
    monkeypatch.setenv("JIANWEI_STORE_SYNC", "false")
    found = problems_of(None)
    assert any(p.startswith("JIANWEI_STORE_SYNC: there is no such setting") for p in found), "one underscore is a slip"
    assert any(p.startswith("JIANWEI_JOURNAL__TICK_S: journal.tick_s: should be a valid number") for p in found)
    assert any(p.startswith("JIANWEI_STORE__SINK: store.sink: there is no such setting") for p in found)
    assert len(found) == 3


def test_a_variable_that_should_be_a_list_and_is_none_is_a_problem_and_not_a_crash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JIANWEI_SOURCES", "hunter2, hunter3")
    (problem,) = problems_of(None)
    assert "sources" in problem
    assert "JSON" in problem


def test_what_is_no_toml_or_no_file_is_told(tmp_path: Path) -> None:
    assert problems_of(tmp_path / "none.toml") == [
        "cannot be read: No such file or directory; name yours with -c, or let `jianwei init` write a sample"
    ]
    assert problems_of(written(tmp_path, "a = [1"))[0].startswith("is no TOML: ")
    (tmp_path / "jianwei.toml").write_bytes(b"a = '\xff'")
    assert problems_of(tmp_path / "jianwei.toml")[0].startswith("is no TOML: ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[[routes]]\nchannel = "mail"\n', "routes name channels that are not there: mail; add [channels.mail]"),
        ('[[sources]]\nname = "a"\n[[sources]]\nname = "a"\nclient_id = "b"\n', "two sources have the same name"),
        (
            '[channels.w]\ntype = "webhook"\nurl = "http://h"\n',
            "channels.w: secret, secret_file: give one of them",
        ),
        (
            '[channels.m]\ntype = "mqtt"\nhost = "h"\nusername = "u"\npassword = "p"\npassword_file = "f"\n',
            "channels.m: password, password_file: give one of them",
        ),
        ('[channels.m]\ntype = "mqtt"\nhost = "h"\npassword = "p"\n', "channels.m: a password needs a username"),
        ('[[sources]]\npassword_file = "f"\n', "sources[0]: a password needs a username"),
        ('[[sources]]\ntype = "kafka"\n', "sources[0]: topics, pattern: give one of them"),
    ],
)
def test_parts_that_do_not_fit_each_other_are_told(tmp_path: Path, text: str, words: str) -> None:
    (problem,) = problems_of(written(tmp_path, text))
    assert words in problem


SECRETS = """
[[sources]]
username = "u"
password = "hunter2-source"
[channels.hook]
type = "webhook"
url = "https://example.org"
secret = "hunter2-hook"
[channels.m]
type = "mqtt"
host = "h"
username = "u"
password = "hunter2-mqtt"
"""


def test_secrets_are_not_printed_by_settings(tmp_path: Path) -> None:
    said = read_settings(written(tmp_path, SECRETS))
    assert "hunter2" not in repr(said) + str(said) + str(said.model_dump()) + said.model_dump_json()
    hook = said.channels["hook"]
    assert isinstance(hook, WebhookSettings)
    assert hook.secret is not None
    assert hook.secret.get_secret_value() == "hunter2-hook"


@pytest.mark.parametrize(
    "slip",
    [
        '[channels.w]\ntype = "webhook"\nurl = "https://example.org"\nsecret = "hunter"',  # too short
        '[channels.w]\ntype = "webhook"\nsecret = "hunter2-hook"',  # the URL is missing
        '[channels.w]\ntype = "wehbook"\nsecret = "hunter2-hook"',
        '[channels.w]\nsecret = "hunter2-hook"',
        '[[sources]]\nusername = 5\npassword = "hunter2"',
        '[[sources]]\npassword = ["hunter2"]\nusername = "u"',
        '[[sources]]\nname = "a"\npassword = "hunter2"\n',
        'password = "hunter2"',
        'password = "hunter2',
    ],
)
def test_secrets_are_not_printed_by_problems_either_nor_by_their_traceback(tmp_path: Path, slip: str) -> None:
    with pytest.raises(SettingsProblems) as found:
        read_settings(written(tmp_path, slip))
    error = found.value
    assert error.problems
    assert "hunter" not in str(error) + repr(error) + "".join(traceback.format_exception(error))


def test_secrets_in_variables_are_not_printed_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JIANWEI_SOURCES", '[{"username": "u", "password": "hunter2"')
    with pytest.raises(SettingsProblems) as found:
        read_settings(None)
    assert "hunter" not in str(found.value) + "".join(traceback.format_exception(found.value))


INFLUXDB = '[store]\ntype = "influxdb"\norg = "city"\n'


def test_a_store_is_named_by_its_type_and_its_token_comes_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = read_settings(written(tmp_path, INFLUXDB + 'token_file = "influxdb.token"\n')).store
    assert isinstance(said, InfluxdbStoreSettings)
    assert (said.token_file, said.raw, said.most_rows) == (tmp_path / "influxdb.token", "raw", 200_000)
    for name, value in {"TYPE": "influxdb", "ORG": "city", "TOKEN_FILE": "/run/token", "TIMEOUT_S": "2.5"}.items():
        monkeypatch.setenv(f"JIANWEI_STORE__{name}", value)
    said = read_settings(written(tmp_path, "")).store
    assert isinstance(said, InfluxdbStoreSettings)
    assert (said.token_file, said.timeout_s) == (Path("/run/token"), 2.5)


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ("", "store: give token_file"),
        ('token = "secret"\ntoken_file = "t"', "store: give token_file"),
        ('token_file = "t"\nsync = true', "store.sync: there is no such setting"),
        ('token_file = "t"\nurl = "city:8086"', "store.url: say an address such as https://"),
        ('token_file = "t"\nurl = "http://me:secret@city"', "store.url: say an address such as https://"),
        ('token_file = "t"\nurl = "http://:secret@city:1"', "store.url: say an address such as https://"),
        ('token_file = "t"\nurl = "http://me:se/secret@city"', "store.url: say an address such as https://"),
        ('token_file = "t"\nurl = "http://me:secret"', "store.url: say an address such as https://"),
        ('token_file = "t"\nurl = "http://city:0"', "store.url: say an address such as https://"),
        ('token_file = "t"\nurl = "http://city#secret"', "store.url: say an address such as https://"),
        (f'token_file = "t"\nurl = "http://{"h" * 64}.example"', "store.url: say an address such as https://"),
        ('token_file = "t"\nurl = "http://city/é"', "store.url: say an address such as https://"),
        ('token_file = "t"\nraw = "a/b"', "store.raw: does not fit"),
    ],
)
def test_what_is_wrong_with_an_influxdb_is_said_without_secrets(tmp_path: Path, more: str, what: str) -> None:
    with pytest.raises(SettingsProblems) as caught:
        read_settings(written(tmp_path, INFLUXDB + more))
    (problem,) = caught.value.problems
    assert problem.startswith(what)
    assert "secret" not in problem.removeprefix("store.token")


def test_a_type_of_store_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsProblems, match=r"store.type: there is no type 'mysql': say one of 'sqlite', 'influxdb'"
    ):
        read_settings(written(tmp_path, '[store]\ntype = "mysql"'))


def test_a_format_is_chosen_by_the_topic_of_the_message_not_by_the_shared_subscription(tmp_path: Path) -> None:
    said = read_settings(written(tmp_path, '[[sources]]\ntopics = ["$share/city/jianwei/v1/#"]'))
    assert getattr(said.sources[0], "topics", ()) == ("$share/city/jianwei/v1/#",)
    (problem,) = problems_of(written(tmp_path, '[[formats]]\ntopic = "$share/city/jianwei/v1/#"'))
    assert "formats[0].topic: " in problem
    assert "say only what follows" in problem


def test_a_port_for_loggers_needs_a_format_that_reads_its_frames(tmp_path: Path) -> None:
    port = '[[sources]]\ntype = "hj212_tcp"\n'
    assert [route.format for route in read_settings(written(tmp_path, port)).formats] == ["json_v1", "hj212"]
    (problem,) = problems_of(written(tmp_path, port + '[[formats]]\ntopic = "jianwei/v1/#"'))
    assert "'hj212'" in problem
    assert 'add, before any that takes more, [[formats]] topic = "jianwei/hj212/#" format = "hj212"' in problem
    wide = port + '[[formats]]\ntopic = "jianwei/#"\n'
    assert "jianwei/hj212/#" in problems_of(written(tmp_path, wide))[0]
    said = '[[formats]]\ntopic = "jianwei/hj212/#"\nformat = "hj212"\n'
    assert problems_of(written(tmp_path, wide + said)), "the first that matches wins"
    read_settings(written(tmp_path, port + said + '[[formats]]\ntopic = "jianwei/#"\n'))


def test_a_port_for_loggers_has_no_name_at_a_broker(tmp_path: Path) -> None:
    problem = problems_of(written(tmp_path, '[[sources]]\ntype = "hj212_tcp"\nclient_id = "x"'))[0]
    assert "sources[0].client_id: there is no such setting" in problem


def test_files_of_a_port_for_loggers_lie_beside_the_settings(tmp_path: Path) -> None:
    said = read_settings(written(tmp_path, '[[sources]]\ntype = "hj212_tcp"\ntls = { cert = "a.pem", key = "a.key" }'))
    (source,) = said.sources
    assert source.type == "hj212_tcp"
    assert source.tls is not None
    assert source.tls.cert == tmp_path / "a.pem"
