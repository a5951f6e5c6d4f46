from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import wfdb

from edge_runtime.errors import RecordError
from edge_runtime.library import find_record
from edge_runtime.records import read_record
from tests.conftest import need


def header(folder: Path, text: str, content: bytes = b"\0" * 4000) -> Path:
    (folder / "x.hea").write_text(text)
    (folder / "x.dat").write_bytes(content)
    return folder / "x"


@pytest.mark.parametrize("fmt", ["16", "212"])
@pytest.mark.parametrize(("unit", "per_mv"), [("mV", 1), ("uV", 1e3), ("V", 1e-3), ("nV", 1e6)])
def test_what_wfdb_writes_is_read_alike(
    tmp_path: Path, fmt: str, unit: str, per_mv: float, rng: np.random.Generator
) -> None:
    mv = np.cumsum(rng.normal(0, 0.02, (999, 3)), axis=0).clip(-4, 4)
    mv[100:103, 1] = np.nan
    gain = [200 / per_mv] * 3
    wfdb.wrsamp(
        "r",
        360,
        [unit] * 3,
        ["MLII", "V1", "lead x"],
        mv * per_mv,
        fmt=[fmt] * 3,
        adc_gain=gain,
        baseline=[0, 10, -20],
        write_dir=str(tmp_path),
    )
    record, judge = read_record(tmp_path / "r"), wfdb.rdrecord(str(tmp_path / "r"))
    assert record.sampling_rate_hz == 360
    assert [lead.name for lead in record.leads] == judge.sig_name
    for i, lead in enumerate(record.leads):
        assert np.allclose(lead.millivolts, judge.p_signal[:, i] / per_mv, equal_nan=True)


@pytest.mark.parametrize("name", ["mitdb/234", "qtdb/sel100", "ludb/data/3", "ptbxl", "cinc2017", "nstdb/em"])
def test_real_records_are_read_as_the_wfdb_package_reads_them(name: str) -> None:
    folder = need(name.split("/")[0])
    path = folder.parent / name if "/" in name else sorted(folder.rglob("*.hea"))[5].with_suffix("")
    record, judge = read_record(path), wfdb.rdrecord(str(path))
    assert record.sampling_rate_hz == judge.fs
    for i, lead in enumerate(record.leads):
        assert np.allclose(lead.millivolts, judge.p_signal[:, i], equal_nan=True), lead.name


def test_a_format_of_the_packages_is_read_by_it(tmp_path: Path, rng: np.random.Generator) -> None:
    mv = rng.normal(0, 0.3, (500, 1))
    wfdb.wrsamp("r", 250, ["mV"], ["I"], mv, fmt=["24"], adc_gain=[10000.0], baseline=[0], write_dir=str(tmp_path))
    assert np.allclose(read_record(tmp_path / "r").lead().millivolts, mv[:, 0], atol=1e-4)


def test_csv_with_a_gap_and_an_empty_cell(tmp_path: Path) -> None:
    rows = [f"{i / 250:.3f},{i * 0.01:.2f},{'' if i == 7 else 1}" for i in range(500) if not 100 <= i < 110]
    path = tmp_path / "a.csv"
    path.write_text("time_s,I,II\n" + "\n".join(rows) + "\n")
    record = read_record(path)
    assert record.sampling_rate_hz == 250
    one, two = (record.lead(n).millivolts for n in ("i", "II"))
    assert len(one) == 500
    assert np.isnan(one[100:110]).all()
    assert np.isfinite(np.delete(one, range(100, 110))).all()
    assert np.isnan(two[7])
    assert one[3] == pytest.approx(0.03)


def test_a_rate_that_is_no_whole_number_stays_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("time_s,I\n" + "".join(f"{i / 190.3:.6f},0\n" for i in range(2000)))
    assert read_record(path).sampling_rate_hz == pytest.approx(190.3, rel=1e-6)


BAD_CSV = {
    "no header": "1,2\n3,4\n",
    "one column": "time_s\n1\n2\n",
    "text": "time_s,I\n0,a\n0.004,b\n",
    "ragged": "time_s,I\n0,1\n0.004\n",
    "backwards": "time_s,I\n0,1\n0.004,1\n0.002,1\n",
    "slow": "time_s,I\n" + "".join(f"{i},1\n" for i in range(20)),
    "one row": "time_s,I\n0,1\n",
    "irregular": "time_s,I\n" + "".join(f"{i * i * 0.001},1\n" for i in range(200)),
    "empty": "",
}


@pytest.mark.parametrize("kind", BAD_CSV)
def test_a_csv_that_is_none_is_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(BAD_CSV[kind])
    with pytest.raises(RecordError) as caught:
        read_record(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


BAD_HEADERS = {
    "empty": "",
    "prose": "hello",
    "words": "hello big world of text",
    "missing signals": "x 2 250 100\nx.dat 16 200 12 0 0 0 0 I\n",
    "no voltage": "x 1 250 100\nx.dat 16 200/mmHg 12 0 0 0 0 ABP\n",
    "too slow": "x 1 50 100\nx.dat 16 200 12 0 0 0 0 I\n",
    "too fast": "x 1 5000 100\nx.dat 16 200 12 0 0 0 0 I\n",
    "longer than its file": "x 1 250 90000\nx.dat 16 200 12 0 0 0 0 I\n",
    "outside": "x 1 250 100\n../x.dat 16 200 12 0 0 0 0 I\n",
    "no file": "x 1 250 100\ny.dat 16 200 12 0 0 0 0 I\n",
    "unknown format": "x 1 250 100\nx.dat 9999 200 12 0 0 0 0 I\n",
    "huge": "x 1 250 99999999999999999999\nx.dat 16 200 12 0 0 0 0 I\n",
}


@pytest.mark.parametrize("kind", BAD_HEADERS)
def test_a_header_that_is_none_is_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    with pytest.raises(RecordError) as caught:
        read_record(header(tmp_path, BAD_HEADERS[kind]))
    assert "\n" not in str(caught.value)


def test_a_lead_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    record = read_record(header(tmp_path, "x 2 250 100\nx.dat 16 200 12 0 0 0 0 I\nx.dat 16 200 12 0 0 0 0 V5\n"))
    assert record.lead().name == "I"
    assert record.lead("v5").name == "V5"
    with pytest.raises(RecordError, match="it has I, V5"):
        record.lead("aVR")


def test_a_record_that_is_nowhere_says_where_it_was_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LEADWIRE_DATA", str(tmp_path))
    with pytest.raises(RecordError, match=f"{tmp_path}.*set LEADWIRE_DATA"):
        find_record("nodb/1")
    with pytest.raises(RecordError, match="no record"):
        find_record("../../etc/passwd")
