"""What json_v1 takes, and what it refuses with which place and reason."""

from typing import Any

import pytest

from ingest.batching import BatchBuilder
from ingest.formats import FORMATS, open_format
from ingest.formats.json_v1 import Bounds, JsonV1
from ingest.quarantine import reason_class
from rules.readings import FLAG_LETTERS, EquipmentFlag, Kind
from simulators import wire
from simulators.samples import Sample
from tests.ingest.json_reading import (
    MANY,
    NOON,
    NOON_NS,
    PLAIN,
    BothWays,
    Read,
    ReadColumns,
    read,
    with_value,
    written,
)

HOUR_NS = 3_600_000_000_000


def plain(**changed: Any) -> bytes:
    """The plain message with other content; ... takes a key away."""
    return written({key: content for key, content in {**PLAIN, **changed}.items() if content is not ...})


def test_one_sample_is_read() -> None:
    assert read(plain(values={"w01001": 7.5, "w01018": 21, "w01009": None}, seq=5, v=1)) == (
        [Read("w01001", 7.5), Read("w01018", 21.0), Read("w01009", None)],
        [],
    )


def test_many_samples_are_read_in_their_order() -> None:
    first_ns = NOON_NS - 4 * HOUR_NS
    assert read(written(MANY)) == ([Read("w01001", 7.5 + hour, first_ns + hour * HOUR_NS) for hour in range(3)], [])


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_its_name(kind: Kind) -> None:
    assert read(plain(kind=kind.name.lower()))[0] == [Read("w01001", 7.5, kind=kind)]


@pytest.mark.parametrize(("letter", "flag"), FLAG_LETTERS.items())
def test_every_flag_has_its_letter(letter: str, flag: EquipmentFlag) -> None:
    message = plain(values={"w01001": 7.5, "w01018": 21}, flags={"w01018": letter})
    assert read(message) == ([Read("w01001", 7.5), Read("w01018", 21.0, flag=flag)], [])


def test_a_flag_without_a_value_is_a_missing_value_with_that_flag() -> None:
    assert read(plain(values={}, flags={"w01018": "D"})) == ([Read("w01018", None, flag=EquipmentFlag.FAULT)], [])


def test_keys_that_may_be_left_out_may_be_null() -> None:
    assert read(plain(flags=None, seq=None)) == ([Read("w01001", 7.5)], [])


def test_a_station_without_values_says_so_in_peace() -> None:
    assert read(plain(values={})) == ([], [])


def test_spaces_and_order_do_not_matter() -> None:
    message = b'\n{ "values" : { "w01001"\t: 7.5 } , "time": "%b",\r\n"kind":"hour", "station" :"S-01"}  '
    assert read(message % NOON.encode()) == ([Read("w01001", 7.5)], [])


def test_the_simulators_encoder_is_understood() -> None:
    values = {"w01001": 7.126, "w01018": None, "w01009": 8.0}
    sample = Sample("S-01", Kind.HOUR, 3, NOON_NS, 0, 0, values, {"w01009": "M"})
    message = wire.encode(sample, dict.fromkeys(values, 2), 8 * 3600)
    expected = [Read("w01001", 7.13), Read("w01018", None), Read("w01009", 8.0, flag=EquipmentFlag.MAINTENANCE)]
    assert read(message, wire.topic_of("S-01", "hour")) == (expected, [])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0.0),
        ("-0", 0.0),
        ("-12.5", -12.5),
        ("1E+2", 100.0),
        ("2.50e-3", 0.0025),
        ("0.1", 0.1),
        ("0.30000000000000004", 0.30000000000000004),  # a float64 written out whole
        ("1.7976931348623157e308", 1.7976931348623157e308),
        ("5e-324", 5e-324),
        ("9007199254740992", 9007199254740992.0),
        ("1000000000000000000000", 1e21),
        ("7.50000000000000000000", 7.5),
    ],
)
def test_a_number_is_the_nearest_float(text: str, value: float) -> None:
    assert read(with_value(text)) == ([Read("w01001", value)], [])


