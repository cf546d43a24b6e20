"""Whatever others do to the port for data loggers, fifty honest ones go on: answered, none lost, and memory bounded."""

import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from rules.readings import SECOND_NS
from simulators.load import Plan
from tests.bench.processes import rss_mb
from tests.kill.hj212_hostile import REGISTERED, WAYS, Assault, Hostile
from tests.kill.hj212_site import Platform, check_store
from tests.kill.hj212_talkers import Order, Talking
from tests.kill.hj212_voices import READINGS, Voices
from tests.kill.service import wait_until

HONEST = 50
EVERY_S = 0.25
PLAN = Plan("load", 1, HONEST + REGISTERED, 1_762_084_800 * SECOND_NS, SECOND_NS)
CALM_S, ATTACK_S = 5.0, 20.0
LATE_MS = 5_000.0  # half of what a logger waits for an answer; at rest it is below a hundred
MORE_MB = 200.0  # than in peace

pytestmark = [pytest.mark.kill, pytest.mark.timeout(240)]


def test_while_the_port_is_attacked_in_every_way_honest_loggers_are_answered_and_nothing_of_theirs_is_lost(
    tmp_path: Path,
) -> None:
    voices = Voices(PLAN)
    with ExitStack() as exits:
        service = exits.enter_context(closing(Platform(tmp_path / "site", voices.stations)))
        service.start_and_listen()
        honest = exits.enter_context(
            closing(Talking(tmp_path / "honest", Order(PLAN, service.port, EVERY_S, most=HONEST)))
        )
        assert wait_until(service.has_written, timeout_s=60)
        calm_s = time.monotonic()
        time.sleep(CALM_S)
        calm_mb = rss_mb(service.pid)
        assault = Assault(PLAN, service.port, list(WAYS), HONEST)
        hostile = exits.enter_context(closing(Hostile(tmp_path / "hostile", assault)))
        assert wait_until(lambda: hostile.has_begun, timeout_s=60)
        attacked_s, most_mb = time.monotonic(), calm_mb
        while (now_s := time.monotonic()) < attacked_s + ATTACK_S:
            time.sleep(0.2)
            most_mb = max(most_mb, rss_mb(service.pid))
        counts = hostile.end()
        honest.end()
        report = honest.report()
        speakers, expected = voices.stations[:HONEST], sum(report.turns) * READINGS
        assert wait_until(lambda: service.stored_of(speakers) >= expected, timeout_s=60), service.last_words()
        assert service.stop() == 0
        readings = check_store(service, voices, report.turns)
    calm_ms, attacked_ms = (
        [report.percentile_ms(share, begin_s, end_s) for share in (0.5, 0.99)]
        for begin_s, end_s in ((calm_s, attacked_s), (attacked_s, now_s))
    )
    print(  # noqa: T201
        f"\n{readings:,} readings; answers after {calm_ms[0]:.0f} ms (p50), {calm_ms[1]:.0f} ms (p99), attacked "
        f"{attacked_ms[0]:.0f} and {attacked_ms[1]:.0f} ms; {calm_mb:.0f} MB, at most {most_mb:.0f}; {counts}"
    )
    assert report.foreign == []
    assert report.lost == report.late == 0, "an honest line was broken, or an answer did not come"
    assert attacked_ms[1] < LATE_MS
    assert most_mb < calm_mb + MORE_MB
    assert counts["connections"] > 500
