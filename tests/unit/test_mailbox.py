"""The bounded queue between the job's loop and an agent's."""

from __future__ import annotations

import asyncio
import threading

from agents.mailbox import Mailbox


async def drain(box: Mailbox[int]) -> list[int]:
    return [item async for item in box]


async def test_items_come_in_order_and_the_iteration_ends_with_the_mailbox() -> None:
    box: Mailbox[int] = Mailbox(10)
    for n in range(3):
        box.put(n)
    box.close()
    box.put(9)
    assert await drain(box) == [0, 1, 2]


async def test_a_full_mailbox_loses_the_expendable_first_then_the_oldest() -> None:
    box: Mailbox[int] = Mailbox(3, expendable=lambda item: item % 2 == 1)
    for n in (0, 1, 2, 4, 6):
        box.put(n)
    box.close()
    assert await drain(box) == [2, 4, 6]
    assert box.lost == 2


async def test_a_reader_in_another_threads_loop_gets_every_item() -> None:
    box: Mailbox[int] = Mailbox(10_000)
    got: list[int] = []
    reader = threading.Thread(target=lambda: got.extend(asyncio.run(drain(box))))
    reader.start()
    for n in range(1000):
        box.put(n)
        if n % 100 == 0:
            await asyncio.sleep(0.001)
    box.close()
    await asyncio.to_thread(reader.join)
    assert got == list(range(1000))