@pytest.mark.parametrize(
    "text",
    [
        "9007199254740993",
        "0.1000000000000000055511151231257827",
        "123456789.123456789",
        "1e309",
        "-1e400",
        "1e-400",
        "1" * 5_000,
        "1e" + "9" * 50,
    ],
)
def test_a_number_that_no_float_holds_is_refused(text: str) -> None:
    problem = ("$.values.w01001", f"lost precision: a float64 does not hold {text[:40]}")
    assert read(with_value(text)) == ([], [problem])


@pytest.mark.parametrize(
    ("text", "called"),
    [
        ("true", "true or false"),
        ("false", "true or false"),
        ('"7.5"', "a text"),
        ('"NaN"', "a text"),
        ('""', "a text"),
        ("[7.5]", "a list"),
        ("{}", "an object"),
        ('{"w":[1]}', "an object"),
    ],
)
def test_what_is_no_number_costs_only_itself(text: str, called: str) -> None:
    message = written({**PLAIN, "values": {"w01018": 1, "w01001": 7.5, "w01009": 2}}).replace(b"7.5", text.encode())
    expected = [Read("w01018", 1.0), Read("w01009", 2.0)]
    assert read(message) == (expected, [("$.values.w01001", f"bad value: {called} is no number")])


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_words_that_only_some_call_json_are_refused(word: str) -> None:
    assert read(with_value(word)) == ([], [("$", f"not JSON: {word} is no number")])


@pytest.mark.parametrize("text", ["nan", "inf", "+1", "01", ".5", "1.", "1e", "0x1F", "1_000", "1,5", "-", "١", "None"])
def test_numbers_of_other_languages_are_not_json(text: str) -> None:
    readings, [(where, reason)] = read(with_value(text))
    assert (readings, where, reason_class(reason)) == ([], "$", "not_json")


