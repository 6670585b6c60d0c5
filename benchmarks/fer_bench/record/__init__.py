"""The record of a measurement, and what its figures are computed with."""

KIND = "fer-bench"
FORMAT_VERSION = 2
