"""A part's thread calls its step when there is something to do, survives its errors, and ends when asked."""

import threading
import time
from collections.abc import Iterator

import pytest

from ingest.loops import Loop
from ingest.records import PartFailed, Record
from tests.ingest.mqtt_probe import until


class Part:
    """Answers what the test says; the last answer for ever."""

    def __init__(self, *answers: float | Exception) -> None:
        self.answers = list(answers)
        self.times: list[float] = []
        self.records: list[Record] = []

    def step(self) -> float:
        self.times.append(time.monotonic())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def loops() -> Iterator[list[Loop]]:
    made: list[Loop] = []
    yield made
    for loop in made:
        assert loop.stop(5.0)


def started(loops: list[Loop], part: Part, idle_s: float = 0.01) -> Loop:
    loop = Loop("part", part.step, part.records.append, idle_s=idle_s)
    loops.append(loop)
    loop.start()
    return loop


def test_a_step_that_has_more_is_called_again_at_once(loops: list[Loop]) -> None:
    part = Part(*[True] * 50, False)
    started(loops, part, idle_s=3_600)
    until(lambda: len(part.times) == 51)
    time.sleep(0.05)
    assert len(part.times) == 51


def test_a_step_that_has_nothing_is_called_again_after_a_while_or_when_woken(loops: list[Loop]) -> None:
    part = Part(False)
    loop = started(loops, part, idle_s=3_600)
    until(lambda: len(part.times) == 1)
    loop.wake()
    until(lambda: len(part.times) == 2)
    quick = Part(False)
    started(loops, quick, idle_s=0.01)
    until(lambda: len(quick.times) >= 5)


def test_a_step_may_say_how_long_to_wait(loops: list[Loop]) -> None:
    part = Part(0.2, 3_600.0)
    started(loops, part)
    until(lambda: len(part.times) == 2)
    assert part.times[1] - part.times[0] >= 0.19


def test_no_wake_is_lost_that_comes_during_a_step(loops: list[Loop]) -> None:
    entered, go_on, calls = threading.Event(), threading.Event(), []

    def step() -> bool:
        calls.append(1)
        entered.set()
        go_on.wait(5)
        return False

    loop = Loop("part", step, lambda _: None, idle_s=3_600)
    loops.append(loop)
    loop.start()
    entered.wait(5)
    loop.wake()
    go_on.set()
    until(lambda: len(calls) == 2)


def test_an_unexpected_error_is_told_makes_health_red_and_ends_nothing(loops: list[Loop]) -> None:
    part = Part(ZeroDivisionError("a mistake"), 3_600.0)
    loop = started(loops, part)
    until(lambda: part.records)
    assert part.records == [PartFailed("part", "ZeroDivisionError('a mistake')")]
    health = loop.health(0)
    assert not health.ok
    assert "a mistake" in health.why
    until(lambda: loop.health(0).ok)
    assert len(part.times) == 2
    assert part.times[1] - part.times[0] >= 0.9, "not at once: it may fail again and again"


def test_stopping_ends_a_long_wait_and_says_when_a_step_does_not_end(loops: list[Loop]) -> None:
    part = Part(False)
    loop = Loop("part", part.step, part.records.append, idle_s=3_600)
    loop.start()
    until(lambda: part.times)
    began_s = time.monotonic()
    assert loop.stop()
    assert time.monotonic() - began_s < 5
    assert not loop.health(0).ok, "a stopped part is not well"

    go_on = threading.Event()
    stuck = Loop("stuck", lambda: go_on.wait(10), part.records.append)
    loops.append(stuck)
    stuck.start()
    assert not stuck.stop(0.05)
    go_on.set()


def test_a_loop_that_was_not_started_is_not_well() -> None:
    assert "does not run" in Loop("part", lambda: False, lambda _: None).health(0).why
