"""Real annotated ECG, read from the layout in which PhysioNet publishes it."""