@pytest.mark.parametrize(
    ("changed", "where", "reason"),
    [
        ({"time": "2026-05-01T12:00:00"}, "$.time", "bad time: it has no zone: end it with Z or +08:00"),
        ({"time": "2026-02-30T12:00:00Z"}, "$.time", "bad time: '2026-02-30T12:00:00Z': day is out of range for month"),
        ({"time": "yesterday"}, "$.time", "bad time: 'yesterday' is not in the form 2026-05-01T08:00:00+08:00"),
        ({"time": 1777608000}, "$.time", "bad time: a text such as 2026-05-01T08:00:00+08:00 is asked for"),
        ({"time": None}, "$.time", "bad time: a text such as 2026-05-01T08:00:00+08:00 is asked for"),
        ({"time": ...}, "$.time", "bad time: a text such as 2026-05-01T08:00:00+08:00 is asked for"),
        ({"station": ...}, "$.station", "bad station: 1 to 64 letters, digits and _ . - are asked for"),
        ({"station": ""}, "$.station", "bad station: 1 to 64 letters, digits and _ . - are asked for"),
        ({"station": "S" * 65}, "$.station", "bad station: 1 to 64 letters, digits and _ . - are asked for"),
        ({"station": "S/1"}, "$.station", "bad station: 1 to 64 letters, digits and _ . - are asked for"),
        ({"station": "灵江"}, "$.station", "bad station: 1 to 64 letters, digits and _ . - are asked for"),
        ({"station": 7}, "$.station", "bad station: 1 to 64 letters, digits and _ . - are asked for"),
        ({"kind": "week"}, "$.kind", "bad kind: say one of realtime, minute, hour, day"),
        ({"kind": "HOUR"}, "$.kind", "bad kind: say one of realtime, minute, hour, day"),
        ({"kind": ...}, "$.kind", "bad kind: say one of realtime, minute, hour, day"),
        ({"kind": 2}, "$.kind", "bad kind: say one of realtime, minute, hour, day"),
        ({"v": 2}, "$.v", "this format is version 1"),
        ({"v": "1"}, "$.v", "this format is version 1"),
        ({"v": True}, "$.v", "this format is version 1"),
        ({"v": 1.0}, "$.v", "this format is version 1"),
        ({"seq": -1}, "$.seq", "bad sequence: a whole number from 0 on is asked for"),
        ({"seq": 1.5}, "$.seq", "bad sequence: a whole number from 0 on is asked for"),
        ({"seq": 2**63}, "$.seq", "bad sequence: a whole number from 0 on is asked for"),
        ({"seq": 10**400}, "$.seq", "bad sequence: a whole number from 0 on is asked for"),
        ({"seq": "1"}, "$.seq", "bad sequence: a whole number from 0 on is asked for"),
        ({"seq": False}, "$.seq", "bad sequence: a whole number from 0 on is asked for"),
        ({"values": ...}, "$.values", "bad value: an object of numbers by parameter code is asked for"),
        ({"values": [7.5]}, "$.values", "bad value: an object of numbers by parameter code is asked for"),
        ({"values": None}, "$.values", "bad value: an object of numbers by parameter code is asked for"),
        ({"flags": "M"}, "$.flags", "bad flag: an object of letters by parameter code is asked for"),
        ({"flags": {"w01001": "X"}}, "$.flags.w01001", "bad flag: say one of N F M S D C T B, once"),
        ({"flags": {"w01001": "m"}}, "$.flags.w01001", "bad flag: say one of N F M S D C T B, once"),
        ({"flags": {"w01001": "NM"}}, "$.flags.w01001", "bad flag: say one of N F M S D C T B, once"),
        ({"flags": {"w01001": None}}, "$.flags.w01001", "bad flag: say one of N F M S D C T B, once"),
        ({"values": {"pH 值": 7}}, "$.values.pH 值", "bad value: this is no parameter code"),
        ({"values": {"": 7}}, "$.values.", "bad value: this is no parameter code"),
        ({"values": {"w" * 41: 7}}, "$.values." + "w" * 41, "bad value: this is no parameter code"),
        ({"value": {"w01001": 7.5}}, "$.value", "unknown key; see docs/json_v1.md"),
        ({"samples": []}, "$", "either samples, or time and values beside the station: not both"),
        ({"samples": None}, "$", "either samples, or time and values beside the station: not both"),
    ],
)
def test_what_a_sample_must_not_say(changed: dict[str, Any], where: str, reason: str) -> None:
    assert read(plain(**changed)) == ([], [(where, reason)])


@pytest.mark.parametrize(
    ("samples", "where", "reason"),
    [
        ([], "$.samples", "bad samples: a list with at least one sample is asked for"),
        (None, "$.samples", "bad samples: a list with at least one sample is asked for"),
        ({"time": NOON}, "$.samples", "bad samples: a list with at least one sample is asked for"),
        ([[]], "$.samples[0]", "bad sample: an object is asked for"),
        ([{"time": NOON, "values": {}, "kind": "day"}], "$.samples[0].kind", "unknown key; see docs/json_v1.md"),
        ([{"values": {}}], "$.samples[0].time", "bad time: a text such as 2026-05-01T08:00:00+08:00 is asked for"),
    ],
)
def test_what_a_list_of_samples_must_not_hold(samples: Any, where: str, reason: str) -> None:
    assert read(written({"station": "S-01", "kind": "hour", "samples": samples})) == ([], [(where, reason)])


def test_a_bad_sample_costs_only_itself() -> None:
    first, second, third = MANY["samples"]
    samples = [first, {**second, "time": "2026-05-01T01:00:00"}, third]
    readings, problems = read(written({**MANY, "samples": samples}))
    assert [reading.value for reading in readings] == [7.5, 9.5]
    assert problems == [("$.samples[1].time", "bad time: it has no zone: end it with Z or +08:00")]


