"""`python -m export RUN --out BUNDLE`: a trained run to the bundle that goes on the device.

`python -m export c BUNDLE --out DIR`: a bundle's net as C source, for a microcontroller.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edge_runtime.errors import exit_with


def main(arguments: list[str]) -> int:
    return _c(arguments[1:]) if arguments[:1] == ["c"] else _bundle(arguments)


def _c(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m export c", description="A bundle's net as C source.")
    parser.add_argument("bundle", type=Path, help="a bundle's folder, such as edge_runtime/bundles/default")
    parser.add_argument("--out", type=Path, required=True, help="the folder for leadwire_net.c and leadwire_net.h")
    chosen = parser.parse_args(arguments)

    from edge_runtime.bundle import load_bundle
    from export.to_c import HEADER, SOURCE, write_c

    bundle = load_bundle(chosen.bundle)
    written = write_c(bundle, chosen.out)
    print(f"{bundle.model.id}: {SOURCE} and {HEADER} in {chosen.out}; {written.ram_bytes / 1e3:.1f} kB of RAM")
    for line in bundle.manifest["allowed"]:
        print(f"allowed over its gate: {line}", file=sys.stderr)
    return 0


def _bundle(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="a run's folder, such as runs/default")
    parser.add_argument("--out", type=Path, required=True, help="the bundle's folder")
    parser.add_argument("--fold", default="all", help="the net of one fold instead of the one trained on all")
    parser.add_argument("--allow", action="store_true", help="write it although it is over a gate, and say so in it")
    parser.add_argument("--with-float", action="store_true", help="add the float files")
    chosen = parser.parse_args(arguments)

    from export.bundle_writer import write_bundle
    from train.run import Run

    bundle = write_bundle(Run.open(chosen.run), chosen.out, chosen.fold, chosen.allow, chosen.with_float)
    sizes = ", ".join(f"{name} {len(content) / 1e3:.0f} kB" for name, content in bundle.files.items())
    print(f"{bundle.model.id}: {sizes} in {chosen.out}")
    for line in bundle.manifest["allowed"]:
        print(f"allowed over its gate: {line}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    exit_with("export", main)
