"""The passes of a measurement: speed in rounds, start-up, accuracy, energy, the machine's limits, LoadGen."""
