"""`leadwire`: the command line. Heavy imports are inside the commands, so that `--help` is instant.

Exit codes: 0, 2 usage or config, 3 port, 4 record, 5 bundle.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.bench.command import add_bench
from edge_runtime.errors import LeadwireError, UsageError
from firmware_bridge.faults import described

if TYPE_CHECKING:
    from edge_runtime.backends import Backend
    from edge_runtime.bundle import Model
    from edge_runtime.fiducials import Fiducials

NOTICE = "Research use only; not a medical device."


class _Version(argparse.Action):
    """Reads the version only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"leadwire {version('leadwire')}")
        parser.exit()


def _tell(message: str) -> None:
    print(f"leadwire: {message}", file=sys.stderr)


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

    run = verbs.add_parser("run", help="monitor a wearable on a serial port", description=f"Monitor a port. {NOTICE}")
    run.add_argument("--port", required=True, help="such as /dev/serial/by-id/... or /dev/ttyUSB0")
    run.add_argument("--board", default="native", help="what is on the port; `leadwire boards` lists them")
    run.add_argument("--out", default="-", help="JSON lines: a file to append to, or - for standard output (default)")
    run.add_argument(
        "--record", type=Path, metavar="DIR", help="keep every byte for `leadwire replay`, and a WFDB record"
    )
    run.add_argument("--picture", type=Path, metavar="PNG", help="draw the run when it ends")
    run.add_argument("--for", type=_SECONDS, dest="seconds", metavar="S", help="stop by itself after so many seconds")
    _add_net(run)
    run.set_defaults(command=_run)

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
    analyse.set_defaults(command=_analyse)

    replay = verbs.add_parser("replay", help="the reports of what `run --record` kept")
    replay.add_argument("folder", type=Path, metavar="DIR")
    _add_net(replay)
    replay.set_defaults(command=_replay)

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
    simulate.set_defaults(command=_simulate)

    demo = verbs.add_parser("demo", help="a simulated wearable, monitored, with a picture", description=NOTICE)
    demo.add_argument("--speed", type=_between(0.01, 1000), default=8.0, help="times real time (default 8)")
    demo.add_argument("--folder", type=Path, default=Path("demo"), help="where its files go (default: demo)")
    demo.set_defaults(command=_demo)

    boards = verbs.add_parser("boards", help="the boards that can be on a port")
    boards.set_defaults(command=_boards)

    doctor = verbs.add_parser(
        "doctor", help="what this machine has and lacks: ports, permissions, versions, temperature"
    )
    one = doctor.add_mutually_exclusive_group()
    one.add_argument("--port", help="listen to it, and suggest which board is speaking")
    one.add_argument("--udev", action="store_true", help="print a rule: permission, a name that stays, latency")
    doctor.set_defaults(command=_doctor)

    add_bench(verbs)

    inspect = verbs.add_parser("inspect", help="what a bundle is")
    inspect.add_argument("bundle", type=Path, nargs="?")
    inspect.set_defaults(command=_inspect)
    return parser


def _model(chosen: argparse.Namespace) -> tuple[Model, Backend]:
    from edge_runtime.run import load_net

    return load_net(chosen.bundle, chosen.backend, _tell)


