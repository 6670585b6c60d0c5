import threading

import pytest

from fer_engine.vision.video.queue import Channel, Closed


def test_items_come_in_order_and_the_end_after_them():
    channel = Channel(3)
    for item in "abc":
        channel.put(item)
    assert channel.full
    channel.finish()
    assert [channel.get() for _ in range(3)] == ["a", "b", "c"]
    for _ in range(2):
        with pytest.raises(Closed):
            channel.get()


def test_an_error_comes_after_the_items():
    channel = Channel(3)
    channel.put("a")
    channel.finish(ValueError("broken"))
    assert channel.get() == "a"
    with pytest.raises(ValueError, match="broken"):
        channel.get()


def test_only_what_is_wanted_is_taken_without_waiting():
    channel = Channel(3)
    assert channel.get_if(lambda _: True) is None
    channel.put(1)
    assert channel.get_if(lambda item: item > 1) is None
    assert channel.get_if(lambda item: item == 1) == 1


@pytest.mark.parametrize("full", [True, False])
def test_cancelling_wakes_the_thread_that_waits(full):
    channel = Channel(1)
    if full:
        channel.put(0)
    seen = []

    def wait():
        try:
            channel.put(1) if full else channel.get()
        except Closed:
            seen.append("closed")

    thread = threading.Thread(target=wait)
    thread.start()
    channel.cancel()
    thread.join(10)
    assert seen == ["closed"]
    with pytest.raises(Closed):
        channel.put(2)
