"""A survey says of a table what the rules must know before its first row is judged."""

from ingest.table_files import CellProblem, Row
from ingest.table_surveys import MOST_STEPS, Survey, survey
from rules.readings import SECOND_NS


def rows(station: str, *seconds: int) -> list[Row | CellProblem]:
    return [Row(line, station, at * SECOND_NS, {}, {}) for line, at in enumerate(seconds, 2)]


def test_the_interval_is_what_usually_lies_between_two_rows() -> None:
    steady = survey(rows("A", 0, 900, 1800, 1801, 2700, 9000, 9900))
    assert steady == Survey(7, {"A": 900 * SECOND_NS}, is_in_order=True)


def test_every_station_has_its_own_interval_and_one_row_says_nothing() -> None:
    together = sorted(
        (row for row in rows("A", 0, 60, 120) + rows("B", 30, 3630) + rows("C", 5) if isinstance(row, Row)),
        key=lambda row: row.measured_ns,
    )
    found = survey(together)
    assert found.intervals_ns == {"A": 60 * SECOND_NS, "B": 3600 * SECOND_NS, "C": 0}
    assert found.is_in_order


def test_a_row_that_goes_back_is_seen_and_does_not_count_as_a_step() -> None:
    found = survey(rows("A", 0, 60, 120, 0, 60, 60, 120))
    assert not found.is_in_order
    assert found.intervals_ns == {"A": 60 * SECOND_NS}


def test_what_cannot_be_read_is_passed_over_and_nothing_is_no_reason_to_fail() -> None:
    assert survey([CellProblem(2, "x", "bad")]) == Survey(0, {}, is_in_order=True)


def test_only_so_many_steps_are_looked_at() -> None:
    quick = list(range(MOST_STEPS + 1))
    slow = [quick[-1] + 50 * at for at in range(1, 3 * MOST_STEPS)]
    assert survey(rows("A", *quick, *slow)).intervals_ns == {"A": SECOND_NS}
