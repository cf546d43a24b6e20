"""Conversion between units of one dimension, exact: decimal factors, one rounding at the end."""

from collections.abc import Mapping
from fractions import Fraction

from rules.schema import Unit


class UnitError(ValueError):
    """The two units do not measure the same thing, or one of them is unknown."""


def convert(value: float, unit: str | None, to: str | None, units: Mapping[str, Unit]) -> float:
    """`value` in `unit`, told in `to`: the double nearest to the true product, so 0.05 mg/L is 50.0 ug/L.

    Both numbers are taken as the decimals they are written as. Raises UnitError.
    """
    if unit == to:
        return value
    try:
        source, target = units[unit or ""], units[to or ""]
    except KeyError as unknown:
        raise UnitError(f"unit {unknown} is not in units.yaml") from None
    if source.dimension != target.dimension:
        raise UnitError(f"{unit} is {source.dimension}, {to} is {target.dimension}")
    return float(Fraction(repr(value)) * Fraction(repr(source.factor)) / Fraction(repr(target.factor)))