def test_a_value_whose_flag_is_bad_is_not_taken_for_normal() -> None:
    message = plain(values={"w01001": 7.5, "w01018": 21}, flags={"w01001": "?"})
    assert read(message) == ([Read("w01018", 21.0)], [("$.flags.w01001", "bad flag: say one of N F M S D C T B, once")])


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"7",
        b'"a text"',
        b"[]",
        b"{",
        b"{}}",
        b"\xef\xbb\xbf" + written(PLAIN),  # a byte order mark
        written(PLAIN) + b"\x00",
        written(PLAIN)[:-1] + b",}",
        written(PLAIN).replace(b'"', b"'"),
        written(PLAIN).decode().encode("utf-16"),
        written(PLAIN).replace(b"S-01", b"S\n01"),
    ],
)
def test_what_is_no_json_object_is_told_as_a_whole(payload: bytes) -> None:
    readings, [(where, reason)] = read(payload)
    assert (readings, where, reason_class(reason)) == ([], "$", "not_json")


def test_bad_utf8_is_told_with_its_place() -> None:
    assert read(b'{"station":"\xff"}') == ([], [("$", "not JSON: not UTF-8 at byte 12")])


def test_a_lone_surrogate_is_no_code() -> None:
    assert read(plain(values={"\ud800": 1, "w01001": 7.5})) == (
        [Read("w01001", 7.5)],
        [("$.values.\ud800", "bad value: this is no parameter code")],
    )


@pytest.mark.parametrize(
    ("old", "new", "where", "reason"),
    [
        ('"kind"', '"station":"S-02","kind"', "$.station", "this key stands twice"),
        ('"kind"', '"station" :"S-02","kind"', "$.station", "this key stands twice"),
        ('"kind"', '"st\\u0061tion":"S-01","kind"', "$.station", "this key stands twice"),
        ('"kind"', '"seq":null,"seq":1,"kind"', "$.seq", "this key stands twice"),
        ("7.5", '7.5,"w01001":7.5', "$.values.w01001", "bad value: this code stands twice"),
        ("7.5", '7.5,"w01001" : 8', "$.values.w01001", "bad value: this code stands twice"),
        ("7.5", '"7.5","w01001":8', "$.values.w01001", "bad value: this code stands twice"),
        ("7.5}", '7.5},"flags":{"w01001":"N","w01001":"M"}', "$.flags.w01001", "bad flag: say one of"),
    ],
)
def test_of_two_equal_keys_none_wins(old: str, new: str, where: str, reason: str) -> None:
    readings, [(place, why)] = read(written(PLAIN).decode().replace(old, new, 1).encode())
    assert (readings, place) == ([], where)
    assert why.startswith(reason)


@pytest.mark.parametrize("topic", ["jianwei/v1/S-02/hour", "jianwei/v1/S-01/day", "jianwei/v1/S-01/HOUR"])
def test_a_message_on_the_topic_of_another_is_refused(topic: str) -> None:
    reason = "bad station: the topic names another station or kind than the message"
    assert read(plain(), topic) == ([], [("$.station", reason)])


@pytest.mark.parametrize("topic", ["jianwei/v1/S-01/hour", "jianwei/v2/S-02/day", ""])
def test_a_topic_that_agrees_or_names_nobody_is_no_obstacle(topic: str) -> None:
    assert read(plain(), topic) == ([Read("w01001", 7.5)], [])


BOUNDS = Bounds(most_bytes=400, most_samples=3, most_values=4)


def test_too_many_bytes_are_refused() -> None:
    full = plain().ljust(400)
    assert read(full, bounds=BOUNDS) == ([Read("w01001", 7.5)], [])
    assert read(full + b" ", bounds=BOUNDS) == ([], [("$", "too large: 401 bytes, at most 400 are taken")])


def test_too_many_samples_are_refused() -> None:
    more = {**MANY, "samples": [*MANY["samples"], MANY["samples"][0]]}
    assert len(read(written(MANY), bounds=BOUNDS)[0]) == 3
    assert read(written(more), bounds=BOUNDS) == ([], [("$.samples", "too large: at most 3 samples are taken")])


def test_too_many_values_are_refused_flags_counted() -> None:
    codes = ["w01001", "w01018", "w01009", "w01010"]
    reason = ("$.values", "too large: at most 4 values are taken")
    assert len(read(plain(values=dict.fromkeys(codes, 1)), bounds=BOUNDS)[0]) == 4
    assert read(plain(values=dict.fromkeys([*codes, "x"], 1)), bounds=BOUNDS) == ([], [reason])
    assert read(plain(values=dict.fromkeys(codes, 1), flags={"w01001": "N"}), bounds=BOUNDS) == ([], [reason])


