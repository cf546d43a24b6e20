"""Everything is killed under load: the service thirty times, each of its neighbours twice; and nothing is lost, doubled or
told otherwise.

What happened, and when, stands in happenings.jsonl in the test's folder, and is printed when the test fails. SEED=…
repeats the dice of a run, KILLS=… makes it longer.
"""

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from ingest.journal import SqliteJournal
from jianwei.clock import wall_ns
from rules.readings import SECOND_NS
from tests.kill.service import Found, Service, wait_until
from tests.services.held import Held
from tests.services.influxdb import Influxdb
from tests.services.kafka import Kafka
from tests.services.kafka_records import records_in
from tests.services.mosquitto import Mosquitto
from tests.services.program import Program
from tests.services.proxy import Passage, Proxy, acknowledged, packets_in
from tests.services.site import ALERTS, READINGS, Half, Site, missing_of
from tests.services.timed_load import TimedReport

SEED = int(os.environ.get("SEED", "20261125"))
KILLS = int(os.environ.get("KILLS", "30"))
RATE = 1_050  # of each half
AT_WORK = 0.8  # of the kills strike when messages flow again, the others while the service starts
# deploy/mosquitto saves every second; a save takes its time, the longer the more is queued. A sender that wants to be sure keeps
# its samples for so long.
UNSAVED_S = 5.0

pytestmark = [pytest.mark.services, pytest.mark.timeout(900)]


