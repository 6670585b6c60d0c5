"""Calls are counted so that closing waits for those of others, and never for one that Ctrl-C took away."""

from __future__ import annotations

import threading

import pytest

from fer_engine.errors import BackendError
from fer_engine.runtime.lifecycle import CallGuard

SECONDS = 30  # for what ends at once, unless it hangs


def ends(work) -> bool:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(SECONDS)
    return not thread.is_alive()


def test_a_call_that_was_interrupted_after_its_count_does_not_keep_its_thread_from_closing():
    guard = CallGuard()

    def interrupted():
        guard.__enter__()  # and Ctrl-C comes before the block: no __exit__ follows
        guard.close()

    assert ends(interrupted)
    with pytest.raises(BackendError, match="the engine is closed"):
        guard.__enter__()


def test_closing_waits_for_the_calls_of_other_threads_and_for_each_of_nested_ones():
    guard, entered, leave, closed = CallGuard(), threading.Event(), threading.Event(), threading.Event()

    def call():
        with guard:
            with guard:
                pass
            entered.set()
            leave.wait(SECONDS)

    def close():
        guard.close()
        closed.set()

    threads = [threading.Thread(target=work, daemon=True) for work in (call, close)]
    threads[0].start()
    assert entered.wait(SECONDS)
    threads[1].start()
    assert not closed.wait(0.2)
    leave.set()
    assert closed.wait(SECONDS)
    for thread in threads:
        thread.join(SECONDS)


def test_a_call_that_closes_its_own_guard_ends_well():
    guard = CallGuard()

    def work():
        with guard:
            guard.close()

    assert ends(work)
