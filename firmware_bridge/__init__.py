"""Bytes from a wearable to samples on the device's own clock. Knows nothing of ECG models."""
