"""What a data logger answers when it is asked, byte for byte where the standard prints it."""

import pytest

from rules.readings import Kind
from simulators.hj212 import wire
from tests.simulators.platforms import request, words
from tests.simulators.test_simulated_logger_alone import Bench, said

QN = "20261102200000001"


def asked(bench: Bench, cn: str, says: str = "", **more: str) -> list[dict[str, str]]:
    """What is said to a request."""
    if not bench.logger.is_connected:
        bench.logger.connected()
    return [words(frame) for frame in bench.hear(request(cn, says=says, **more))]


def test_answers_are_those_of_the_edition() -> None:
    for edition, word, result in (
        ("2005", f"ST=91;CN=9011;CP=&&QN={QN};QnRtn=1&&", f"ST=91;CN=9012;CP=&&QN={QN};ExeRtn=1&&"),
        (
            "2017",
            f"QN={QN};ST=91;CN=9011;PW=123456;MN=A;Flag=4;CP=&&QnRtn=1&&",
            f"QN={QN};ST=91;CN=9012;PW=123456;MN=A;Flag=4;CP=&&ExeRtn=1&&",
        ),
        (
            "2025",
            f"QN={QN};ST=91;CN=9011;PW=123456;MN=A;Flag=8;CP=&&QnRtn=1&&",
            f"QN={QN};ST=91;CN=9012;PW=123456;MN=A;Flag=8;CP=&&ExeRtn=1&&",
        ),
    ):
        bench = Bench(edition=edition)
        bench.logger.connected()
        bench.logger.heard(request("1000", says="OverTime=5;ReCount=2"), 0.0)
        assert bench.logger.step(0.0) == [wire(word.encode()), wire(result.encode())]
        assert (bench.logger.setup.timeout_s, bench.logger.setup.retries) == (5, 2)


@pytest.mark.parametrize(
    ("cn", "says", "data"),
    [
        ("1011", "", {"SystemTime": "20261102200000"}),
        ("1061", "", {"RtdInterval": "60"}),
        ("1063", "", {"MinInterval": "10"}),
    ],
)
def test_what_is_read_comes_between_the_two_answers(cn: str, says: str, data: dict[str, str]) -> None:
    first, told, last = asked(Bench(), cn, says)
    assert (first["CN"], first["QnRtn"]) == ("9011", "1")
    assert (told["CN"], told["QN"], told["Flag"]) == (cn, QN, "4")  # no answer is wanted
    assert data.items() <= told.items()
    assert (last["CN"], last["ExeRtn"]) == ("9012", "1")


def test_what_is_set_is_read_again() -> None:
    bench = Bench()
    assert [said["CN"] for said in asked(bench, "1062", "RtdInterval=30")] == ["9011", "9012"]
    assert [said["CN"] for said in asked(bench, "1064", "MinInterval=5")] == ["9011", "9012"]
    assert asked(bench, "1061")[1]["RtdInterval"] == "30"
    assert asked(bench, "1063")[1]["MinInterval"] == "5"


@pytest.mark.parametrize(
    ("cn", "says", "more", "code"),
    [
        ("3011", "PolId=w01018", {}, "8"),
        ("1072", "NewPW=654321", {}, "8"),
        ("1011", "", {"pw": "000000"}, "3"),
        ("1011", "", {"mn": "B"}, "4"),
        ("1011", "", {"qn": ""}, "7"),
        ("1062", "RtdInterval=soon", {}, "2"),
        ("1012", "SystemTime=20261302000000", {}, "2"),
        ("2061", "BeginTime=20261102200000", {}, "2"),
    ],
)
def test_what_it_cannot_do_it_refuses_and_says_why(cn: str, says: str, more: dict[str, str], code: str) -> None:
    (refusal,) = asked(Bench(), cn, says, **more)
    assert (refusal["CN"], refusal["QnRtn"]) == ("9011", code)


def test_history_comes_out_of_the_memory_in_order_of_time() -> None:
    bench = Bench(edition="2025")
    for n in (3, 1, 2, 2):  # one of them twice
        bench.logger.memory.keep(said(n * 60, Kind.HOUR))
    first, *hours, last = asked(bench, "2061", "BeginTime=20261102210000,EndTime=20261102220000")
    assert (first["QnRtn"], last["ExeRtn"]) == ("1", "1")
    assert {hour["QN"] for hour in hours} == {QN}
    assert [(hour["DataTime"], hour["RF"], hour["Flag"]) for hour in hours] == [
        ("20261102210000", "1", "8"),
        ("20261102220000", "1", "8"),
    ]


@pytest.mark.parametrize("cn", ["2031", "2041", "2051", "2061"])
def test_where_there_is_no_history_it_says_so(cn: str) -> None:
    first, last = asked(Bench(), cn, "BeginTime=20261102000000,EndTime=20261102235959")
    assert (first["QnRtn"], last["CN"], last["ExeRtn"]) == ("1", "9012", "100")


def test_real_time_data_stop_and_begin_as_the_platform_wants() -> None:
    bench = Bench()
    (stopped,) = asked(bench, "2012")
    assert (stopped["CN"], stopped["QN"]) == ("9013", QN)
    bench.logger.put(0, said(0))
    assert bench.step() == []
    assert (bench.settled, bench.answered, bench.logger.account.withheld) == ([0], [], 1)
    asked(bench, "2011")
    bench.logger.put(1, said(1))
    assert [words(frame)["CN"] for frame in bench.step()] == ["2011"]


def test_a_long_history_leaves_in_portions() -> None:
    bench = Bench()
    for n in range(100):
        bench.logger.put(n, said(n, Kind.MINUTE))
    bench.logger.connected()
    bench.logger.heard(request("2051", says="BeginTime=20261102000000,EndTime=20261103235959"), 0.0)
    portion = bench.logger.step(0.0)
    assert len(portion) <= 22
    assert bench.logger.next_s <= 0.1
