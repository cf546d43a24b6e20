"""The whole pipeline, from stations to the receiver of notices, in worlds where everything goes wrong.

`SEEDS=1000` plays that many histories, `SEED=123` only one, again. A seed that ever failed stands in seeds.txt and
is played first.
"""

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.sim.history import Broken, play
from tests.sim.world import Fault

pytestmark = pytest.mark.sim
MANY = 100  # histories in which everything must have happened once
GONE_ON = {"began from a snapshot", "fell behind", "caught up", "days dropped"}
happened: Counter[str] = Counter()


def seeds() -> list[int]:
    if "SEED" in os.environ:
        return [int(os.environ["SEED"])]
    lines = Path(__file__).with_name("seeds.txt").read_text().splitlines()
    kept = [int(line.split()[0]) for line in lines if line and not line.startswith("#")]
    return list(dict.fromkeys([*kept, *range(int(os.environ.get("SEEDS", "20")))]))


@pytest.mark.parametrize("seed", seeds())
def test_every_promise_is_kept(seed: int) -> None:
    """Nothing is lost, nothing is doubled, nobody is told twice of one thing or of what an undisturbed run does not find."""
    try:
        ended = play(seed)
        happened.update([*ended.struck, "told" if ended.told else "not told", "played"])
    except Broken as broken:
        pytest.fail(str(broken), pytrace=False)


def test_the_histories_were_eventful() -> None:
    """Every kind of fault struck, every way of going on was gone, and hardly a history had nothing to tell."""
    if happened["played"] < MANY:
        pytest.skip("too few histories to say")

    assert {*Fault, *GONE_ON} - happened.keys() == set()
    assert happened["told"] > 0.9 * happened["played"]
