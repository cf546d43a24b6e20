"""Every happening becomes a log line, a metric, or both; the page about the metrics says what the program says."""

import io
import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from alerts import records as told
from ingest import records as done
from jianwei.telemetry import Meters, Telemetry, open_log
from rules.readings import SECOND_NS, Counts, Level
from tests.alerts.found import NOON_NS, change

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
ASKED_FOR = {
    "ingest_messages_total",
    "ingest_rejected_total",
    "ingest_unacked",
    "ingest_ack_lag_seconds",
    "ingest_connections_total",
    "mqtt_last_packet_age_seconds",
    "kafka_consumer_lag",
    "store_write_seconds",
    "store_points_total",
    "spool_bytes",
    "spool_oldest_seconds",
    "dead_letters_total",
    "rule_eval_seconds",
    "watermark_delay_seconds",
    "late_points_total",
    "alerts_open",
    "alert_transitions_total",
    "notify_attempts_total",
    "event_to_alert_seconds",
}
HAPPENINGS: list[done.Record | told.Record] = [
    done.Connected("mqtt", session_present=True),
    done.ConnectionLost("mqtt", "broken pipe", 1.23456),
    done.PossibleLoss("mqtt", "the broker has forgotten us"),
    done.Rebalanced("kafka", 0, 4),
    done.SourceLag("kafka", 12, 0.003),
    done.LoggerSeen("hj212_tcp", "WE-01", "88888880000001", "127.0.0.1", "2017", connected=True, at_ns=1),
    done.LoggerRefused("hj212_tcp", "88888880000002", "127.0.0.1", "2017", 1, is_unknown=True, why="not registered"),
    done.LoggerTwice("hj212_tcp", "WE-01", "88888880000001", "127.0.0.1", "127.0.0.2", 1),
    done.LoggerClock("hj212_tcp", "WE-01", "88888880000001", 301 * SECOND_NS, "wrong", "its clock is 301 s ahead", 1),
    done.LinesServed("hj212_tcp", 3, 4, {"idle": 1}, 100, 2, 98, 30),
    done.RequestMoved("hj212_tcp", 7, "accepted", "9011, QnRtn 1", 1),
    done.EntryWritten(7, 900, 0.004, 0.02),
    done.JournalRefused("the disk is full", 0.1),
    done.BatchJudged(3, 7, 70, 2, Counts(70, 4, 3, 2, 1), NOON_NS, 0.003),
    done.TransitionsFound([change()]),
    done.Quarantined(2, "bad_value"),
    done.RowsStored(70, 0.01),
    done.StoreBusy("locked", 1.0),
    done.RowsRefused(5, "too old"),
    done.RegisterBound(4, 2),
    done.CatchUp(3, 9, done=False),
    done.DeadLettersPublished(3),
    done.DeadLettersDelayed("away", 1.0),
    done.DeadLetterRefused("too large", 9),
    done.PartFailed("delivery:hook", "ZeroDivisionError()"),
    told.NoticeSent("hook", 0.1, NOON_NS, NOON_NS, NOON_NS + 3 * SECOND_NS),
    told.NoticeFailed("hook", "timeout", "no answer", 4.0),
    told.NoticeDead("hook", "client", "HTTP 400", "0" * 32),
    told.LedgerRefused("hook", "locked", 1.0),
]


class Listening:
    """Telemetry whose log is kept."""

    def __init__(self, level: str = "debug") -> None:
        self.stream = io.StringIO()
        self.telemetry = Telemetry(open_log(level, json_lines=True, stream=self.stream))

    def value(self, name: str, **labels: str) -> float | None:
        return self.telemetry.meters.registry.get_sample_value(name, labels)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


def test_every_record_of_every_room_has_a_meaning() -> None:
    assert {type(record) for record in HAPPENINGS} == {*get_args(done.Record), *get_args(told.Record)}
    listening = Listening()
    for record in HAPPENINGS:
        before = samples(listening.telemetry.meters), len(listening.lines)
        listening.telemetry.emit(record)
        assert (samples(listening.telemetry.meters), len(listening.lines)) != before, f"{record} leaves no trace"


def samples(meters: Meters) -> dict[tuple[str, str], float]:
    """Every sample that does not tell when it was made."""
    return {
        (sample.name, str(sample.labels)): sample.value
        for metric in meters.registry.collect()
        for sample in metric.samples
        if not sample.name.endswith("_created")
    }


def test_what_nobody_gave_a_meaning_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="no meaning is given to int"):
        Listening().telemetry.emit(5)  # type: ignore[arg-type]


