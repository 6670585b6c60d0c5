"""The record of a measurement, and what its figures are computed with."""
