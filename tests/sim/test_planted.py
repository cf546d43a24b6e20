"""The simulation is worth something only if it finds mistakes: each of these is found within a few seeds."""

import pytest

from tests.sim import planted
from tests.sim.history import Broken, play
from tests.sim.process import Makes
from tests.sim.world import Fault

pytestmark = pytest.mark.sim
ENOUGH_SEEDS = 40


def broken_promise(makes: Makes, *faults: Fault) -> str:
    """What the first history that breaks says; "" where none does."""
    for seed in range(ENOUGH_SEEDS):
        try:
            play(seed, makes, faults)
        except Broken as broken:
            return str(broken).rpartition("\n")[2]
    return ""


def test_an_acknowledgement_before_the_message_is_durable_is_found() -> None:
    said = broken_promise(Makes(recorder=planted.AcknowledgesFirst), Fault.DISK_FULL)

    assert "acknowledged, and not in the journal" in said


def test_a_cursor_that_moves_outside_the_transaction_is_found() -> None:
    said = broken_promise(Makes(ledger=planted.MovesTheCursorFirst), Fault.KILL, Fault.STOP)

    assert "changes are not in the ledger" in said


def test_a_cursor_that_moves_before_the_store_has_the_rows_is_found() -> None:
    said = broken_promise(Makes(ledger=planted.CountsOfferedAsStored), Fault.KILL)

    assert "the store lacks" in said


def test_an_acknowledgement_on_a_later_connection_is_found() -> None:
    said = broken_promise(Makes(window=planted.KnowsNoEpochs), Fault.CONNECTION, Fault.DISK_FULL)

    assert "acknowledged" in said


def test_a_refused_write_that_is_passed_over_is_found() -> None:
    said = broken_promise(Makes(store=planted.SkipsWhatWasRefused), Fault.STORE_BUSY)

    assert "the store lacks" in said or "readings differ" in said


def test_a_tick_that_is_not_journaled_is_found() -> None:
    said = broken_promise(Makes(journal=planted.KeepsTicksInMemory), Fault.SILENCE)

    assert "the journal has 0 ticks" in said
