"""Reports as lines: JSON and CSV. Each whole or not at all, whatever becomes of the disk or the program."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.columns import COLUMNS, report_of, row_of
from edge_runtime.errors import UsageError
from edge_runtime.report import Report
from edge_runtime.sinks.csv import Csv
from edge_runtime.sinks.jsonl import JsonLines
from tests.edge_runtime.reports import absence, any_report, report


@given(any_report())
def test_a_row_of_columns_is_the_report_again(given_: Report) -> None:
    row = row_of(given_.to_dict())
    assert tuple(row) == COLUMNS
    assert report_of(row) == given_.to_dict()


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_table_has_one_header_and_a_line_a_report(tmp_path: Path) -> None:
    path = tmp_path / "reports.csv"
    for i in range(3):  # it is appended to
        sink = Csv.open(path)
        sink.write(report(i, 71.5))
        sink.close()
    sink = Csv.open(path)
    sink.write(absence(3, "lead_off"))
    sink.close()
    lines = path.read_text().splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("schema,source,session,sequence,utc,")
    *good, bad = rows(path)
    assert [row["sequence"] for row in good] == ["0", "1", "2"]
    assert (good[0]["hr_bpm"], good[0]["hr_bpm_low"], good[0]["hr_bpm_why"]) == ("71.5", "70.5", "")
    assert (bad["state"], bad["hr_bpm"], bad["hr_bpm_why"], bad["rhythm"]) == ("lead_off", "", "lead_off", "")


@given(st.text(max_size=30) | st.sampled_from(["=1+1", "@SUM(A1)", "a\nb", "a\r\nb", '",', "\udcff"]))
def test_whatever_a_lead_is_called_a_report_is_one_line_and_no_formula(lead: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reports.csv"
        sink = Csv.open(path)
        sink.write(report(0, lead=lead))
        sink.write(report(1, lead=lead))
        sink.close()
        assert path.read_bytes().count(b"\n") == 3
        first, second = rows(path)
    assert first["lead"] == second["lead"]
    assert first["lead"][:1] not in ("=", "+", "-", "@") or not lead


def test_a_table_of_other_columns_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "reports.csv"
    path.write_text("time_s,II\n0.0,0.1\n")
    with pytest.raises(UsageError, match="other columns"):
        Csv.open(path)
    assert path.read_text() == "time_s,II\n0.0,0.1\n"
    with pytest.raises(UsageError, match="cannot be written"):
        Csv.open(tmp_path)


def test_a_line_that_a_kill_cut_short_costs_no_other(tmp_path: Path) -> None:
    table, lines = tmp_path / "reports.csv", tmp_path / "reports.jsonl"
    for again in range(2):
        for sink in (Csv.open(table), JsonLines.open(str(lines))):
            for i in range(3):
                sink.write(report(3 * again + i))
            sink.close()
        for path in (table, lines):
            whole = path.read_bytes()
            path.write_bytes(whole[:-40])
    assert [row["sequence"] for row in rows(table)] == ["0", "1", "2", "3", "4", "5"]
    assert len(rows(table)[2]) == len(rows(table)[0]), "the half of the one that was cut"
    whole = [json.loads(line) for line in lines.read_text().splitlines() if line.endswith("}")]
    assert [one["sequence"] for one in whole] == [0, 1, 3, 4]


_UNDER_A_LIMIT = """
import resource, sys
from pathlib import Path
from edge_runtime.sinks import backlog
from edge_runtime.sinks.csv import Csv
from edge_runtime.sinks.jsonl import JsonLines
from tests.edge_runtime.reports import report
backlog._AGAIN_S = 0.0
sink = (Csv.open if sys.argv[1].endswith("csv") else lambda p, t: JsonLines.open(str(p), t))(Path(sys.argv[1]), print)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
for i in range(60):
    if i in (20, 40):
        resource.setrlimit(resource.RLIMIT_FSIZE, (Path(sys.argv[1]).stat().st_size + 100 if i == 20 else hard, hard))
    sink.write(report(i))
sink.close()
print(sink.lost)
"""


@pytest.mark.parametrize("name", ["reports.csv", "reports.jsonl"])
def test_a_disk_that_is_full_for_a_while_costs_nothing(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    done = subprocess.run([sys.executable, "-c", _UNDER_A_LIMIT, str(path)], capture_output=True, text=True, check=True)
    trouble, back, lost = done.stdout.splitlines()
    assert "cannot be written" in trouble
    assert "0 lost" in back
    assert lost == "0"
    if name.endswith("csv"):
        assert [int(row["sequence"]) for row in rows(path)] == list(range(60))
    else:
        assert [json.loads(line)["sequence"] for line in path.read_text().splitlines()] == list(range(60))


def test_whoever_stops_reading_a_pipe_ends_the_run(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    sink = JsonLines.open(str(tmp_path / "pipe"))
    sink.write(report(0))
    assert json.loads(os.read(reader, 65536))["sequence"] == 0
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        sink.write(report(1))
