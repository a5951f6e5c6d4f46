"""`leadwire`: the command line. What each verb does is in `commands`.

Exit codes: 0, 2 usage or config, 3 port, 4 record, 5 bundle.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from edge_runtime import commands
from edge_runtime.bench.command import add_bench
from edge_runtime.errors import LeadwireError
from edge_runtime.outputs import add_flags
from firmware_bridge.faults import described

NOTICE = "Research use only; not a medical device."
EXAMPLE = """
  [[device]]
  port = "/dev/serial/by-id/..."
  board = "native"
  name = "bed 1"        # the reports' source (default: the port)
  lead = "I"            # default: what the board says

  [[device]]
  port = "/dev/serial/by-id/..."
  board = "ad8232"

  [store]               # a section for each of the sinks above
  path = "ward.db"
  keep_days = 365

  [dashboard]
  where = "8080"
"""


class _Version(argparse.Action):
    """Reads the version only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"leadwire {version('leadwire')}")
        parser.exit()


def _between(low: float, high: float) -> Callable[[str], float]:
    """An argument's type: a number in that range."""

    def number(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low:g} and {high:g}")
        return value

    return number


_SECONDS = _between(0.001, 1e7)


def _add_net(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", type=Path, help="a bundle's folder (default: the one that comes with leadwire)")
    parser.add_argument(
        "--backend", help="ai-edge-litert, tflite-runtime or onnxruntime (default: the first that works)"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="leadwire", description=f"{__doc__.splitlines()[0]} {NOTICE}")
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")

    run = verbs.add_parser(
        "run",
        help="monitor wearables on serial ports",
        description=f"Monitor ports. {NOTICE}",
        epilog=f"a config is such as:\n{EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    ports = run.add_mutually_exclusive_group(required=True)
    ports.add_argument("--port", help="such as /dev/serial/by-id/... or /dev/ttyUSB0")
    ports.add_argument("--config", type=Path, metavar="FILE", help="many ports, and all that is below, as TOML")
    run.add_argument("--board", help="what is on the port (default native); `leadwire boards` lists them")
    run.add_argument("--lead", help="where its electrodes are, such as I (default: what the board says)")
    run.add_argument(
        "--record", type=Path, metavar="DIR", help="keep every byte for `leadwire replay`, and a WFDB record"
    )
    add_flags(run)
    run.add_argument("--for", type=_SECONDS, dest="seconds", metavar="S", help="stop by itself after so many seconds")
    _add_net(run)

    analyse = verbs.add_parser("analyse", help="reports of recordings: WFDB or CSV", description=f"Analyse. {NOTICE}")
    analyse.add_argument(
        "records", nargs="+", metavar="RECORD", help="a WFDB path, mitdb/234, or a CSV (time_s,LEAD,... in mV)"
    )
    analyse.add_argument("--lead", help="lead name, without case (default: the first)")
    analyse.add_argument(
        "--hop",
        type=_between(0.05, 3600),
        help="seconds between windows (default 10; with a summary 5, with fiducials 8, and 9 at most)",
    )
    analyse.add_argument("--summary", action="store_true", help="one line a record instead of one a window")
    analyse.add_argument(
        "--findings", action="store_true", help="add the probabilities of PTB-XL's superclasses: a research output"
    )
    analyse.add_argument(
        "--fiducials",
        action="store_true",
        help="onset, peak and offset of P, QRS and T, each wave once: in its window's line, or all in the summary's",
    )
    analyse.add_argument(
        "--annotations", type=Path, metavar="DIR", help="fiducials, also as WFDB annotations: DIR/RECORD.lw"
    )
    _add_net(analyse)

    replay = verbs.add_parser("replay", help="the reports of what `run --record` kept")
    replay.add_argument("folder", type=Path, metavar="DIR")
    _add_net(replay)

    simulate = verbs.add_parser(
        "simulate",
        help="a wearable on a pty; prints its path",
        description="A wearable on a pty. It prints its path, and when it ends, on stderr, the ledger of what it did.",
        epilog=f"faults, with commas between them:\n{described()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    simulate.add_argument("--board", default="native", help="which one to be; `leadwire boards` lists them")
    simulate.add_argument("--record", required=True, help="a path, or DATABASE/RECORD")
    simulate.add_argument("--lead")
    simulate.add_argument("--speed", type=_between(0.01, 1000), default=1.0, help="times real time (default 1)")
    simulate.add_argument(
        "--fault",
        "--faults",
        default="",
        metavar="SPEC",
        help="such as drop=0.01,unplug@60+4,lead_off@100+6; see below",
    )
    simulate.add_argument("--seed", type=int, default=0, help="of the faults")
    simulate.add_argument("--start", type=_between(0, 1e7), default=0.0, help="second of the record to begin at")
    simulate.add_argument("--duration", type=_SECONDS, help="seconds of the record to play (default: to its end)")
    simulate.add_argument("--link", type=Path, help="a stable path for the pty, which changes when it is replugged")

    demo = verbs.add_parser("demo", help="a simulated wearable, monitored, with a picture", description=NOTICE)
    demo.add_argument("--speed", type=_between(0.01, 1000), default=8.0, help="times real time (default 8)")
    demo.add_argument("--folder", type=Path, default=Path("demo"), help="where its files go (default: demo)")

    verbs.add_parser("boards", help="the boards that can be on a port")

    doctor = verbs.add_parser(
        "doctor", help="what this machine has and lacks: ports, permissions, versions, temperature"
    )
    one = doctor.add_mutually_exclusive_group()
    one.add_argument("--port", help="listen to it, and suggest which board is speaking")
    one.add_argument("--udev", action="store_true", help="print a rule: permission, a name that stays, latency")

    service = verbs.add_parser(
        "service",
        help="a run that starts with the machine: prints what that takes, and does it with --apply",
        description="A systemd unit, a udev rule and a config: printed, unless told to do it. Needs root to do it.",
    )
    service.add_argument("--config", type=Path, metavar="FILE", help="of `leadwire run`; it is put in its place")
    what = service.add_mutually_exclusive_group()
    what.add_argument("--apply", action="store_true", help="write what is not there yet, and start it")
    what.add_argument("--remove", action="store_true", help="stop it and take it away; config and data are kept")
    service.add_argument(
        "--root", type=Path, default=Path("/"), metavar="DIR", help="of another system, such as an image"
    )

    add_bench(verbs)

    inspect = verbs.add_parser("inspect", help="what a bundle is")
    inspect.add_argument("bundle", type=Path, nargs="?")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    from firmware_bridge.link import PortError

    chosen = _parser().parse_args(arguments)
    try:
        return int(getattr(commands, chosen.verb)(chosen))
    except (LeadwireError, PortError) as error:
        commands.tell(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        commands.tell("stopped")
        return 130
    except BrokenPipeError:  # whoever read our output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    raise SystemExit(main())