def test_counts_say_what_happened() -> None:
    listening = Listening()
    for record in HAPPENINGS:
        listening.telemetry.emit(record)
    value = listening.value
    assert value("ingest_messages_total", result="journaled") == 7
    assert value("ingest_messages_total", result="judged") == 7
    assert value("rule_readings_total") == 70
    assert [value("late_points_total", action=a) for a in ("late", "duplicate", "conflict")] == [4, 3, 2]
    assert value("ingest_rejected_total", reason="bad_value") == 2
    assert value("store_points_total", result="stored") == 70
    assert value("store_points_total", result="refused") == 5
    assert value("dead_letters_total", reason="refused_by_store") == 5
    assert value("dead_letters_total", reason="notice") == 1
    assert value("part_failures_total", part="delivery") == 1, "no label of a channel's own choice"
    assert value("ingest_connections_total", source="mqtt", result="lost") == 1
    assert value("alert_transitions_total", what="opened", family="exceedance") == 1
    assert value("notify_attempts_total", channel="hook", reason="timeout") == 1
    assert value("event_to_alert_seconds_sum", channel="hook") == 3.0
    assert value("ingest_ack_lag_seconds_sum") == 0.02
    assert value("journal_commit_seconds_sum") == 0.004
    assert value("store_busy_total") == value("journal_refused_total") == 1
    assert listening.telemetry.newest_received_ns == NOON_NS


def test_an_entry_of_time_alone_has_no_lag() -> None:
    listening = Listening()
    listening.telemetry.emit(done.EntryWritten(0, 0, 0.001))
    assert listening.value("ingest_ack_lag_seconds_count") == 0
    assert listening.value("journal_commit_seconds_count") == 1


def test_rows_made_again_are_not_counted_again() -> None:
    listening = Listening()
    listening.telemetry.emit(done.BatchJudged(3, 7, 70, 2, Counts(), NOON_NS, 0.003, again=True))
    assert listening.value("rule_readings_total") == 0
    assert listening.value("ingest_messages_total", result="judged") == 0


def test_open_episodes_are_counted_by_their_level_over_restarts() -> None:
    listening = Listening()
    heard: list[str] = []
    listening.telemetry.listen(lambda transition: heard.append(transition.id))
    listening.telemetry.opened({"old": Level.RED})
    opened = change(episode="new", level=Level.YELLOW)
    worse = change(episode="new", what="worsened", level=Level.ORANGE)
    cleared = change(episode="old", what="cleared", level=Level.NONE)

    def levels() -> list[float | None]:
        return [listening.value("alerts_open", severity=word) for word in ("blue", "yellow", "orange", "red")]

    assert levels() == [0, 0, 0, 1]
    listening.telemetry.emit(done.TransitionsFound([opened]))
    assert levels() == [0, 1, 0, 1]
    listening.telemetry.emit(done.TransitionsFound([worse, cleared]))
    assert levels() == [0, 0, 1, 0]
    assert heard == [opened.id, worse.id, cleared.id]


def test_a_log_line_is_json_with_level_and_time_and_keeps_chinese_readable() -> None:
    listening = Listening()
    listening.telemetry.emit(done.PossibleLoss("北站", "the broker has forgotten us"))
    (line,) = listening.lines
    assert (line["event"], line["level"], line["source"]) == ("possible loss", "error", "北站")
    assert line["timestamp"].endswith("Z")
    assert "北站" in listening.stream.getvalue()


def test_the_level_of_the_log_leaves_out_what_is_below_it() -> None:
    listening = Listening("error")
    for record in HAPPENINGS:
        listening.telemetry.emit(record)
    assert {line["level"] for line in listening.lines} == {"error"}


def test_lines_for_a_persons_eyes_are_no_json() -> None:
    stream = io.StringIO()
    open_log("info", json_lines=False, stream=stream).warning("the store is busy", why="locked")
    assert "the store is busy" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_the_page_and_the_program_name_the_same_metrics() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|\n").split(" | ")]
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| `")
    ]
    on_page = [(name.strip("` "), kind, labels, meaning) for name, kind, labels, meaning, _ in rows]
    in_program = [(m.name, m.type, ", ".join(m.labels), m.meaning) for m in Meters().told]
    assert on_page == in_program
    assert all(advice for *_, advice in rows)


def test_the_names_that_a_dashboard_expects_are_there_from_the_start() -> None:
    meters = Meters()
    assert {meter.name for meter in meters.told} >= ASKED_FOR
    assert all(re.fullmatch(r"[a-z_]+", meter.name) for meter in meters.told)
    for meter in meters.told:
        assert meter.name.endswith("_total") == (meter.type == "counter"), meter.name
        assert (meter.type != "histogram") or meter.name.endswith("_seconds"), meter.name
    assert meters.registry.get_sample_value("dead_letters_total", {"reason": "notice"}) == 0


def test_the_page_tells_every_value_of_a_label_that_the_program_chooses() -> None:
    text = PAGE.read_text(encoding="utf-8")
    chosen = {
        value
        for metric in Meters().registry.collect()
        for sample in metric.samples
        for label, value in sample.labels.items()
        if label in {"result", "reason", "action"}
    }
    assert not [value for value in chosen if f"`{value}`" not in text]
