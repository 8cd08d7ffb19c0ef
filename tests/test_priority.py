"""Does a question go before bulk work that waits longer?"""

import threading
import time

from ctx42d.indexer.priority_lock import PriorityLock


def test_urgent_requests_go_first() -> None:
    lock, order, waiting = PriorityLock(), [], threading.Semaphore(0)

    def take(name: str, urgent: bool) -> None:
        waiting.release()
        with lock.turn(urgent=urgent):
            order.append(name)

    threads = []
    with lock.turn(urgent=False):
        for name, urgent in [("bulk", False), ("question", True)]:
            threads.append(threading.Thread(target=take, args=(name, urgent)))
            threads[-1].start()
            assert waiting.acquire(timeout=20)
        while lock._urgent == 0:
            time.sleep(0.001)
    for thread in threads:
        thread.join(20)
    assert order == ["question", "bulk"]
