"""The scenarios of MLPerf Inference, driven by its LoadGen."""
