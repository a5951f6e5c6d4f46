"""What each verb of `leadwire` does; each gives an exit code. Heavy imports are inside: none pays for another's."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.errors import LeadwireError, UsageError
from edge_runtime.outputs import sections_of

if TYPE_CHECKING:
    from edge_runtime.backends import Backend
    from edge_runtime.bundle import Model
    from edge_runtime.fiducials import Fiducials


def tell(message: str) -> None:
    print(f"leadwire: {message}", file=sys.stderr)


def _model(chosen: argparse.Namespace) -> tuple[Model, Backend]:
    from edge_runtime.run import load_net

    return load_net(chosen.bundle, chosen.backend, tell)


@contextlib.contextmanager
def _stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and Ctrl-C end a command cleanly, with exit code 0."""
    before = {s: signal.signal(s, lambda *_: stop()) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(chosen: argparse.Namespace) -> int:
    from edge_runtime import run as runs

    given = {key: value for key, value in vars(chosen).items() if value is not None}
    flags: dict[str, Any] = {key: given[key] for key in ("bundle", "backend", "record") if key in given}
    flags |= sections_of(chosen)
    device = {key: given[key] for key in ("port", "board", "lead") if key in given}
    if chosen.config is None:
        options = runs.options_from({"out": {"path": "-"}, **flags, "device": [device]}, "run", seconds=chosen.seconds)
    elif device:
        raise UsageError(f"--{next(iter(device))} stands in the config, with each of its devices")
    else:
        options = runs.options_in(chosen.config, flags, seconds=chosen.seconds)
    stopping: list[bool] = []
    with _stopped_by_signals(lambda: stopping.append(True)):
        runs.run(options, tell, lambda: bool(stopping))
    return 0


def analyse(chosen: argparse.Namespace) -> int:
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
            tell(str(error))
            code = error.exit_code
    return code


def replay(chosen: argparse.Namespace) -> int:
    from edge_runtime.sinks import recorder

    model, backend = _model(chosen)
    before = recorder.recorded_by(chosen.folder).get("bundle", model.id)
    if before != model.id:
        tell(f"{chosen.folder} was recorded with {before}; these are the reports of {model.id}")
    for report in recorder.replay(chosen.folder, model, backend):
        print(report.to_json())
    return 0


def simulate(chosen: argparse.Namespace) -> int:
    from edge_runtime.library import find_record
    from edge_runtime.run import board_named
    from edge_runtime.wearable import wearable_of
    from firmware_bridge.simulator import play

    board = board_named(chosen.board)
    if chosen.speed != 1 and not board.tells_time:
        tell(
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


def demo(chosen: argparse.Namespace) -> int:
    from edge_runtime import demo as demos

    demos.demo(chosen.folder, chosen.speed, tell)
    return 0


def boards(chosen: argparse.Namespace) -> int:
    from firmware_bridge.boards import BOARDS

    for board in BOARDS.values():
        rate = f"{board.sampling_rate_hz:g} Hz" if board.sampling_rate_hz else "rate from the stream"
        off = "says when leads are off" if board.lead_off else ""
        print(f"{board.name:18} {board.baud:7} baud  {rate:20}  {off:24}  {board.note}".rstrip())
    return 0


def doctor(chosen: argparse.Namespace) -> int:
    from edge_runtime.doctor import examine, listen
    from firmware_bridge.ports import UDEV_RULES

    if chosen.udev:
        print(UDEV_RULES, end="")
        return 0
    for line in listen(chosen.port) if chosen.port else examine():
        print(line, flush=True)
    return 0


def service(chosen: argparse.Namespace) -> int:
    from edge_runtime import service as services

    do = services.do_here if chosen.root == Path("/") else None
    if chosen.remove:
        lines = services.remove(chosen.root, do)
    else:
        program = services.program()
        hidden = services.out_of_reach(program[0], sys.executable) if do else None
        if hidden:
            problem = f"{hidden} is closed to a service's user: install leadwire elsewhere, such as in /opt/leadwire"
            if chosen.apply:
                raise UsageError(problem)
            tell(problem)
        made = services.plan(chosen.config, chosen.root, program)
        lines = services.apply(made, chosen.root, do) if chosen.apply else services.describe(made, chosen.root)
    for line in lines:
        print(line, flush=True)
    return 0


def bench(chosen: argparse.Namespace) -> int:
    from edge_runtime.bench import command

    return command.bench(chosen)


def inspect(chosen: argparse.Namespace) -> int:
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
