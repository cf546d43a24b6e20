"""`jianwei journal`: what came, and whether it is still what was written."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from ingest.message import Block
from tests.jianwei.command_line import Ask
from tests.jianwei.lived import BYTES, record, serving, settle


def day_file(config: Path, day: str) -> Path:
    return config.parent / "data" / "journal" / f"{day}.sqlite"


def test_days_are_listed_with_their_entries(ask: Ask, site: Path) -> None:
    said = ask("journal", "list", "-c", site, "--json")

    days = json.loads(said.out)
    assert [(day["day"], day["first"], day["last"]) for day in days] == [
        ("2026-02-28", 1, 6),
        ("2026-03-01", 7, 12),
    ]
    assert said.code == 0


def test_an_entry_is_shown_with_its_messages(ask: Ask, site: Path) -> None:
    said = ask("journal", "show", 1, "-c", site)

    assert said.code == 0
    assert "entry 1, written 2026-03-01 01:00:00 (北京时间 UTC+8), 2 messages" in said.out
    assert "jianwei/v1/SW-01/hour" in said.out
    assert "values" not in said.out


def test_payloads_are_text_where_they_are_text_and_hex_where_a_terminal_would_obey(ask: Ask, site: Path) -> None:
    said = ask("journal", "show", 7, "--payloads", "-c", site)

    assert f"hex {BYTES.hex()}" in said.out
    assert '"w01001": "x"' in said.out
    assert "\x1b[2J" not in said.out


def test_an_entry_as_json_says_where_each_message_lies(ask: Ask, site: Path) -> None:
    entry = json.loads(ask("journal", "show", 7, "--payloads", "-c", site, "--json").out)

    messages = entry["blocks"][0]["messages"]
    assert [message["position"] for message in messages] == [7 << 20, 7 << 20 | 1, 7 << 20 | 2]
    assert messages[0]["payload_hex"] == BYTES.hex()
    assert entry["written"] == "2026-03-01T00:00:00Z"


def test_what_came_from_kafka_is_shown_with_key_headers_partition_and_offset(ask: Ask, tmp_path: Path) -> None:
    config = settle(tmp_path)
    headers = [("trace", b"\xff"), ("by", b"gateway \x1b[2J")]
    block = Block("province", 1, ["t", "t"], [b"one", b""], [b"S1", None], [headers, []], 3, [41, 44])
    record(tmp_path, iter([block]))
    said = ask("journal", "show", 1, "-c", config)
    assert "0 t [partition 3, offset 41, key S1, trace=hex ff, by=hex 67617465776179201b5b324a]: 3 bytes" in said.out
    assert "1 t [partition 3, offset 44]: 0 bytes" in said.out
    messages = json.loads(ask("journal", "show", 1, "-c", config, "--json").out)["blocks"][0]["messages"]
    assert {"partition": 3, "offset": 41, "key": "S1"}.items() <= messages[0].items()
    assert messages[0]["headers"] == [["trace", "hex ff"], ["by", "hex 67617465776179201b5b324a"]]


def test_an_entry_that_is_not_there_is_said_not_to_be(ask: Ask, site: Path) -> None:
    said = ask("journal", "show", 999, "-c", site)

    assert said.code == 1
    assert "there is no entry 999" in said.err
    assert said.out == ""


def test_entries_are_numbered_from_one(ask: Ask, site: Path) -> None:
    assert ask("journal", "show", 0, "-c", site).code == 2


def test_a_journal_as_written_is_verified(ask: Ask, site: Path) -> None:
    said = ask("journal", "verify", "-c", site)

    assert (said.code, said.out) == (0, "2 days, all as written\n")


def test_a_flipped_byte_is_found_and_the_exit_code_tells(ask: Ask, site: Path) -> None:
    with closing(sqlite3.connect(day_file(site, "2026-03-01"))) as day:
        (body,) = day.execute("SELECT body FROM entries WHERE number = 8").fetchone()
        day.execute("UPDATE entries SET body = ? WHERE number = 8", (body[:-1] + bytes([body[-1] ^ 1]),))
        day.commit()

    said = ask("journal", "verify", "-c", site)
    told = json.loads(ask("journal", "verify", "-c", site, "--json").out)

    assert said.code == 1
    assert "2026-03-01, entry 8: the entry is not the one that was written" in said.err
    assert not told["ok"]
    assert told["findings"][0]["number"] == 8


def test_an_end_that_is_missing_is_found_by_what_the_ledger_knows(ask: Ask, site: Path) -> None:
    """A damaged write-ahead log makes the journal shorter without a word from SQLite; a start must not go on either."""
    newest = max(day_file(site, "2026-03-01").parent.glob("*.sqlite"))
    with closing(sqlite3.connect(newest)) as day:
        day.execute("DELETE FROM entries WHERE number = (SELECT max(number) FROM entries)")
        day.commit()

    said = ask("journal", "verify", "-c", site)
    started = ask("run", "-c", site)

    assert said.code == 1
    assert "its end is missing: the ledger has judged entry" in said.err
    assert started.code == 1
    assert "the journal ends at" in started.err
    assert "move ledger.sqlite away" in started.err


def test_a_day_that_is_no_database_costs_a_sentence(ask: Ask, site: Path) -> None:
    day_file(site, "2026-03-01").write_bytes(b"not a database, and longer than its header would be" * 40)

    listed, shown, verified = (ask("journal", *words, "-c", site) for words in (["list"], ["show", 8], ["verify"]))

    assert (listed.code, shown.code, verified.code) == (1, 1, 1)
    assert "jianwei journal verify says where" in listed.err
    assert "Traceback" not in listed.err + shown.err + verified.err
    assert "2026-03-01: the file cannot be read" in verified.err


def test_before_anything_has_run_there_is_nothing_to_look_at(ask: Ask, tmp_path: Path) -> None:
    said = ask("journal", "list", "-c", settle(tmp_path))

    assert said.code == 1
    assert "there is no data" in said.err
    assert not (tmp_path / "data").exists(), "looking must not make a data folder"


def test_settings_that_are_not_there_cost_a_sentence(ask: Ask, tmp_path: Path) -> None:
    said = ask("journal", "verify", "-c", tmp_path / "nowhere.toml")

    assert said.code == 1
    assert "cannot be read" in said.err


def test_the_journal_is_looked_at_while_the_service_runs(ask: Ask, site: Path) -> None:
    with serving(site):
        codes = [ask("journal", *words, "-c", site).code for words in (["list"], ["show", 3], ["verify"])]

    assert codes == [0, 0, 0]
