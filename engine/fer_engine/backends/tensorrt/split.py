"""The cheapest way to cut a batch into buckets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple


class Part(NamedTuple):
    """Faces that run in one bucket; they fill it, but for the last part."""

    bucket: int
    faces: slice


class Splitter:
    """Cuts batches of any size; `costs` holds the seconds that a run of each bucket takes, full or not.

    A batch up to the largest bucket is cut in the cheapest way there is, found with a table of the
    cheapest costs of all smaller ones (dynamic programming). A larger one first fills the bucket that
    costs least a face, until no more than the largest bucket is left.
    """

    def __init__(self, costs: Mapping[int, float]) -> None:
        self._costs = dict(sorted(costs.items()))
        self._largest = max(self._costs)
        self._bulk = min(self._costs, key=lambda bucket: self._costs[bucket] / bucket)
        self._first = [0]  # the bucket to take first for every number of faces
        total = [0.0]
        for count in range(1, self._largest + 1):
            through = {bucket: cost + total[max(0, count - bucket)] for bucket, cost in self._costs.items()}
            best = min(through, key=through.__getitem__)
            self._first.append(best)
            total.append(through[best])

    def parts(self, count: int) -> Iterator[Part]:
        """Cut `count` faces; together the parts hold each of them once, in order."""
        start = 0
        for bucket in self._buckets(count):
            stop = min(start + bucket, count)
            yield Part(bucket, slice(start, stop))
            start = stop

    def _buckets(self, count: int) -> list[int]:
        """Return the buckets, the largest first: then what is missing fits into the last alone."""
        bulk = max(0, -(-(count - self._largest) // self._bulk))
        buckets = [self._bulk] * bulk
        left = count - bulk * self._bulk
        while left > 0:
            buckets.append(self._first[left])
            left -= buckets[-1]
        return sorted(buckets, reverse=True)
