"""The truth: every number in the README is written by a command of this room."""
