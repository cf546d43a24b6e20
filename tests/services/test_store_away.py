"""InfluxDB goes away under load: memory stays where it is, alerts go on, and nothing is missing afterwards."""

import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from ingest.journal import SqliteJournal
from jianwei.clock import wall_ns
from rules.readings import SECOND_NS
from tests.services.held import Held
from tests.services.influxdb import Influxdb
from tests.services.mosquitto import Mosquitto
from tests.services.site import READINGS, Half, Site, missing_of
from tests.services.timed_load import TimedReport
from tests.services.watch import Arrivals, Sampled, resident_mb, told

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]
RATE = 2_000
BEFORE_S = 15.0
AFTER_S = 20.0
FILLING_S = 25.0  # until what waits for the store has reached its bound
FLAT_MB = 15.0
MOST_MB = 250.0  # over what it was before: what waits for the store, and a second engine while it catches up
LATEST_S = 5.0  # on a machine that three services and a test share
NEARLY_S = 3.0  # a store that is so far behind has caught up


@pytest.mark.parametrize(("how", "away_s"), [("killed", 120.0), ("mute", 45.0)])
def test_influxdb_is_away_under_load(
    tmp_path: Path,
    a_mosquitto: Callable[..., Mosquitto],
    an_influxdb: Callable[..., Influxdb],
    record_property: Callable[[str, object], None],
    how: str,
    away_s: float,
) -> None:
    """2,000 messages a second. Killed, it refuses connections; mute, it takes them and never answers."""
    site = Site(tmp_path, a_mosquitto(), an_influxdb())
    half, influxdb = site.halves[0], site.influxdb
    with closing(site.service("away")) as service, closing(Held(influxdb)) as held:
        service.start_and_subscribe()
        pid = service.pid
        with (
            closing(site.load(half, rate=RATE)) as load,
            Sampled(lambda: resident_mb(pid), 0.5) as memory,
            Arrivals(service.data.root / "alerts") as arrivals,
        ):
            time.sleep(BEFORE_S)
            gone_ns = wall_ns()
            influxdb.kill() if how == "killed" else influxdb.pause()
            time.sleep(away_s)
            back_ns = wall_ns()
            influxdb.start() if how == "killed" else influxdb.resume()
            with Sampled(held.count, 0.5) as counts:
                time.sleep(AFTER_S)
                load.end()
                report = load.report()
                held.await_quiet(report.count * READINGS)
            time.sleep(2.0)
            assert service.pid == pid
        assert missing_of(held, half, report.count) == []
        assert held.count() == report.count * READINGS
        assert service.stop() == 0
        service.found()
        assert SqliteJournal(service.data.journal).verify() == []
    assert report.count >= 0.9 * RATE * (BEFORE_S + away_s), "the load fell short"
    before_mb = max(memory.between(gone_ns - 5 * SECOND_NS, gone_ns))
    away_mb = memory.between(gone_ns + FILLING_S * SECOND_NS, back_ns)
    all_mb = memory.between(gone_ns, wall_ns())
    before_events = latencies(half, arrivals, report, 0, gone_ns)
    away_events = latencies(half, arrivals, report, gone_ns, back_ns)
    catch_up_s = caught_up_after_s(counts, report, back_ns)
    figures = {
        "memory_mb": f"before {before_mb:.0f}, away {away_mb[0]:.0f} to {max(away_mb):.0f}, most {max(all_mb):.0f}",
        "caught_up_after_s": catch_up_s,
        "events_before": told(before_events),
        "events_while_away": told(away_events),
        "messages": report.count,
    }
    for name, figure in figures.items():
        record_property(name, figure)
    print(figures)  # noqa: T201  # seen with -s or -rP
    assert max(away_mb) - away_mb[0] <= FLAT_MB, figures
    assert max(all_mb) - before_mb <= MOST_MB, figures
    assert len(away_events) > 10
    assert max(away_events) < LATEST_S * SECOND_NS, figures


def latencies(half: Half, arrivals: Arrivals, report: TimedReport, from_ns: int, until_ns: int) -> list[int]:
    """From the publishing of a message that opened an episode by itself, to its event; of events in this time."""
    found = []
    for arrived_ns, event in arrivals.events:
        data = event["data"]
        if from_ns <= arrived_ns < until_ns and data["check"] == "gross_range" and data["what"] == "opened":
            at_ns = round(datetime.fromisoformat(data["at"]).timestamp()) * SECOND_NS
            number = half.number(data["station"]["id"], at_ns)
            found.append(arrived_ns - report.published_ns(number))
    return found


def caught_up_after_s(counts: Sampled, report: TimedReport, back_ns: int) -> float:
    """When InfluxDB first held all that had been acknowledged a moment before."""
    for when, count in counts.samples:
        then = report.acknowledged_until(when - round(NEARLY_S * SECOND_NS))
        if count >= then * READINGS:
            return round((when - back_ns) / SECOND_NS, 1)
    raise AssertionError("it never caught up")
