"""Synthetic single-lead ECG whose every onset and offset is known exactly."""
