"""Batches cut into buckets: every face once, at the least cost."""

import functools
import itertools

import pytest

from fer_engine.backends.tensorrt.split import Splitter

COSTS = [
    {1: 1.0},
    {3: 5.0},
    {1: 1.0, 4: 1.5, 16: 2.0},  # launches cost more than faces
    {1: 1.0, 4: 4.0, 16: 16.0},  # faces alone cost
    {1: 3.0, 8: 4.0, 32: 6.5, 64: 12.0},
    {2: 1.0, 8: 9.0, 16: 30.0},  # the small one is the cheapest a face
    {5: 2.0, 7: 2.5, 12: 4.4},
]


def cost(costs, parts):
    return sum(costs[part.bucket] for part in parts)


@pytest.mark.parametrize("costs", COSTS)
def test_every_face_is_in_one_part_and_the_last_part_alone_is_padded(costs):
    splitter = Splitter(costs)
    for count in (*range(1, 70), 255, 1000, 10_007):
        parts = list(splitter.parts(count))
        assert parts[0].faces.start == 0
        assert parts[-1].faces.stop == count
        assert all(left.faces.stop == right.faces.start for left, right in itertools.pairwise(parts))
        missing = [part.bucket - (part.faces.stop - part.faces.start) for part in parts]
        assert missing[:-1] == [0] * (len(parts) - 1)
        assert 0 <= missing[-1] < parts[-1].bucket


@pytest.mark.parametrize("costs", COSTS)
def test_up_to_the_largest_bucket_no_cut_is_cheaper(costs):
    @functools.cache
    def least(count):
        return 0.0 if count <= 0 else min(cost + least(count - bucket) for bucket, cost in costs.items())

    splitter = Splitter(costs)
    for count in range(1, max(costs) + 1):
        assert cost(costs, splitter.parts(count)) == pytest.approx(least(count))


@pytest.mark.parametrize("costs", COSTS)
@pytest.mark.parametrize("count", [100, 1000, 10_007])
def test_a_large_batch_costs_little_more_than_its_share_of_the_cheapest_bucket(costs, count):
    a_face = min(cost / bucket for bucket, cost in costs.items())
    total = cost(costs, Splitter(costs).parts(count))
    assert count * a_face <= total + 1e-9
    assert total <= count * a_face + 2 * max(costs.values())


def test_what_launches_cost_decides():
    dear, cheap = {1: 10.0, 16: 11.0}, {1: 1.0, 16: 11.0}
    assert [part.bucket for part in Splitter(dear).parts(3)] == [16]
    assert [part.bucket for part in Splitter(cheap).parts(3)] == [1, 1, 1]
    assert [part.bucket for part in Splitter(cheap).parts(35)] == [16, 16, 1, 1, 1]