@contextlib.contextmanager
def _stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and Ctrl-C end a command cleanly, with exit code 0."""
    before = {s: signal.signal(s, lambda *_: stop()) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run(chosen: argparse.Namespace) -> int:
    from edge_runtime.run import RunOptions, run

    names = ("port", "board", "out", "record", "picture", "seconds", "bundle", "backend")
    stopping: list[bool] = []
    with _stopped_by_signals(lambda: stopping.append(True)):
        run(RunOptions(**{name: getattr(chosen, name) for name in names}), _tell, lambda: bool(stopping))
    return 0


def _analyse(chosen: argparse.Namespace) -> int:
    from edge_runtime.annotations import make_folder, write_annotations
    from edge_runtime.library import find_record
    from edge_runtime.offline import analyse_record, hop_of, summarise
    from edge_runtime.report import to_json

    folder: Path | None = chosen.annotations
    fiducials = chosen.fiducials or folder is not None
    if folder:
        make_folder(folder, chosen.records)
    model, backend = _model(chosen)
    hop_s = hop_of(chosen.hop, model.window_s, fiducials, chosen.summary)
    code = 0
    for name in chosen.records:
        try:
            record = find_record(name)
            reports = analyse_record(record, name, chosen.lead, hop_s, model, backend, fiducials)
            waves: list[Fiducials] = []
            for said in [summarise(list(reports), model)] if chosen.summary else reports:
                more = {"findings": said.findings_dict()} if chosen.findings else {}
                print(to_json({**said.to_dict(), **more}))
                waves += said.fiducials or ()
            if folder:
                write_annotations(folder, record.name, waves, record.sampling_rate_hz)
        except LeadwireError as error:  # a bad record does not stop the others
            _tell(str(error))
            code = error.exit_code
    return code


def _replay(chosen: argparse.Namespace) -> int:
    from edge_runtime.sinks.recorder import recorded_by, replay

    model, backend = _model(chosen)
    before = recorded_by(chosen.folder).get("bundle", model.id)
    if before != model.id:
        _tell(f"{chosen.folder} was recorded with {before}; these are the reports of {model.id}")
    for report in replay(chosen.folder, model, backend):
        print(report.to_json())
    return 0


def _simulate(chosen: argparse.Namespace) -> int:
    from edge_runtime.library import find_record
    from edge_runtime.run import board_named
    from edge_runtime.wearable import wearable_of
    from firmware_bridge.simulator import play

    board = board_named(chosen.board)
    if chosen.speed != 1 and not board.tells_time:
        _tell(
            f"board {board.name} sends no time: at this speed whoever listens measures {chosen.speed:g} times its rate"
        )
    wearable = wearable_of(
        find_record(chosen.record), chosen.lead, chosen.start, chosen.duration, chosen.fault, chosen.seed, board
    )
    link = chosen.link or Path(tempfile.gettempdir()) / f"leadwire-{os.getpid()}"
    stopping: list[bool] = []
    with _stopped_by_signals(lambda: stopping.append(True)):
        try:
            ledger = play(wearable, link, chosen.speed, lambda: print(link, flush=True), lambda: bool(stopping))
        except OSError as error:
            raise UsageError(f"--link {link}: cannot be made ({error.strerror}); choose another path") from error
    print(json.dumps(ledger.to_dict()), file=sys.stderr)
    return 0


def _demo(chosen: argparse.Namespace) -> int:
    from edge_runtime.demo import demo

    demo(chosen.folder, chosen.speed, _tell)
    return 0


def _boards(chosen: argparse.Namespace) -> int:
    from firmware_bridge.boards import BOARDS

    for board in BOARDS.values():
        rate = f"{board.sampling_rate_hz:g} Hz" if board.sampling_rate_hz else "rate from the stream"
        off = "says when leads are off" if board.lead_off else ""
        print(f"{board.name:18} {board.baud:7} baud  {rate:20}  {off:24}  {board.note}".rstrip())
    return 0


def _doctor(chosen: argparse.Namespace) -> int:
    from edge_runtime.doctor import examine, listen
    from firmware_bridge.ports import UDEV_RULES

    if chosen.udev:
        print(UDEV_RULES, end="")
        return 0
    for line in listen(chosen.port) if chosen.port else examine():
        print(line, flush=True)
    return 0


def _inspect(chosen: argparse.Namespace) -> int:
    from edge_runtime.bundle import DEFAULT, load_bundle

    bundle = load_bundle(chosen.bundle or DEFAULT)
    m = bundle.manifest
    print(f"{bundle.model.id}  (format {m['format']})\n\n{m['card']}\n")
    for name, content in bundle.files.items():
        print(f"{name:14} {len(content):8} bytes  sha256 {m['files'][name]['sha256'][:16]}...")
    spent, made = m["cost"], m["provenance"]
    print(
        f"{spent['macs'] / 1e6:.1f} M multiply-accumulates a window, {spent['parameters']} parameters (norms folded), "
        f"{spent['peak_activation_bytes'] / 1e3:.0f} kB of int8 activations at once"
    )
    print("operations: " + ", ".join(f"{n} {kind}" for kind, n in spent["operations"].items()))
    trained = ", ".join(f"{stage} {commit}" for stage, commit in made["trained_at_commits"].items())
    print(f"commits: {trained}, export {made['exported_at_commit']}")
    print(f"bridges gaps up to {m['max_bridged_ms']:g} ms")
    for name, target in m["targets"].items():
        low, high = target["range"]
        print(f"{name:14} 90 % range {low:+.2f} to {high:+.2f} times the error that its window leads one to expect")
    for backend, found in m["agreement"].items():
        print(
            f"{backend:14} against torch: "
            + ", ".join(f"{k} {v['mean_abs']:g}" for k, v in found.items() if v["mean_abs"] is not None)
        )
    for form, found in m.get("proof", {}).items():
        print(f"{form:22} out of fold, MAE: " + ", ".join(f"{k} {v['mae']:.2f}" for k, v in found.items()))
    for line in m["allowed"]:
        print(f"let through over its gate: {line}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    from firmware_bridge.link import PortError

    chosen = _parser().parse_args(arguments)
    try:
        return int(chosen.command(chosen))
    except (LeadwireError, PortError) as error:
        _tell(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        _tell("stopped")
        return 130
    except BrokenPipeError:  # whoever read our output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    raise SystemExit(main())
