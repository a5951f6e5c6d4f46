"""`leadwire bench`: what a second of one lead costs on this machine, and where it goes. docs/bench.md says how."""
