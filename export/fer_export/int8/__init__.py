"""INT8 graphs: calibration, equalization, bias correction and Q/DQ pairs."""
