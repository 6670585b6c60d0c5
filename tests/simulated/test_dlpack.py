"""Capsules of DLPack, held against NumPy's."""

import weakref

import numpy as np
import pytest

from fer_engine.backends.cuda import dlpack

VALUES = np.arange(12, dtype=np.float32).reshape(4, 3)


class Lender:
    """Memory of the host, lent as results on a device are."""

    def __dlpack_device__(self):
        return dlpack.CPU, 0

    def __dlpack__(self, **_):
        return dlpack.lend(VALUES.ctypes.data, VALUES.shape, (dlpack.CPU, 0), self)


class Taken(Lender):
    """A capsule that the test has in its hands too."""

    def __init__(self, capsule):
        self.capsule = capsule

    def __dlpack__(self, **_):
        return self.capsule


def test_what_is_lent_can_be_taken_and_is_kept_as_long():
    lender = Lender()
    lives = weakref.ref(lender)
    taken = np.from_dlpack(lender)
    del lender
    np.testing.assert_array_equal(taken, VALUES)
    assert np.shares_memory(taken, VALUES)
    assert lives() is not None
    del taken
    assert lives() is None


def test_what_nobody_takes_is_given_back():
    lender = Lender()
    lives = weakref.ref(lender)
    capsule = lender.__dlpack__()
    del lender
    assert lives() is not None
    del capsule
    assert lives() is None


def test_the_address_is_not_looked_at():
    capsule = dlpack.lend(0x40, (2, 7), (dlpack.CUDA, 3), None)
    assert dlpack.read(capsule) == dlpack.Tensor(0x40, (2, 7), (7, 1), "float32")


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float64", "complex64"])
def test_numpys_capsules_are_read(dtype):
    array = np.zeros((5, 4, 3), dtype)[1:, ::2]
    tensor = dlpack.read(array.__dlpack__())
    assert (tensor.address, tensor.shape, tensor.dtype) == (array.ctypes.data, (4, 2, 3), dtype)
    assert tensor.strides == tuple(step // array.itemsize for step in array.strides)


def test_a_capsule_that_was_taken_or_is_none():
    capsule = Lender().__dlpack__()
    taken = np.from_dlpack(Taken(capsule))
    for wrong in (capsule, "no capsule"):
        with pytest.raises(ValueError, match="PyCapsule"):
            dlpack.read(wrong)
    np.testing.assert_array_equal(taken, VALUES)
