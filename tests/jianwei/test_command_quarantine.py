"""`jianwei quarantine`: what could not be read is looked at, and handed in again."""

import json
from contextlib import closing
from pathlib import Path

from ingest.journal import SqliteJournal
from ingest.message import Block, Problem
from ingest.quarantine import Quarantine
from ingest.stores.sqlite import SqliteStore
from jianwei.lock import DataLock
from jianwei.retrying import retried, waiting
from rules.readings import Kind
from tests.jianwei.command_line import Ask
from tests.jianwei.lived import BYTES, PLANT, record, serving, settle, until_idle


def listed(ask: Ask, site: Path, *words: object) -> list[dict[str, object]]:
    problems: list[dict[str, object]] = json.loads(ask("quarantine", "list", "-c", site, "--json", *words).out)[
        "problems"
    ]
    return problems


def last_entry(site: Path) -> int:
    with closing(SqliteJournal(site.parent / "data" / "journal")) as journal:
        return journal.last()


def stored_oxygen(site: Path, station: str) -> list[float]:
    with closing(SqliteStore(site.parent / "data" / "store")) as store:
        return [reading.value for reading in store.read(station, "w01009", Kind.HOUR, -(2**63), 2**63 - 1)]


def test_problems_are_listed_by_message_place_and_reason(ask: Ask, site: Path) -> None:
    problems = listed(ask, site)

    assert [(p["topic"], p["place"], p["class"]) for p in problems] == [
        ("jianwei/v1/SW-01/hour", "$", "not_json"),
        ("jianwei/v1/SW-01/hour", "$.values.w01009", "bad_value"),
        ("jianwei/v1/SW-01/hour", "$.values.w01001", "bad_value"),
        ("plant/9", "", "no_format"),
    ]
    assert {p["retried"] for p in problems} == {None}


def test_a_list_for_people_says_its_zone_and_where_more_is(ask: Ask, site: Path) -> None:
    said = ask("quarantine", "list", "-c", site, "--most", 2)

    assert "2 bad_value, 1 no_format, 1 not_json (北京时间 UTC+8)" in said.out
    assert "2026-03-01 08:00:00" in said.out
    assert "more: --after 2" in said.out
    assert [p["id"] for p in listed(ask, site, "--after", 2)] == [3, 4]


def test_problems_of_one_class_alone(ask: Ask, site: Path) -> None:
    assert [p["id"] for p in listed(ask, site, "--class", "bad_value")] == [2, 3]


def test_a_class_that_does_not_exist_is_wrong_usage_with_what_is_near(ask: Ask, site: Path) -> None:
    said = ask("quarantine", "list", "--class", "bad_valu", "-c", site)

    assert said.code == 2
    assert "did you mean bad_value" in said.err


def test_a_problem_is_shown_with_its_bytes(ask: Ask, site: Path) -> None:
    odd, text = ask("quarantine", "show", 1, "-c", site), ask("quarantine", "show", 2, "-c", site)

    assert f"Bytes     {len(BYTES)}: hex {BYTES.hex()}" in odd.out
    assert "entry 7, message 0" in odd.out
    assert '"w01009": "7.3"' in text.out
    assert "$.values.w01009" in text.out


def test_a_problem_that_is_not_there_is_said_not_to_be(ask: Ask, site: Path) -> None:
    said = ask("quarantine", "show", 99, "-c", site)

    assert (said.code, said.out) == (1, "")
    assert "there is no problem 99" in said.err


def test_a_message_is_handed_in_once_and_judged_at_the_next_start(ask: Ask, site: Path) -> None:
    before = last_entry(site)
    assert stored_oxygen(site, "SW-02") != [7.0]
    settle(site.parent, PLANT)

    said = ask("quarantine", "retry", 4, "-c", site)
    with serving(site):
        pass

    assert said.code == 0
    assert "1 messages handed in again; the next `jianwei run` judges them" in said.out
    assert last_entry(site) == before + 1
    assert 7.0 in stored_oxygen(site, "SW-02")
    assert listed(ask, site)[3]["retried"] is not None
    assert len(listed(ask, site)) == 4


def test_what_is_bad_again_comes_back_under_a_new_position_with_the_same_bytes(ask: Ask, site: Path) -> None:
    told = json.loads(ask("quarantine", "retry", "--all", "-c", site, "--json").out)
    with serving(site):
        pass
    problems = listed(ask, site)

    assert told == {"retried": 3, "to": "journal"}
    assert [(p["topic"], p["place"], p["source"]) for p in problems[4:]] == [
        (p["topic"], p["place"], p["source"]) for p in problems[:4]
    ]
    assert all(p["retried"] for p in problems[:4])
    assert not any(p["retried"] for p in problems[4:])
    assert f"hex {BYTES.hex()}" in ask("quarantine", "show", 5, "-c", site).out


