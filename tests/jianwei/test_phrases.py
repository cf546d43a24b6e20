"""What people type for a request becomes its command and fields."""

import pytest

from ingest.hj212.askable import ASKABLE
from ingest.instants import InstantError
from jianwei.phrases import PHRASES, NotAskable, request_in, time_ns_of
from rules.readings import SECOND_NS

EIGHT_NS, TEN_NS = 1_772_323_200 * SECOND_NS, 1_772_330_400 * SECOND_NS  # in Beijing on 2026-03-01


@pytest.mark.parametrize(
    ("said", "cn", "fields"),
    [
        ("clock", "1011", {}),
        ("clock set", "1012", {}),
        ("clock PolId=w01018", "1011", {"PolId": "w01018"}),
        ("interval realtime", "1061", {}),
        ("interval realtime 30", "1062", {"RtdInterval": "30"}),
        ("interval minute 10", "1064", {"MinInterval": "10"}),
        ("timeout 10 3", "1000", {"OverTime": "10", "ReCount": "3"}),
        ("realtime stop", "2012", {}),
        ("3012 PolId=w01018", "3012", {"PolId": "w01018"}),
        ("1062 RtdInterval=60", "1062", {"RtdInterval": "60"}),
    ],
)
def test_words_are_a_command(said: str, cn: str, fields: dict[str, str]) -> None:
    assert request_in(said.split(), None, None) == (cn, fields)


@pytest.mark.parametrize(("kind", "cn"), [("minute", "2051"), ("hour", "2061"), ("day", "2031"), ("equipment", "2041")])
def test_history_has_a_span_in_beijing(kind: str, cn: str) -> None:
    fields = {"BeginTime": "20260301080000", "EndTime": "20260301100000"}
    assert request_in(["history", kind], EIGHT_NS, TEN_NS) == (cn, fields)


@pytest.mark.parametrize(
    ("said", "begin_ns", "end_ns", "words"),
    [
        ("history minute", None, None, "Say its beginning with --from"),
        ("history minute", TEN_NS, EIGHT_NS, "BeginTime lies after EndTime"),
        ("clock", EIGHT_NS, None, "1011 has no field BeginTime"),
        ("interval realtime 5", None, None, "RtdInterval is a whole number from 30 to 3600, not '5'"),
        ("interval realtime 30 40", None, None, "is nothing that a station can be asked"),
        ("dance", None, None, "There are clock; clock set; interval realtime; interval realtime RTDINTERVAL"),
        ("1072 PW=secret", None, None, "is nothing that a station can be asked"),
    ],
)
def test_what_cannot_be_asked_is_told_with_what_can(
    said: str, begin_ns: int | None, end_ns: int | None, words: str
) -> None:
    with pytest.raises(NotAskable, match=words):
        request_in(said.split(), begin_ns, end_ns)


def test_every_phrase_is_of_a_command_that_there_is() -> None:
    assert all(set(phrase.values) <= set(ASKABLE[phrase.cn].needs) for phrase in PHRASES)


@pytest.mark.parametrize(
    "text", ["2026-03-01T08:00", "2026-03-01 08:00:00", "2026-03-01T00:00:00Z", "2026-03-01T08:00:00+08:00"]
)
def test_a_time_without_a_zone_is_one_of_beijing(text: str) -> None:
    assert time_ns_of(text) == EIGHT_NS


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01T08:00", "0001-01-01T00:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InstantError):
        time_ns_of(text)


def test_a_day_begins_at_midnight_in_beijing() -> None:
    assert time_ns_of("2026-03-01") == EIGHT_NS - 8 * 3_600 * SECOND_NS