def test_what_is_nested_too_deeply_is_refused() -> None:
    """Four levels under the object of values are a bad value; from there on the whole message is refused."""
    assert read(with_value("[" * 4 + "]" * 4)) == ([], [("$.values.w01001", "bad value: a list is no number")])
    reason = "too large: nested too deeply, at most 6 levels are taken"
    for deep in ("[" * 5 + "]" * 5, '{"w":' * 100_000, "[" * 500_000):
        assert read(with_value(deep)) == ([], [("$", reason)])


def test_brackets_in_a_text_are_no_depth() -> None:
    message = with_value('"\\"[[[[[[[[[["').replace(b'"station"', b'"]]]]]]]]":0,"station"')
    assert read(message) == ([], [("$.]]]]]]]]", "unknown key; see docs/json_v1.md")])
    assert read(with_value('"\\"[[[[[[[[[["')) == ([], [("$.values.w01001", "bad value: a text is no number")])


def test_of_very_many_problems_only_the_first_are_told_one_by_one() -> None:
    values = {f"x.{number}": "?" for number in range(80)}
    readings, problems = read(plain(values={**values, "w01001": 7.5}))
    assert readings == [Read("w01001", 7.5)]
    assert problems[:50] == [(f"$.values.x.{number}", "bad value: a text is no number") for number in range(50)]
    assert problems[50:] == [("$", "bad values: 30 more like these")]


def test_what_was_remembered_of_one_message_does_not_rub_off_on_the_next() -> None:
    """Layouts, times and topics are remembered; each message must still be read as by a decoder that met it first."""
    both = BothWays()
    messages = [
        plain(),
        plain(station="S-02"),
        plain(kind="day"),
        plain(values={"w01018": 1, "w01001": 7.5}),
        plain(values={"w01001": 7.5, "w01018": 1}),
        plain(time="2026-05-01T04:00:00Z"),
        plain(values={"w01001": "x"}),
        plain(flags={"w01001": "C"}),
        written(MANY),
    ]
    for message in messages * 2:
        assert both.read(message) == read(message)


def test_memory_of_layouts_times_and_topics_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.formats.json_v1.MOST_CACHED", 3)
    decoder, columns = JsonV1(), ReadColumns()
    for number in range(20):
        time = f"2026-05-01T12:00:{number:02}+08:00"
        message = plain(station=f"S-{number}", time=time)
        assert decoder.decode(f"jianwei/v1/S-{number}/hour", message, columns) == ()
        assert columns.taken() == [Read("w01001", 7.5, NOON_NS + number * 10**9, station=f"S-{number}")]
    assert max(len(decoder._layouts), len(decoder._instants), len(decoder._topics)) <= 3


def test_it_opens_by_its_name() -> None:
    columns = ReadColumns()
    assert open_format("json_v1").decode("x", plain(), columns) == ()
    assert columns.taken() == [Read("w01001", 7.5)]


def test_every_format_opens_and_tells_what_it_cannot_read() -> None:
    for name in FORMATS:
        assert len(open_format(name).decode("x", b"no message of any format", ReadColumns())) == 1


@pytest.mark.parametrize("topic", ["jianwei/v1/SW-01/hour/x", "jianwei/v1/SW-01", "jianwei/v1//hour", "jianwei/v1/"])
def test_who_may_publish_under_one_station_cannot_speak_for_another_by_a_longer_topic(topic: str) -> None:
    message = b'{"station":"WE-01","kind":"hour","time":"2026-03-01T08:00:00Z","values":{"w01001":7}}'
    builder = BatchBuilder(lambda _key: 0)
    ((where, reason),) = JsonV1().decode(topic, message, builder)
    assert where == "$.station"
    assert reason.startswith("bad station: the topic names another")
    assert len(builder) == 0
