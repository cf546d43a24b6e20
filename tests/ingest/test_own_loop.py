"""A loop on a thread of its own: work from other threads is done on it, or refused; a stop ends this life and all later."""

import asyncio
from threading import Event, Thread

from ingest.own_loop import OwnLoop


def test_work_is_done_on_the_loop_while_there_is_a_life_and_refused_before_and_after() -> None:
    loop, living, done = OwnLoop(), Event(), Event()

    async def life() -> None:
        with loop.living() as ending:
            living.set()
            await asyncio.wait_for(ending.wait(), 10)

    assert not loop.call(done.set)
    thread = Thread(target=lambda: asyncio.run(life()))
    thread.start()
    assert living.wait(10)
    assert loop.call(done.set)
    assert done.wait(10)
    loop.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert not loop.call(done.set)


def test_who_was_stopped_before_a_life_began_ends_it_at_once() -> None:
    loop = OwnLoop()
    loop.stop()

    async def life() -> bool:
        with loop.living() as ending:
            return ending.is_set()

    assert asyncio.run(life())
    assert loop.stopping.is_set()
