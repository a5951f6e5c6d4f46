"""The gate: a trained run becomes a bundle of int8 nets, or is refused."""
