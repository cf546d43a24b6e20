"""Whatever an InfluxDB answers, or does not: what is stored, what is refused, what is tried again, and when."""

import json
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Sequence
from math import log2
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from ingest.message import Busy, Refused, Stored, StoreUnreadable
from ingest.stores.influxdb import InfluxdbStore, InfluxdbStoreSettings
from ingest.stores.influxdb.connection import LONGEST_WAIT_S
from rules.readings import Kind, SeriesKey
from tests.ingest.scripted_http import HOST, Answering, Reply, Request, ScriptedHttp
from tests.ingest.store_contract import KEYS, NOON_NS, Row, judged

SECRET = "s3cret"
SECOND_NS = 1_000_000_000


def said(code: str, message: str) -> bytes:
    return json.dumps({"code": code, "message": message}).encode()


opened: list[InfluxdbStore] = []


@pytest.fixture(autouse=True)
def _all_are_closed() -> Iterator[None]:
    yield
    while opened:
        opened.pop().close()


def store_at(url: str, **more: object) -> InfluxdbStore:
    given = {"url": url, "org": "city", "token": SECRET, "timeout_s": 5, "make_buckets": False, **more}
    opened.append(InfluxdbStore(InfluxdbStoreSettings.model_validate(given), lambda _: "water"))
    return opened[-1]


def written(answering: Answering | Sequence[Reply], rows: int = 1) -> tuple[Stored | Refused | Busy, list[Request]]:
    """One write of so many rows of one series, a second apart."""
    with ScriptedHttp(answering) as server:
        store = store_at(server.url)
        answer = store.write(judged(*(Row(measured_ns=NOON_NS + n * SECOND_NS) for n in range(rows))), KEYS)
        assert store.health(NOON_NS).ok == (not isinstance(answer, Busy))
    return answer, server.requests


def test_a_write_says_where_and_how() -> None:
    answer, (request,) = written([Reply()])
    assert answer == Stored()
    assert request.target.startswith("/api/v2/write?")
    assert request.query == {"org": ["city"], "bucket": ["hour"], "precision": ["ms"]}
    assert request.headers["authorization"] == f"Token {SECRET}"
    assert request.headers["content-encoding"] == "gzip"
    assert request.lines == ["water,kind=hour,station=上塘河-01 p1=1.0,p1_word=1i 1772366400000"]


def test_times_that_are_no_whole_milliseconds_are_said_to_the_nanosecond() -> None:
    with ScriptedHttp([Reply()]) as server:
        store_at(server.url).write(judged(Row(), Row(measured_ns=NOON_NS + 1)), KEYS)
    assert server.requests[0].query["precision"] == ["ns"]
    assert [line.split()[-1] for line in server.requests[0].lines] == [str(NOON_NS), str(NOON_NS + 1)]


def test_of_rows_with_one_key_only_the_one_that_shall_stand_is_sent() -> None:
    rows = [Row(value=1.0), Row(1, value=7.0), Row(value=2.0), Row(1, value=8.0)]
    with ScriptedHttp([Reply()]) as server:
        assert store_at(server.url, raw="hour").write(judged(*rows), KEYS) == Stored()
    (request,) = server.requests
    assert [line.split()[1] for line in request.lines] == ["p1=2.0,p1_word=1i", "p1=8.0,p1_word=1i"]


