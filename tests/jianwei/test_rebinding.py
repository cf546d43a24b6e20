"""A running service follows the register in its ledger, without a restart."""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from alerts.ledger import SqlLedger
from alerts.register import Change, Shared, SqlRegister
from ingest.records import RegisterBound
from jianwei.clock import wall_ns
from jianwei.rebinding import KEPT, Rebinding, StationsOfVersions
from rules.engine import RULE_IS_GONE
from rules.index import CatalogueProblems
from tests.ingest.mqtt_probe import until
from tests.jianwei.serving import CATALOGUE, NITROGEN_DIOXIDE, STATIONS, Service, told

SECRET = "do-not-tell"  # the test looks for it everywhere


def city(station: str, zh: str = "二号站", **fields: Any) -> str:
    name = {"zh": zh, "en": "Two"}
    return json.dumps({"id": station, "name": name, "station_type": "city_air", "class": "2", **fields})


@pytest.fixture
def register(tmp_path: Path) -> Iterator[SqlRegister]:
    with closing(SqlRegister(f"sqlite:///{tmp_path / 'ledger.sqlite'}", wall_ns)) as register:
        yield register


def enter(register: SqlRegister, station: str, body: str, **more: Any) -> None:
    register.enter([Change(station, "added" if body else "removed", body)], "me", seen=register.version(), **more)


def test_a_station_is_judged_as_soon_as_it_is_entered_by_its_new_name_and_until_it_is_removed(
    tmp_path: Path, register: SqlRegister
) -> None:
    with Service(tmp_path) as service:
        service.publish(told(5, {NITROGEN_DIOXIDE: 900.0}, "B-2"))
        service.took(1)
        assert service.runtime.ledger.episodes() == []

        enter(register, "B-2", city("B-2"), shared={"B-2": Shared(SECRET)})
        until(lambda: "B-2" in service.runtime.stations, 10)
        service.publish(told(4, {NITROGEN_DIOXIDE: 900.0}, "B-2"))
        service.took(2)
        until(lambda: bool(service.notices()), 10)
        assert all("二号站" in json.dumps(notice, ensure_ascii=False) for notice in service.notices())
        assert service.runtime.roster.site.secrets["B-2"].password == SECRET

        enter(register, "B-2", "")
        until(lambda: "B-2" not in service.runtime.stations, 10)
        until(lambda: not service.runtime.ledger.episodes(open_only=True), 10)
        (episode, *_) = service.runtime.ledger.episodes(station="B-2")
        assert service.runtime.ledger.transitions(episode.id)[-1].reason == RULE_IS_GONE
        assert service.ready() == (200, {})
    assert "register bound" in service.log.getvalue()
    assert SECRET not in service.log.getvalue()


def test_a_station_that_was_entered_before_the_first_start_is_there_and_still_there_at_the_next(
    tmp_path: Path, register: SqlRegister
) -> None:
    enter(register, "B-2", city("B-2"))
    for _ in range(2):
        with Service(tmp_path) as service:
            assert service.runtime.stations.keys() == {"A-1", "B-2"}
            assert service.runtime.names.station("B-2").zh == "二号站"
    with closing(SqlLedger(f"sqlite:///{tmp_path / 'ledger.sqlite'}", [], wall_ns)) as ledger:
        assert ledger.resume().turns == ((0, 1),)


# By hand.


class Followed:
    """Whoever asks for the stations, and what was told."""

    def __init__(self, register: SqlRegister) -> None:
        self.records: list[object] = []
        versions = StationsOfVersions(register, CATALOGUE, STATIONS, "ledger.sqlite")
        self.rebinding = Rebinding(register, versions, CATALOGUE, self.records.append)
        self.followed: list[tuple[int, set[str]]] = []
        self.rebinding.follow = lambda version, stations: self.followed.append((version, {*stations}))


def test_nothing_is_done_while_nothing_changes(register: SqlRegister) -> None:
    site = Followed(register)
    for _ in range(3):
        site.rebinding.step()
    assert (site.followed, site.records, site.rebinding.roster.number) == ([], [], 0)


def test_a_change_is_followed_once_and_told(register: SqlRegister) -> None:
    site = Followed(register)
    enter(register, "B-2", city("B-2"))
    site.rebinding.step()
    site.rebinding.step()
    assert site.followed == [(1, {"A-1", "B-2"})]
    assert site.records == [RegisterBound(1, 2)]


def test_a_secret_alone_is_followed_too_and_the_version_stays(register: SqlRegister) -> None:
    enter(register, "B-2", city("B-2"))
    site = Followed(register)
    register.enter([], "me", seen=register.version(), shared={"B-2": Shared(sm4_key=b"k" * 16)})
    site.rebinding.step()
    assert site.followed == [(1, {"A-1", "B-2"})]
    assert site.rebinding.site_at(1).secrets["B-2"].sm4_key == b"k" * 16


@pytest.mark.parametrize(
    ("station", "body", "why"),
    [
        ("A-1", city("A-1"), r"registered twice: it stands in the station files.*jianwei station remove A-1"),
        ("C", '{"id": "C"}', r"ledger.sqlite: C.name: .*jianwei station change C"),
    ],
)
def test_a_register_with_problems_is_not_taken_and_health_says_why_until_it_is_mended(
    register: SqlRegister, station: str, body: str, why: str
) -> None:
    site = Followed(register)
    enter(register, station, body)
    for _ in range(2):
        site.rebinding.step()
    health = site.rebinding.health(0)
    assert not health.ok
    assert re.search(why, health.why)
    assert site.followed == []
    enter(register, station, "")
    site.rebinding.step()
    assert site.rebinding.health(0).ok
    assert [version for version, _ in site.followed] == [2]


def test_a_start_with_problems_is_refused_with_all_of_them(register: SqlRegister) -> None:
    enter(register, "A-1", city("A-1"))
    enter(register, "C", city("C", nobody_knows=1))
    with pytest.raises(CatalogueProblems, match=r"(?s)registered twice.*C.nobody_knows"):
        Followed(register)


def test_versions_of_long_ago_are_those_of_then_without_what_is_sound_no_more(register: SqlRegister) -> None:
    for number in range(KEPT + 3):
        enter(register, "B-2", city("B-2", zh=f"{number} 号"))
    enter(register, "C", '{"id": "C", "station_type": "of long ago"}')
    enter(register, "C", "")
    site = Followed(register)
    for number in range(KEPT + 3):
        assert site.rebinding.site_at(number + 1).stations["B-2"].name.zh == f"{number} 号"
    assert site.rebinding.site_at(KEPT + 4).stations.keys() == {"A-1", "B-2"}
    assert site.rebinding.site_at(0).stations.keys() == {"A-1"}
