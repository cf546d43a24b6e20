"""Units are told in each other exactly, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jianwei.catalogue_files import read_catalogue
from rules.units import UnitError, convert

UNITS = read_catalogue().units
DIMENSIONS = {unit.dimension for unit in UNITS.values()}


@pytest.mark.parametrize(
    ("value", "unit", "to", "told"),
    [
        (0.05, "mg/L", "ug/L", 50.0),
        (0.0001, "mg/L", "ug/L", 0.1),
        (0.1, "ug/m3", "mg/m3", 0.0001),
        (0.15, "mg/m3", "ug/m3", 150.0),
        (1.0, "mg/L", "g/m3", 1.0),
        (3.6, "m3/h", "L/s", 1.0),
        (20.0, "%", "1e-3", 200.0),
        (7.0, "mg/L", "mg/L", 7.0),
        (0.7, "mg/m3", "ug/m3", 700.0),  # where floats multiplied one after another give 699.9999999999999
        (0.57, "mg/m3", "ug/m3", 570.0),
        (0.035, "mg/m3", "ng/m3", 35_000.0),
    ],
)
def test_known_conversions_are_exact(value: float, unit: str, to: str, told: float) -> None:
    assert convert(value, unit, to, UNITS) == told


@pytest.mark.parametrize(
    ("unit", "to", "told"),
    [
        ("mg/L", "degC", "mg/L is mass_concentration, degC is celsius"),
        ("OU", "1", "OU is odour, 1 is number"),
        ("mg/l", "mg/L", "unit 'mg/l' is not in units.yaml"),
        ("mg/L", None, "unit '' is not in units.yaml"),
        (None, "mg/L", "unit '' is not in units.yaml"),
    ],
)
def test_what_does_not_measure_the_same_is_refused(unit: str | None, to: str | None, told: str) -> None:
    with pytest.raises(UnitError) as refused:
        convert(1.0, unit, to, UNITS)
    assert str(refused.value) == told


def test_what_has_no_unit_on_either_side_stays_as_it_is() -> None:
    assert convert(3.0, None, None, UNITS) == 3.0


@given(value=st.floats(1e-6, 1e6), dimension=st.sampled_from(sorted(DIMENSIONS)), data=st.data())
def test_there_and_back_is_the_same_to_the_last_digit(value: float, dimension: str, data: st.DataObject) -> None:
    names = [name for name, unit in UNITS.items() if unit.dimension == dimension]
    unit, to = data.draw(st.sampled_from(names)), data.draw(st.sampled_from(names))
    assert convert(convert(value, unit, to, UNITS), to, unit, UNITS) == pytest.approx(value, rel=1e-15)