@pytest.mark.parametrize(
    ("reply", "at_least_s", "words"),
    [
        (
            Reply(401, said("unauthorized", "unauthorized access")),
            30,
            "401 about bucket hour: unauthorized access; give",
        ),
        (Reply(403, said("forbidden", "insufficient permissions")), 30, "give a token that may read and write it"),
        (Reply(404, said("not found", 'bucket "hour" not found')), 30, 'bucket "hour" not found; make it'),
        (Reply(429), 1, "429"),
        (Reply(429, headers={"Retry-After": "17"}), 17, "429"),
        (Reply(500, said("internal error", "check server logs")), 1, "check server logs"),
        (Reply(503, b"<html>maintenance</html>", headers={"Retry-After": "40"}), 40, "maintenance"),
        (Reply(503, headers={"Retry-After": "soon"}), 1, "503"),
        (Reply(503, headers={"Retry-After": "-5"}), 1, "503"),
        (Reply(503, headers={"Retry-After": "99999999999"}), LONGEST_WAIT_S, "503"),
        (Reply(504), 1, "504"),
        (Reply(200, b"hello"), 30, "is store.url that of an InfluxDB 2?"),
        (Reply(302, headers={"Location": "https://elsewhere"}), 30, "is store.url that of an InfluxDB 2?"),
        (Reply(400, b"<html>bad request</html>"), 30, "bad request"),
        (Reply(400, said("invalid", "invalid precision")), 30, "invalid precision"),
        (Reply(422, b""), 30, "422"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Reply) else "",
)
def test_an_answer_that_is_not_about_lines_stores_and_refuses_nothing(
    reply: Reply, at_least_s: float, words: str
) -> None:
    answer, requests = written([reply], rows=100)
    assert isinstance(answer, Busy)
    assert len(requests) == 1
    assert at_least_s <= answer.retry_after_s <= max(at_least_s, 1)
    assert words in answer.why


def test_a_date_to_come_back_at_is_read_by_the_clock_of_the_server() -> None:
    """Ours may be wrong."""
    dates = {"Date": "Thu, 01 Jan 1970 00:00:10 GMT", "Retry-After": "Thu, 01 Jan 1970 00:00:35 GMT"}
    answer, _ = written([Reply(503, headers=dates)])
    assert isinstance(answer, Busy)
    assert answer.retry_after_s == 25
    answer, _ = written([Reply(503, headers={"Retry-After": dates["Retry-After"]})])
    assert isinstance(answer, Busy)
    assert answer.retry_after_s == 1


def refusing(*seconds: int, status: int = 400) -> Answering:
    """Refuses every body that holds one of these moments; as InfluxDB does, it says so and takes nothing."""
    bad = {str(NOON_NS // 1_000_000 + second * 1_000) for second in seconds}

    def answering(request: Request) -> Reply:
        found = [line for line in request.lines if line.split()[-1] in bad]
        if not found:
            return Reply()
        if status == 400:
            return Reply(400, said("invalid", "\n".join(f"unable to parse '{line}': strange" for line in found)))
        return Reply(422, said("unprocessable entity", f"partial write: strange dropped={len(found)}"))

    return answering


@pytest.mark.parametrize("status", [400, 422])
def test_one_bad_line_among_5000_is_found_and_the_others_are_stored(status: int) -> None:
    answer, requests = written(refusing(3_210, status=status), rows=5_000)
    assert isinstance(answer, Refused)
    assert list(answer.rows) == [3_210]
    assert "strange" in answer.reasons[0]
    assert len(requests) <= 2 * (log2(5_000) + 1) + 1
    good = refusing(3_210)
    stored = {line.split()[-1] for r in requests if good(r).status == 204 for line in r.lines}
    assert len(stored) == 4_999


def test_however_many_lines_are_bad_no_good_one_is_lost() -> None:
    bad = [0, 1, 17, 18, 19, 50, 99]
    answer, requests = written(refusing(*bad), rows=100)
    assert isinstance(answer, Refused)
    assert sorted(answer.rows) == bad
    assert len(requests) < 2 * 100


OUTSIDE = "dropped 64 points outside retention policy of duration 24h0m0s - oldest point m,station=dropped=3 at ..."


@pytest.mark.parametrize(
    ("words", "requests"),
    [
        ("partial write: points beyond retention policy dropped=64", 1),
        (f"failure writing: partial write: {OUTSIDE} dropped=64 for database: 1f for retention policy: autogen", 1),
        ("partial write: field type conflict dropped=64", 1),
        ("partial write: points beyond retention policy dropped=63", 127),
    ],
)
def test_where_all_of_a_body_was_dropped_nobody_looks_further(words: str, requests: int) -> None:
    answer, asked = written([Reply(422, said("unprocessable entity", words))], rows=64)
    assert isinstance(answer, Refused)
    assert list(answer.rows) == list(range(64))
    assert len(asked) == requests


@pytest.mark.parametrize("code", ["p3", "retention", "hydraulic_retention_time"])
def test_one_bad_reading_does_not_take_the_others_of_its_message_with_it(code: str) -> None:
    """InfluxDB drops the whole point for one field: all of one line, yet not all of its readings.

    Its words quote the name of the field, which may hold any words.
    """

    def answering(request: Request) -> Reply:
        bad = sum(f"{code}=" in line for line in request.lines)
        why = f'field type conflict: input field "{code}" on measurement "m" is type float, already exists as integer'
        words = f"failure writing points to database: partial write: {why} dropped={bad}"
        return Reply(422, said("unprocessable entity", words)) if bad else Reply()

    keys = [SeriesKey("A", code if n == 3 else f"q{n}", Kind.HOUR) for n in range(10)]
    with ScriptedHttp(answering) as server:
        answer = store_at(server.url).write(judged(*(Row(series=n) for n in range(10))), keys)
    assert isinstance(answer, Refused)
    assert list(answer.rows) == [3]


def test_a_body_that_is_too_large_is_halved() -> None:
    def answering(request: Request) -> Reply:
        return Reply(413 if len(request.lines) > 30 else 204)

    answer, requests = written(answering, rows=100)
    assert answer == Stored()
    assert len({line for request in requests if len(request.lines) <= 30 for line in request.lines}) == 100
    answer, _ = written([Reply(413)], rows=2)
    assert isinstance(answer, Refused)


def test_trouble_while_bad_lines_are_looked_for_refuses_nothing_yet() -> None:
    answer, _ = written([Reply(400, said("invalid", "unable to parse 'x': y")), Reply(), Reply(503)], rows=2)
    assert isinstance(answer, Busy)


@pytest.mark.parametrize("cut", [Reply(cut_after=0), Reply(cut_after=9), Reply(500, b"words", cut_after=40)])
def test_a_connection_that_is_cut_before_the_answer_was_whole_means_busy(cut: Reply) -> None:
    answer, _ = written([cut])
    assert isinstance(answer, Busy)
    assert "cannot be reached" in answer.why


def test_a_connection_that_the_server_ended_while_idle_costs_nothing() -> None:
    with ScriptedHttp([Reply(goodbye=True), Reply(goodbye=True), Reply()]) as server:
        store = store_at(server.url)
        for _ in range(3):
            assert store.write(judged(Row()), KEYS) == Stored()
            time.sleep(0.05)
    assert len(server.requests) == 3


def test_the_last_answer_of_a_connection_is_read_to_its_end() -> None:
    reply = Reply(500, said("internal error", "x" * 100 + "words"), headers={"Connection": "close"}, goodbye=True)
    answer, _ = written([reply])
    assert isinstance(answer, Busy)
    assert answer.why.endswith("words")


def test_after_a_cut_the_same_rows_go_in() -> None:
    with ScriptedHttp([Reply(cut_after=5), Reply()]) as server:
        store = store_at(server.url)
        assert isinstance(store.write(judged(Row()), KEYS), Busy)
        assert store.write(judged(Row()), KEYS) == Stored()
    assert server.requests[0].lines == server.requests[1].lines


def test_silence_is_waited_for_as_long_as_the_settings_say() -> None:
    with ScriptedHttp([Reply(hang=True)]) as server:
        began_s = time.monotonic()
        answer = store_at(server.url, timeout_s=0.2).write(judged(Row()), KEYS)
        took_s = time.monotonic() - began_s
    assert isinstance(answer, Busy)
    assert "gave no answer in time" in answer.why
    assert 0.2 <= took_s < 2


@pytest.mark.parametrize("head", [b"", b"x" * 100])
def test_an_answer_that_comes_in_drops_is_waited_for_no_longer_than_silence(head: bytes) -> None:
    with ScriptedHttp([Reply(), Reply(204 if not head else 500, head, drip_s=0.05)]) as server:
        store = store_at(server.url, timeout_s=0.5)
        assert store.write(judged(Row()), KEYS) == Stored()
        began_s = time.monotonic()
        answer = store.write(judged(Row()), KEYS)
        took_s = time.monotonic() - began_s
        assert isinstance(answer, Busy)
        assert "gave no answer in time" in answer.why
        assert 0.5 <= took_s < 2
        with pytest.raises(StoreUnreadable, match="gave no answer in time"):
            store.read("A", None, Kind.HOUR, 0, 10)


def test_pieces_of_a_long_answer_have_the_whole_time_each() -> None:
    piece = PIECE % b'[1,"hour","A",0.5,1]'
    chunks = b"%x\r\n%s\r\n" % (len(piece), piece) * 4 + b"0\r\n\r\n"
    reply = Reply(200, chunks, headers={"Transfer-Encoding": "chunked"}, drip_s=0.004)
    with ScriptedHttp([reply]) as server:
        began_s = time.monotonic()
        assert len(store_at(server.url, timeout_s=1.5).read("A", None, Kind.HOUR, 0, 10)) == 4
        assert time.monotonic() - began_s > 1.6


def test_nobody_at_the_address_means_busy() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
    answer = store_at(f"http://{HOST}:{port}").write(judged(Row()), KEYS)
    assert isinstance(answer, Busy)
    assert answer.why == f"InfluxDB at http://{HOST}:{port} cannot be reached: Connection refused; see whether it runs"


@pytest.mark.parametrize("content", [None, b"", b"two\nlines", "密".encode(), b"\xff"])
def test_a_token_that_cannot_be_one_is_not_sent_and_not_told(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "influxdb.token"
    if content is not None:
        file.write_bytes(content)
    with ScriptedHttp([Reply()]) as server:
        answer = store_at(server.url, token=None, token_file=file).write(judged(Row()), KEYS)
    assert isinstance(answer, Busy)
    assert "influxdb.token" in answer.why
    assert "lines" not in answer.why.removesuffix("one line of ASCII is expected")
    assert server.requests == []


def test_an_authority_that_is_no_certificate_is_said(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    answer = store_at("https://127.0.0.1:1", ca=file).write(judged(Row()), KEYS)
    assert isinstance(answer, Busy)
    assert answer.why.startswith("store.ca: ")
    assert "ca.pem" in answer.why


def test_a_certificate_is_checked_against_the_authority_of_the_settings(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=city -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([*command.split(), "-keyout", key, "-out", cert], check=True, capture_output=True, timeout=60)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert, key)
    with ScriptedHttp([Reply()], tls) as server:
        answer = store_at(server.url).write(judged(Row()), KEYS)
        assert isinstance(answer, Busy)
        assert "certificate verify failed" in answer.why.lower().replace("_", " ")
        assert store_at(server.url.replace("127.0.0.1", "localhost"), ca=cert).write(judged(Row()), KEYS) != Stored()
        assert store_at(server.url, ca=cert).write(judged(Row()), KEYS) == Stored()
    assert len(server.requests) == 1, "nobody else was told the token"


LATE = judged(Row(late=True))


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b'{"results":[{"statement_id":0,"error":"timeout"}]}'),
        Reply(200, b'{"error":"not executed"}'),
        Reply(200, b'{"results":[]}'),
        Reply(200, b"<html>"),
        Reply(401, said("unauthorized", "unauthorized access")),
        Reply(503),
        Reply(200, b'{"results":[{"statement_id":0}]}', cut_after=60),
    ],
)
def test_a_late_row_is_not_written_while_nobody_says_what_is_there(reply: Reply) -> None:
    with ScriptedHttp([reply]) as server:
        answer = store_at(server.url).write(LATE, KEYS)
    assert isinstance(answer, Busy)
    assert [request.target.split("?")[0] for request in server.requests] == ["/query"]


PIECE = (
    b'{"results":[{"statement_id":0,"series":[{"columns":["time","kind","station","p1","p1_word"],"values":[%s]}]}]}\n'
)


@pytest.mark.parametrize("cut", [None, 150, 260, 300])
def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one(cut: int | None) -> None:
    piece = PIECE % b'[1,"hour","A",-0,1],[2,"hour","A",-0.5,1]'
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (piece, piece)) + b"0\r\n\r\n"
    reply = Reply(200, chunks, headers={"Transfer-Encoding": "chunked"}, cut_after=cut)
    with ScriptedHttp([reply]) as server:
        store = store_at(server.url, raw="hour", day="hour")
        if cut is None:
            found = store.read("A", None, None, 0, 10)
            assert [str(reading.value) for reading in found] == ["-0.0", "-0.0", "-0.5", "-0.5"]
        else:
            with pytest.raises(StoreUnreadable):
                store.read("A", None, None, 0, 10)


def test_names_cannot_break_out_of_a_question() -> None:
    with ScriptedHttp([Reply(200, b'{"results":[{"statement_id":0}]}')]) as server:
        store_at(server.url).read("x' OR '1'='1", 'p" FROM "secret', Kind.HOUR, 0, 10)
    (request,) = server.requests
    (question,) = parse_qs(request.body.decode())["q"]
    assert "= 'x\\' OR \\'1\\'=\\'1'" in question
    assert '"p\\" FROM \\"secret"::field' in question
