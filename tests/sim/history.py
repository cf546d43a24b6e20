"""A history: a seed, a world, lives of the service one after the other, until everything is quiet and judged."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.sim.broker import Broker
from tests.sim.fleet import Fleet, watchlist
from tests.sim.parts import Receiver
from tests.sim.process import TROUBLE, Loop, Makes, Process
from tests.sim.witness import Witness
from tests.sim.world import FAULTS_END_S, Fault, Killed, World

MEMORY = Path("/dev/shm")  # a disk that costs no time, where there is one  # noqa: S108
STEP_S = 0.01
QUIET_S = 600.0  # by then everything must have drained
RESTART_S = 0.5
LAST_LINES = 45
WATCHLIST = watchlist()


class Broken(AssertionError):
    """A promise was broken; the message is the seed, what went wrong before, and the promise."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What remains of a history that held."""

    digest: str
    struck: Counter[str]
    told: int  # notices


def play(seed: int, makes: Makes | None = None, faults: Collection[Fault] = ()) -> Ended:
    """One history from beginning to end. Raises Broken."""
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        history = _History(World(seed, Path(folder), faults), makes or Makes())
        try:
            history.run()
        except Exception as error:
            raise Broken(history.told(error)) from error
        finally:
            history.close()
        return Ended(history.world.digest(), history.world.struck, len(history.receiver.events))


class _History:
    def __init__(self, world: World, makes: Makes) -> None:
        self.world = world
        self._makes = makes
        self._fleet = Fleet(world)
        self.receiver = Receiver(world)
        self._witness = Witness(world, self._fleet, self.receiver, WATCHLIST)
        names = ("north", "south")[: world.dice.randint(1, 2)]
        self._brokers = {
            name: Broker(
                world, self._witness.acknowledged, world.dice.choice((3, 20)), keeps_numbers=world.dice.random() < 0.5
            )
            for name in names
        }
        self._publishing = Loop("stations", self._publish, 0.0)
        self._process: Process | None = None

    def run(self) -> None:
        while not (self.world.is_calm and self._is_over()):
            is_late = self.world.now_s > FAULTS_END_S + QUIET_S
            assert not is_late, f"it does not drain: {self._process and self._process.ailing()}"
            try:
                self._turn(self._process or self._start())
            except Killed:
                self._end_life()
                self.world.now_s += RESTART_S
        assert self._process is not None
        self._process.stop()
        self.close()
        self._witness.judge()

    def close(self) -> None:
        if self._process is not None:
            self._process.end()
            self._process = None

    def told(self, error: BaseException) -> str:
        """A history short enough to read."""
        spells = [
            f"  {fault}: " + ", ".join(f"{s.from_s:.1f}-{s.until_s:.1f} s ({s.chance:.3f})" for s in spells)
            for fault, spells in self.world.spells.items()
            if spells
        ]
        lines = self.world.story[-LAST_LINES:]
        again = f"SEED={self.world.seed} python -m pytest -m sim tests/sim/test_histories.py"
        return "\n".join([f"seed {self.world.seed}   ({again})", *spells, *lines, f"{type(error).__name__}: {error}"])

    def _start(self) -> Process:
        """The next life; raises Killed when it is killed while it starts."""
        try:
            process = Process(self.world, self._brokers, self.receiver, WATCHLIST, self._makes)
        except TROUBLE as error:
            raise Killed("at its start") from error
        self._process = process
        self.world.tell("world", "starts")
        return process

    def _end_life(self) -> None:
        self.close()
        power_failed = self.world.expects(Fault.POWER)
        self._witness.look_at_disk(power_failed=power_failed)

    def _turn(self, process: Process) -> None:
        """One step of somebody whose time has come."""
        world = self.world
        loops = [self._publishing, *process.loops]
        due = [loop for loop in loops if loop.due_s <= world.now_s]
        if not due:
            world.now_s = min(loop.due_s for loop in loops)
            due = [loop for loop in loops if loop.due_s <= world.now_s]
        loop = world.dice.choice(due)
        if loop is self._publishing:
            self._publish()
            loop.due_s = self._fleet.next_s
        else:
            process.call(loop)
            if world.strikes(Fault.SLOW_PART):
                loop.due_s += 1.0
        self._witness.look(process)
        world.now_s += world.dice.expovariate(1 / STEP_S)
        world.is_calm = world.now_s >= FAULTS_END_S
        self._may_happen(process)

    def _may_happen(self, process: Process) -> None:
        world = self.world
        if world.dice.random() < 0.005:
            world.remember_ledger()
        if world.strikes(Fault.CLOCK_BACK):
            world.set_clock_back()
        world.may_die("between two steps")
        if world.strikes(Fault.STOP):
            process.stop()
            self._end_life()

    def _publish(self) -> float:
        for message in self._fleet.speak():
            self._witness.published.append(message)
            broker = self._brokers["south" if "S2" in message.topic and "south" in self._brokers else "north"]
            broker.publish(message)
        return 0.0

    def _is_over(self) -> bool:
        process = self._process
        return (
            process is not None
            and self._fleet.is_done()
            and all(broker.is_empty for broker in self._brokers.values())
            and process.is_idle
            and not process.ailing()
            and all(lag.due == 0 for lag in process.ledger.outbox_lag())
        )
