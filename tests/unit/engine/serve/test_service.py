"""What the routes share: a request's time, whatever its steps."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import pytest

from fer_engine.artifact.spec import ModelSpec
from fer_engine.serve.batcher import BatchOptions
from fer_engine.serve.limits import Limits, RefusedError
from fer_engine.serve.service import Service


def test_all_steps_of_a_request_share_its_time():
    async def request() -> None:
        engine = SimpleNamespace(spec=ModelSpec("tiny"), logits=None)
        service = Service(engine, BatchOptions(), Limits(request_seconds=0.3))
        try:
            deadline = service.deadline()
            for _ in range(3):
                await service.in_pool(lambda: time.sleep(0.2), deadline)
        finally:
            service.close()

    with pytest.raises(RefusedError, match=r"not served within 0\.3 s; try again") as refused:
        asyncio.run(request())
    assert (refused.value.status, refused.value.retry) == (503, True)
