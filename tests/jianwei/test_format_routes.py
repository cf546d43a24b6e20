"""The register reaches the formats that need it."""

from ingest.site import Site
from jianwei.catalogue_files import read_catalogue
from jianwei.format_routes import chooser
from jianwei.settings import FormatRoute
from rules.readings import SECOND_NS, Kind
from rules.register import load_stations
from simulators.hj212 import Logger, Upload, framed
from tests.ingest.json_reading import Read, ReadColumns

AT_NS = 1_778_544_000 * SECOND_NS
REGISTER = """
stations:
  - id: WE-07
    name: {zh: 排口, en: Outlet}
    station_type: wastewater_outlet
    logger: {mn: "88888880000001"}
"""


def test_a_logger_is_the_station_that_the_register_says_under_todays_code() -> None:
    catalogue = read_catalogue()
    site = Site(catalogue, load_stations({"stations.yaml": REGISTER}, catalogue))
    choose = chooser([FormatRoute(topic="jianwei/hj212/#", format="hj212"), FormatRoute()], site)
    found = choose("mqtt", "jianwei/hj212/WE-07")
    assert found is not None
    columns = ReadColumns()
    upload = Upload("2061", AT_NS, AT_NS, [("011", {"Avg": "36.5", "Max": "40", "Flag": "N"})])
    frame = framed(Logger("88888880000001", edition="2005"), upload)
    assert found.decode("jianwei/hj212/WE-07", frame, columns) == []
    assert columns.read == [
        Read("w01018", 36.5, AT_NS, station="WE-07", kind=Kind.HOUR),
        Read("w01018.Max", 40.0, AT_NS, station="WE-07", kind=Kind.HOUR),
    ]
