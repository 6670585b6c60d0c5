"""The record of a measurement, and what its figures are computed with."""

from fer_bench.record.record import FORMAT_VERSION

__all__ = ["FORMAT_VERSION"]
