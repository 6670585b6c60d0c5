"""The record of a measurement, and what its figures are computed with."""

FORMAT_VERSION = 2  # here, where the bench workflow asks each revision for its own
