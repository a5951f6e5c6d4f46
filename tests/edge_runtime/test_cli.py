"""The commands as a user meets them: real processes, real ptys, exit codes, one line and no traceback."""

from __future__ import annotations

import contextlib
import csv
import grp
import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import wfdb

from edge_runtime.report import MEASURABLE, schema
from tests.fakes import ecg_of, regular_waves

VALIDATOR = jsonschema.Draft202012Validator(schema())


def leadwire(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge_runtime.cli", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, env={**os.environ, **environment}, check=False
    )


def reports_in(text: str) -> list[dict]:
    rows = [json.loads(line) for line in text.splitlines()]
    for row in rows:
        VALIDATOR.validate(row)
    return rows


@pytest.fixture
def heart(tmp_path: Path) -> Path:
    """A WFDB record of 34 s: two leads at 360 Hz, 200 counts a millivolt."""
    seconds, rate = 34.0, 360
    mv = ecg_of(regular_waves(rr_s=0.85, seconds=seconds), rate, seconds)
    mv = mv + np.random.default_rng(1).normal(0, 0.01, len(mv))
    both = np.stack([mv, 0.6 * mv], axis=1)
    wfdb.wrsamp(
        "heart",
        rate,
        ["mV"] * 2,
        ["II", "V1"],
        both,
        fmt=["16"] * 2,
        adc_gain=[200.0] * 2,
        baseline=[1024] * 2,
        write_dir=str(tmp_path),
    )
    return tmp_path / "heart"


def test_analyse_prints_a_report_a_window(heart: Path) -> None:
    done = leadwire("analyse", heart, "--lead", "v1")
    rows = reports_in(done.stdout)
    assert done.returncode == 0
    assert [(r["start_s"], r["end_s"]) for r in rows] == [(0, 10), (10, 20), (20, 30), (24, 34)]
    assert {r["lead"] for r in rows} == {"V1"}
    assert {r["record"] for r in rows} == {str(heart)}
    assert all(abs(r["hr_bpm"]["value"] - 60 / 0.85) < 1 for r in rows)


def waves_of(rows: list[dict], kind: str) -> list[float]:
    """Peaks, s."""
    return [wave["peak_s"] for row in rows for wave in row["fiducials"] if wave["wave"] == kind]


def test_fiducials_stand_once_in_lines_summary_and_annotations(heart: Path, tmp_path: Path) -> None:
    done = leadwire("analyse", heart, "--fiducials")
    rows = reports_in(done.stdout)
    known = [(w.onset_s + w.offset_s) / 2 for w in regular_waves(rr_s=0.85, seconds=34.0) if w.kind == 1]
    assert waves_of(rows, "QRS") == pytest.approx(known, abs=0.01)
    assert len(waves_of(rows, "P")) == len(waves_of(rows, "T")) == len(known)
    assert all(w["onset_s"] < w["peak_s"] < w["offset_s"] for row in rows for w in row["fiducials"])
    plain = reports_in(leadwire("analyse", heart, "--hop", "8").stdout)
    assert plain == [{k: v for k, v in row.items() if k != "fiducials"} for row in rows]
    out = tmp_path / "new" / "annotations"
    (whole,) = reports_in(leadwire("analyse", heart, "--summary", "--annotations", out).stdout)
    assert waves_of([whole], "QRS") == waves_of(rows, "QRS")
    written = wfdb.rdann(str(out / "heart"), "lw")
    at = [int(n) for n, symbol in zip(written.sample, written.symbol, strict=True) if symbol == "N"]
    assert np.array(at) / 360 == pytest.approx(waves_of(rows, "QRS"), abs=0.5 / 360 + 0.0006)
    assert written.symbol == ["(", "p", ")", "(", "N", ")", "(", "t", ")"] * len(known)


def test_a_csv_is_annotated_in_samples_of_its_own_rate(tmp_path: Path) -> None:
    mv = ecg_of(regular_waves(rr_s=0.85), 200) + np.random.default_rng(1).normal(0, 0.01, 2000)
    (tmp_path / "a.csv").write_text("time_s,I\n" + "".join(f"{7 + i / 200},{v:.4f}\n" for i, v in enumerate(mv)))
    done = leadwire("analyse", tmp_path / "a.csv", tmp_path / "none", "--annotations", tmp_path)
    rows = reports_in(done.stdout)
    written = wfdb.rdann(str(tmp_path / "a"), "lw")
    assert (done.returncode, written.fs) == (4, 200), "a bad record does not stop the others"
    peaks = written.sample[[s == "N" for s in written.symbol]] / 200
    assert peaks == pytest.approx(waves_of(rows, "QRS"), abs=0.5 / 200 + 0.0006)