def test_nothing_waits_after_all_had_a_second_chance(ask: Ask, site: Path) -> None:
    ask("quarantine", "retry", "--all", "-c", site)

    said = ask("quarantine", "retry", "--all", "-c", site)

    assert said.code == 0
    assert "no message waits" in said.out


def test_what_is_handed_in_again_keeps_what_came_beside_it(ask: Ask, tmp_path: Path) -> None:
    config = settle(tmp_path)
    headers = [("trace", b"1")]
    came = Block("province", 1, ["t", "t"], [b"{}", b"["], [None, b"S1"], [[], headers], 3, [41, 44])
    record(tmp_path, iter([came]))
    with serving(config):
        pass
    bad = next(p["id"] for p in listed(ask, config) if p["bytes"] == 1)

    ask("quarantine", "retry", bad, "-c", config)

    with closing(SqliteJournal(tmp_path / "data" / "journal")) as journal:
        (again,) = journal.read(journal.last() - 1, 1)[0].blocks
    assert (again.topics, again.payloads, again.keys, again.headers) == (["t"], [b"["], [b"S1"], [headers])
    assert (again.source, again.partition, again.offsets) == ("province", 3, [44])


def test_two_problems_of_a_message_hand_it_in_once(ask: Ask, site: Path) -> None:
    assert json.loads(ask("quarantine", "retry", 2, 3, "-c", site, "--json").out)["retried"] == 1


def test_a_retry_beside_a_running_service_is_refused_and_says_how(ask: Ask, site: Path) -> None:
    before = last_entry(site)

    with DataLock(site.parent / "data"):
        said = ask("quarantine", "retry", "--all", "-c", site)

    assert said.code == 1
    assert "stop it first" in said.err
    assert "--to mqtt://" in said.err
    assert last_entry(site) == before
    assert not any(p["retried"] for p in listed(ask, site))


def test_a_running_service_gets_them_through_its_broker(ask: Ask, site: Path) -> None:
    settle(site.parent, PLANT + "[broker]\nenabled = true\nport = 0\n")

    with serving(site) as runtime:
        assert runtime.broker is not None
        said = ask("quarantine", "retry", 4, 1, "--to", f"mqtt://127.0.0.1:{runtime.broker.port}", "-c", site)
        until_idle(runtime, messages=2)
    problems = listed(ask, site)

    assert said.code == 0
    assert "the service takes them from its broker" in said.out
    assert 7.0 in stored_oxygen(site, "SW-02")
    assert [(p["source"], p["class"]) for p in problems[4:]] == [("embedded", "not_json")]
    assert [bool(p["retried"]) for p in problems] == [True, False, False, True, False]


def test_an_address_is_not_quoted_because_a_password_may_stand_in_it(ask: Ask, site: Path) -> None:
    said = ask("quarantine", "retry", 4, "--to", "mqtt://user:very-secret/x@host", "-c", site)

    assert said.code == 2
    assert "very-secret" not in said.err + said.out


def test_an_unknown_id_among_others_stops_all(ask: Ask, site: Path) -> None:
    said = ask("quarantine", "retry", 1, 99, "-c", site)

    assert said.code == 1
    assert "there is no problem 99 in quarantine; nothing was done" in said.err
    assert not any(p["retried"] for p in listed(ask, site))


def test_a_retry_of_nothing_in_particular_is_wrong_usage(ask: Ask, site: Path) -> None:
    assert ask("quarantine", "retry", "-c", site).code == 2
    assert ask("quarantine", "retry", 1, "--all", "-c", site).code == 2


def test_rows_that_the_store_refused_are_no_messages(ask: Ask, site: Path) -> None:
    with closing(Quarantine(site.parent / "data" / "quarantine.sqlite")) as quarantine:
        quarantine.keep([Problem(3 << 20, "SW-01/w01009", "refused by the store: because", b"{}", "store")])

    said = ask("quarantine", "retry", 5, "-c", site)
    waits = json.loads(ask("quarantine", "retry", "--class", "refused_by_store", "-c", site, "--json").out)

    assert said.code == 1
    assert "not a message" in said.err
    assert waits["retried"] == 0


def test_a_crash_between_hand_in_and_mark_hands_in_again(tmp_path: Path) -> None:
    with closing(Quarantine(tmp_path / "quarantine.sqlite")) as quarantine:
        quarantine.keep([Problem(at << 20, "", "not JSON", b"%d" % at, "s", "t", 1) for at in range(1, 4)])
        handed: list[bytes] = []

        def full(messages: object, _now_ns: int) -> None:
            raise OSError("the disk is full")

        try:
            list(retried(quarantine, waiting(quarantine, None), full, lambda: 5))
        except OSError:
            assert len(waiting(quarantine, None)) == 3
        list(
            retried(quarantine, waiting(quarantine, None), lambda m, _: handed.extend(p.payload for p in m), lambda: 5)
        )

        assert handed == [b"1", b"2", b"3"]
        assert waiting(quarantine, None) == []