class Happenings:
    """What was done to whom, a line each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._began_s = time.monotonic()
        self.kills: dict[str, list[int]] = {}

    def note(self, what: str, **more: object) -> None:
        entry = {"after_s": round(time.monotonic() - self._began_s, 3), "what": what, **more}
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def killed(self, name: str, **more: object) -> None:
        self.kills.setdefault(name, []).append(wall_ns())
        self.note(f"{name} killed", **more)


@contextmanager
def happenings_in(folder: Path) -> Iterator[Happenings]:
    happenings = Happenings(folder / "happenings.jsonl")
    happenings.note("begins", seed=SEED, kills=KILLS)
    try:
        yield happenings
    except BaseException as error:
        error.add_note(f"SEED={SEED} KILLS={KILLS}; {happenings.path}:\n{happenings.path.read_text()}")
        raise


def test_thirty_kills_of_the_service_and_two_of_each_neighbour_cost_nothing(
    tmp_path: Path,
    a_mosquitto: Callable[..., Mosquitto],
    a_kafka: Callable[..., Kafka],
    an_influxdb: Callable[..., Influxdb],
) -> None:
    """More than two thousand messages a second from the first kill to the last, half by MQTT and half by Kafka."""
    with ExitStack() as exits:
        happenings = exits.enter_context(happenings_in(tmp_path))
        site = Site(tmp_path, a_mosquitto(), an_influxdb(), a_kafka())
        proxy = exits.enter_context(Proxy(site.mosquitto.port))
        site.mqtt_port = proxy.own_port
        service = exits.enter_context(closing(site.service("kill")))
        service.start_and_subscribe()
        loads = [exits.enter_context(closing(site.load(half, rate=RATE))) for half in site.halves]
        for load in loads:
            assert wait_until(lambda: load.has_begun, timeout_s=60), load.last_words()  # noqa: B023  # called in this turn only
        kill_all(site, service, happenings)
        for load in loads:
            assert not load.is_over, load.last_words()
        for load in loads:
            load.end()
        reports = [load.report() for load in loads]
        published = sum(report.count for report in reports)
        happenings.note("load ends", by_mqtt=reports[0].count, by_kafka=reports[1].count)
        with closing(Held(site.influxdb)) as held:
            held.await_quiet(published * READINGS)
            time.sleep(3.0)  # for notices, and for anything that comes although it must not
            happenings.note("all is quiet", readings=held.count())
            assert service.stop() == 0
            missing = [missing_of(held, half, report.count) for half, report in zip(site.halves, reports, strict=True)]
            readings = (published - sum(map(len, missing))) * READINGS
            assert held.count() == readings
        happenings.note("compared", missing_by_mqtt=len(missing[0]), missing_by_kafka=len(missing[1]))
        assert missing[1] == []
        check_what_mosquitto_lost(site.halves[0], missing[0], reports[0], happenings, proxy)
        found = service.found()
        check_alerts(site, {f.id for f in found}, {t.id for t in service.transitions()})
        assert SqliteJournal(service.data.journal).verify() == []
        took_s = (reports[0].acknowledged[-1][0] - reports[0].published[0][0]) / SECOND_NS
        assert published >= 2_000 * (took_s - 10), "the load fell short"
        happenings.note("found", transitions=len(found), published=published, took_s=round(took_s, 1))
        site.mqtt_port = site.mosquitto.port
        assert found == undisturbed(site, reports[0].count, missing[0], readings)
        happenings.note("an undisturbed run finds the same")


def kill_all(site: Site, service: Service, happenings: Happenings) -> None:
    dice = random.Random(SEED)
    assert site.kafka is not None
    neighbours: list[Program] = [site.mosquitto, site.kafka, site.influxdb] * 2
    dice.shuffle(neighbours)
    dies_too = dict(zip(sorted(dice.sample(range(KILLS), len(neighbours))), neighbours, strict=True))
    for kill in range(KILLS):
        at_work = dice.random() < AT_WORK
        if at_work:
            assert wait_until(service.has_written, timeout_s=60), service.last_words()
        time.sleep(dice.uniform(0.0, 2.0))
        neighbour = dies_too.get(kill)
        if neighbour is not None:
            neighbour.kill()
            happenings.killed(neighbour.name)
            time.sleep(dice.uniform(0.0, 1.0))
        comes_back_first = dice.random() < 0.5
        if neighbour is not None and comes_back_first:
            neighbour.start()
            happenings.note(f"{neighbour.name} is back")
        service.kill()
        happenings.killed("service", number=kill, at_work=at_work)
        service.start()
        if neighbour is not None and not comes_back_first:
            neighbour.start()
            happenings.note(f"{neighbour.name} is back")


def check_what_mosquitto_lost(
    half: Half, missing: list[int], report: TimedReport, happenings: Happenings, proxy: Proxy
) -> None:
    """Mosquitto acknowledges before it is on its disk. So what is missing is what it forgot: it took it over shortly
    before it was killed, and we never acknowledged it.
    """
    kills = happenings.kills.get("mosquitto", [])
    for number in missing:
        taken_ns = report.acknowledged_ns(number)
        assert any(kill - UNSAVED_S * SECOND_NS <= taken_ns <= kill + SECOND_NS for kill in kills), (
            f"message {number} is missing, and Mosquitto had time to save it"
        )
    ours = {payload for passage in proxy.passages for payload in acknowledged_by_us(passage)}
    assert len(ours) > report.count / 2
    lost = [number for number in missing if half.load.payload(number) in ours]
    assert lost == [], "acknowledged by us, and lost"


def acknowledged_by_us(passage: Passage) -> list[bytes]:
    """Acknowledgements come in the order of delivery, so their number says of which messages they are."""
    payloads = []
    for _, packet in packets_in(bytes(passage.down)):
        if packet.kind == 0x30 and packet.first & 0x06:
            payloads.append(packet.body[packet.body.index(b'{"station"') :])
    return payloads[: len(acknowledged(passage))]


def check_alerts(site: Site, ids: set[str], recorded: set[str]) -> None:
    """In Kafka, too, every change at least once, each under one id only, and nothing that the ledger does not know."""
    assert site.kafka is not None
    told: dict[tuple[str, str, str], set[str]] = {}
    for record in records_in(site.kafka.address, ALERTS):
        event = json.loads(record.value)
        identity = dict(record.headers)["ce_id"].decode()
        told.setdefault((event["episode"], event["what"], event["level"]), set()).add(identity)
    assert [change for change, under in told.items() if len(under) > 1] == []
    assert ids <= {identity for under in told.values() for identity in under} <= recorded


def undisturbed(site: Site, count: int, missing: list[int], readings: int) -> list[Found]:
    """What a service finds in the same messages when nobody is killed. Kafka still has its half."""
    with ExitStack() as exits:
        service = exits.enter_context(closing(site.service("calm", with_all=False)))
        service.start_and_subscribe()
        load = exits.enter_context(closing(site.load(site.halves[0], rate=10_000, count=count, leave_out=missing)))
        assert load.report().count == count - len(missing)
        assert wait_until(lambda: service.stored() >= readings, timeout_s=120), service.last_words()
        time.sleep(2.0)
        assert service.stop() == 0
        return service.found()