def test_a_bad_record_does_not_stop_the_others(heart: Path, tmp_path: Path) -> None:
    done = leadwire("analyse", tmp_path / "none", heart, "--summary", LEADWIRE_DATA=str(tmp_path))
    (row,) = reports_in(done.stdout)
    assert done.returncode == 4
    assert (row["windows"], row["valid_windows"]) == (6, 6)
    assert done.stderr.count("\n") == 1


def test_run_and_analyse_agree_through_a_real_pty(heart: Path, tmp_path: Path) -> None:
    """The device is simulated; the port is opened with pyserial as a USB port would be."""
    link, kept = tmp_path / "port", tmp_path / "kept"
    simulate = [
        sys.executable,
        "-m",
        "edge_runtime.cli",
        "simulate",
        "--record",
        str(heart),
        "--speed",
        "12",
        "--link",
        str(link),
    ]
    with subprocess.Popen(simulate, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as device:
        assert device.stdout
        assert device.stdout.readline().strip() == str(link)
        out = tmp_path / "out.jsonl"
        done = leadwire("run", "--port", link, "--out", out, "--record", kept, "--for", "8")
        _, ledger = device.communicate(timeout=30)
    assert done.returncode == 0, done.stderr
    live = reports_in(out.read_text())
    offline = reports_in(leadwire("analyse", heart, "--hop", "1").stdout)
    apart = ("source", "session", "sequence", "utc", "record", "latency_ms")
    full = {r["end_s"]: {k: v for k, v in r.items() if k not in apart} for r in live if r["state"] in MEASURABLE}
    same = {r["end_s"]: {k: v for k, v in r.items() if k not in apart} for r in offline}
    assert len(full) == 25
    assert full == {end: same[end] for end in full}
    assert json.loads(ledger)["overrun_bytes"] == 0
    assert all(r["latency_ms"] is not None and r["utc"].endswith("Z") for r in live)
    assert "Research use only" in done.stderr
    kept_as_wfdb = reports_in(leadwire("analyse", kept / "ecg", "--hop", "1").stdout)
    apart_from_file = {r["end_s"]: {k: v for k, v in r.items() if k not in apart} for r in kept_as_wfdb}
    assert full == {end: apart_from_file[end] for end in full}, "the record that was kept is what was analysed"
    about = json.loads((kept / "session.json").read_text())
    assert {"version", "source", "board", "session", "started_utc", "bundle", "backend", "python"} <= about.keys()
    assert about["bundle"] == live[0]["bundle"]
    assert about["session"] == live[0]["session"]
    assert {"leadwire", "numpy"} <= about["packages"].keys()
    assert about["options"]["board"] == "native"
    replayed = reports_in(leadwire("replay", kept).stdout)
    apart = ("session", "utc", "latency_ms")
    assert [{k: v for k, v in r.items() if k not in apart} for r in replayed] == [
        {k: v for k, v in r.items() if k not in apart} for r in live
    ], "what was recorded gives the same reports again"


def test_every_sink_of_a_ward_has_every_report(heart: Path, tmp_path: Path) -> None:
    """Store, JSON lines, CSV and dashboard of two devices, of which one is not there."""
    ward = "".join(f'[[device]]\nport = "{tmp_path}/{name}"\nname = "{name}"\n' for name in ("here", "away"))
    for section, key, value in (
        ("store", "path", tmp_path / "ward.db"),
        ("out", "path", tmp_path / "ward.jsonl"),
        ("csv", "path", tmp_path / "ward.csv"),
        ("dashboard", "where", "0"),
    ):
        ward += f'[{section}]\n{key} = "{value}"\n'
    (tmp_path / "ward.toml").write_text(ward)
    command = [sys.executable, "-m", "edge_runtime.cli"]
    play = [*command, "simulate", "--record", str(heart), "--link", str(tmp_path / "here"), "--speed", "8"]
    with subprocess.Popen(play, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as device:
        assert device.stdout
        device.stdout.readline()
        done = leadwire("run", "--config", tmp_path / "ward.toml", "--for", "6")
        device.terminate()
    assert done.returncode == 0, done.stderr
    rows = reports_in((tmp_path / "ward.jsonl").read_text())
    keys = [(r["source"], r["session"], r["sequence"]) for r in rows]
    assert {source for source, *_ in keys} == {"here", "away"}
    assert "ok" in {r["state"] for r in rows if r["source"] == "here"}
    assert {r["state"] for r in rows if r["source"] == "away"} == {"disconnected"}
    with contextlib.closing(sqlite3.connect(tmp_path / "ward.db")) as store:
        kept = store.execute("SELECT source, session, sequence FROM reports ORDER BY id").fetchall()
    assert kept == keys
    table = list(csv.DictReader((tmp_path / "ward.csv").read_text().splitlines()))
    assert [(r["source"], r["session"], int(r["sequence"])) for r in table] == keys
    assert "the dashboard is at http://127.0.0.1:" in done.stderr
    assert "away is not there; waiting for it" in done.stderr


def test_a_run_that_was_killed_leaves_a_folder_that_can_be_read(heart: Path, tmp_path: Path) -> None:
    link, kept, out = tmp_path / "port", tmp_path / "kept", tmp_path / "out.jsonl"
    command = [sys.executable, "-m", "edge_runtime.cli"]
    play = [*command, "simulate", "--record", str(heart), "--link", str(link), "--speed", "8"]
    run = [*command, "run", "--port", str(link), "--record", str(kept)]
    with subprocess.Popen(play, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as device:
        assert device.stdout
        device.stdout.readline()
        with (
            out.open("w") as file,
            subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as killed,
        ):
            assert killed.stdout
            for _ in range(20):
                file.write(killed.stdout.readline())
            killed.kill()
        device.terminate()
    apart = ("session", "utc", "latency_ms")
    live = [{k: v for k, v in r.items() if k not in apart} for r in reports_in(out.read_text())]
    again = [{k: v for k, v in r.items() if k not in apart} for r in reports_in(leadwire("replay", kept).stdout)]
    assert len(again) >= 10, "what was on its way to the disk a second before is there"
    assert again[:20] == live[: len(again)][:20]
    held = wfdb.rdrecord(str(kept / "ecg"), physical=False).d_signal[:, 0]
    played = wfdb.rdrecord(str(heart), physical=False).d_signal[:, 0]
    assert len(held) > 360
    assert np.array_equal(held, played[: len(held)])


def test_a_replay_by_another_bundle_says_so(tmp_path: Path) -> None:
    (tmp_path / "session.json").write_text('{"version": 1, "source": "p", "board": "native", "bundle": "old@1234567"}')
    for name in ("events.jsonl", "bytes.bin"):
        (tmp_path / name).touch()
    done = leadwire("replay", tmp_path)
    assert done.returncode == 0
    assert "was recorded with old@1234567" in done.stderr


def test_a_stopped_run_ends_cleanly(heart: Path, tmp_path: Path) -> None:
    link = tmp_path / "port"
    command = [sys.executable, "-m", "edge_runtime.cli"]
    with subprocess.Popen(
        [*command, "simulate", "--record", str(heart), "--link", str(link)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as device:
        assert device.stdout
        device.stdout.readline()
        with subprocess.Popen(
            [*command, "run", "--port", str(link)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as run:
            assert run.stdout
            first = json.loads(run.stdout.readline())
            run.send_signal(signal.SIGTERM)
            _, said = run.communicate(timeout=20)
        device.send_signal(signal.SIGTERM)
        device.communicate(timeout=20)
    assert first["state"] == "warming_up"
    assert run.returncode == device.returncode == 0
    assert "Traceback" not in said


BAD: list[tuple[int, str, list[str]]] = [
    (3, "no such port; is the device plugged in", ["run", "--port", "/dev/none"]),
    (3, "no serial port", ["run", "--port", "/etc/hostname"]),
    (3, "no such port; is the device plugged in", ["doctor", "--port", "/dev/none"]),
    (2, "no board 'cray'; there are native", ["run", "--port", "/dev/none", "--board", "cray"]),
    (2, "no back end 'gpu'", ["run", "--port", "/dev/none", "--backend", "gpu"]),
    (2, "cannot be written", ["run", "--port", "/dev/none", "--out", "/none/x.jsonl"]),
    (2, "make it first", ["run", "--port", "/dev/none", "--picture", "/none/x.png"]),
    (4, "set LEADWIRE_DATA", ["analyse", "nothing/here"]),
    (4, "no WFDB header", ["analyse", "{prose}"]),
    (4, "no lead 'aVR'; it has II, V1", ["analyse", "{heart}", "--lead", "aVR"]),
    (
        2,
        "need windows that overlap; 9 at most",
        ["analyse", "{heart}", "{heart}", "--fiducials", "--hop", "10"],
    ),
    (2, "would both be heart.lw", ["analyse", "{heart}", "{heart}.hea", "--annotations", "{heart}-lw"]),
    (2, "--annotations /dev/null/x: cannot be written", ["analyse", "{heart}", "--annotations", "/dev/null/x"]),
    (5, "its hash is not the one", ["analyse", "{heart}", "--bundle", "{changed}"]),
    (5, "a bundle is a folder with model.json", ["inspect", "/none"]),
    (2, "write drop=SHARE", ["simulate", "--record", "{heart}", "--fault", "drop=many"]),
    (2, "the record is 34 s long", ["simulate", "--record", "{heart}", "--start", "90"]),
    (2, "cannot be made", ["simulate", "--record", "{heart}", "--link", "/none/x"]),
    (2, "ends in .png", ["run", "--port", "/dev/none", "--picture", "{prose}.jpg"]),
    (2, "it is there already and no link", ["simulate", "--record", "{heart}", "--link", "{prose}.hea"]),
    (4, "no recorded session", ["replay", "{prose}"]),
    (2, "cannot be read", ["run", "--config", "/none/ward.toml"]),
    (2, "no TOML", ["run", "--config", "{prose}.hea"]),
    (2, "unknown key 'device.bord'; known are port, board, name, lead", ["run", "--config", "{ward}"]),
    (2, "--board stands in the config", ["run", "--config", "{ward}", "--board", "native"]),
]


@pytest.mark.parametrize(("code", "message", "arguments"), BAD, ids=[f"{a[0]}: {m}" for _, m, a in BAD])
def test_bad_input_is_one_line_and_a_documented_code(
    code: int, message: str, arguments: list[str], heart: Path, tmp_path: Path
) -> None:
    import shutil

    from edge_runtime.bundle import DEFAULT

    changed = tmp_path / "changed"
    shutil.copytree(DEFAULT, changed)
    (changed / "model.tflite").write_bytes((changed / "model.tflite").read_bytes() + b"x")
    (tmp_path / "prose.hea").write_text("It was a dark and stormy night\n")
    (tmp_path / "ward.toml").write_text('[[device]]\nport = "/dev/none"\nbord = "native"\n')
    ward = str(tmp_path / "ward.toml")
    places = {"heart": str(heart), "changed": str(changed), "prose": str(tmp_path / "prose"), "ward": ward}
    done = leadwire(*(a.format(**places) for a in arguments), LEADWIRE_DATA=str(tmp_path))
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["analyse", "x", "--hop", "1e-9"], ["simulate", "--record", "x", "--start", "nan"]]
)
def test_a_number_out_of_range_is_refused_by_name(arguments: list[str]) -> None:
    done = leadwire(*arguments)
    assert done.returncode == 2
    assert "is not between" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_missing_leaves_no_record_folder_behind(tmp_path: Path) -> None:
    assert leadwire("run", "--port", "/dev/none", "--record", tmp_path / "r").returncode == 3
    assert not (tmp_path / "r").exists()


def test_a_reader_that_has_had_enough_ends_the_run(heart: Path, tmp_path: Path) -> None:
    link = tmp_path / "port"
    simulate = [sys.executable, "-m", "edge_runtime.cli", "simulate", "--record", str(heart), "--speed", "8"]
    with subprocess.Popen(
        [*simulate, "--link", str(link)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as device:
        assert device.stdout
        device.stdout.readline()
        piped = f"{sys.executable} -m edge_runtime.cli run --port {link} | head -1"
        done = subprocess.run(piped, shell=True, capture_output=True, text=True, timeout=60, check=False)
        device.terminate()
    assert len(reports_in(done.stdout)) == 1
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody without permission")
@pytest.mark.parametrize("group", ["dialout", "plugdev"])
def test_a_port_without_permission_names_its_group(group: str) -> None:
    """As nobody, on a pty that only root and its group may open."""
    code = (
        "import os\nos.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "from firmware_bridge.link import Link, PortError\nfrom firmware_bridge.boards import BOARDS\n"
        "try:\n    Link(PORT, BOARDS['native']).open()\nexcept PortError as e:\n    print(e, e.exit_code)\n"
    )
    import firmware_bridge.link  # noqa: F401  compiled before privileges are dropped

    master, slave = os.openpty()
    os.fchown(slave, 0, grp.getgrnam(group).gr_gid)
    os.fchmod(slave, 0o660)
    program = (
        f"PORT = {os.ttyname(slave)!r}\nimport serial, numpy, firmware_bridge.link, firmware_bridge.boards\n{code}"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    os.close(master)
    os.close(slave)
    assert f"no permission; join the group that owns it: sudo usermod -aG {group} $USER" in done.stdout, done.stderr
    assert done.stdout.strip().endswith("3")


def test_a_udev_rule_is_printed_and_nothing_else() -> None:
    done = leadwire("doctor", "--udev")
    assert done.returncode == 0
    assert 'GROUP:="dialout"' in done.stdout
    assert done.stderr == ""


def test_boards_and_inspect_say_what_there_is() -> None:
    assert "native" in leadwire("boards").stdout
    said = leadwire("inspect").stdout
    assert "not a medical device" in said
    assert "sha256" in said


def test_help_is_instant_and_needs_nothing_heavy() -> None:
    code = (
        "import sys; from edge_runtime.cli import _parser; _parser().format_help();"
        "print(sorted({'numpy', 'serial'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
