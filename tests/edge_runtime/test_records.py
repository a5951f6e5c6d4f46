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
    "a gain that is none": "x 1 250 100\nx.dat 16 1000(0.5)/mV 12 0 0 0 0 I\n",
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


@pytest.mark.parametrize("ending", ["", ".hea", ".dat"])
def test_a_record_may_be_named_by_any_of_its_files(tmp_path: Path, ending: str) -> None:
    path = header(tmp_path, "x 1 250 100\nx.dat 16 200 12 0 0 0 0 I\n")
    assert len(find_record(f"{path}{ending}").lead().counts) == 100


def test_a_pressure_beside_an_ecg_is_left_out(tmp_path: Path) -> None:
    two = "x 2 250 100\nx.dat 16 200/mmHg 12 0 0 0 0 ABP\nx.dat 16 200/mV 12 0 0 0 0 II\n"
    assert [lead.name for lead in read_record(header(tmp_path, two)).leads] == ["II"]


def test_a_clock_a_little_off_keeps_its_rate_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\ufefftime_s,I\n" + "".join(f"{i / 249.96:.6f},0\n" for i in range(20_000)), "utf-8")
    record = read_record(path)
    assert record.sampling_rate_hz == pytest.approx(249.96, rel=1e-5)
    assert len(record.lead().counts) == 20_000
    assert not record.lead().missing.any()


@pytest.mark.parametrize("offset", [0.0, 300.0, 1e5, 1e9])
def test_a_huge_offset_keeps_the_signal_and_an_infinite_cell_is_a_gap(tmp_path: Path, offset: float) -> None:
    path, x = tmp_path / "a.csv", np.sin(np.arange(500) / 20)
    cells = [f"{offset + v:.4f}" for v in x]
    cells[9] = "inf"
    path.write_text("time_s,I\n" + "".join(f"{i / 250},{cell}\n" for i, cell in enumerate(cells)))
    mv = read_record(path).lead().millivolts
    assert np.isnan(mv[9])
    assert np.nanmax(np.abs(mv - offset - x)) < 2e-4


@pytest.mark.parametrize("name", ["a" * 5000, "mitdb/2 34", "mitdb/é", "mitdb/\0", "mitdb/../x"])
def test_a_name_that_no_record_has_is_one_line(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LEADWIRE_DATA", str(tmp_path))
    with pytest.raises(RecordError, match="no record"):
        find_record(name)


def test_a_record_is_fetched_whole_and_only_with_its_published_hash(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A fake PhysioNet: what it serves is kept in the cache once its hashes are right."""
    import hashlib

    from edge_runtime import library

    head, data = b"234 1 360 4\n234.dat 16 200 12 0 0 0 0 MLII\n", b"\1\0\2\0\3\0\4\0"
    sums = "".join(f"{hashlib.sha256(c).hexdigest()} {n}\n" for n, c in (("234.hea", head), ("234.dat", data)))
    served = {"234.hea": head, "234.dat": b"changed!", "SHA256SUMS.txt": sums.encode()}
    asked: list[str] = []

    def get(url: str) -> bytes:
        asked.append(url)
        return served[url.rpartition("/")[2]]

    monkeypatch.setattr(library, "_get", get)
    monkeypatch.setenv("LEADWIRE_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with pytest.raises(RecordError, match="its hash is not the published one"):
        find_record("mitdb/234")
    assert not list(tmp_path.rglob("*.dat"))
    served["234.dat"] = data
    assert find_record("mitdb/234").lead().counts.tolist() == [1, 2, 3, 4]
    count = len(asked)
    find_record("mitdb/234")
    assert len(asked) == count, "the second time it is in the cache"


def test_a_record_that_is_nowhere_says_where_it_was_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LEADWIRE_DATA", str(tmp_path))
    with pytest.raises(RecordError, match=f"{tmp_path}.*set LEADWIRE_DATA"):
        find_record("nodb/1")
    with pytest.raises(RecordError, match="no record"):
        find_record("../../etc/passwd")
