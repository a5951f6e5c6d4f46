from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import wfdb
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.annotations import Annotation, annotations_of, make_folder, to_mit, write_annotations
from edge_runtime.delineation import QRS, P, T
from edge_runtime.errors import UsageError
from edge_runtime.fiducials import Fiducials
from tests.conftest import need
from train.datasets.annotations import read_waves


def read_back(folder: Path, content: bytes) -> wfdb.Annotation:
    (folder / "r.lw").write_bytes(content)
    return wfdb.rdann(str(folder / "r"), "lw")


SYMBOLS = st.tuples(st.sampled_from(["(", ")", "p", "N", "t"]), st.integers(0, 2))
STEPS = st.one_of(st.integers(0, 3), st.integers(0, 1100), st.sampled_from([1022, 1023, 1024, 65535, 65536, 2**31 - 9]))


@given(st.lists(st.tuples(STEPS, SYMBOLS), min_size=1, max_size=40), st.sampled_from([100.0, 250.0, 360.0, 190.3]))
def test_what_is_written_the_wfdb_package_reads(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, tuple[str, int]]], rate: float
) -> None:
    """Gaps of any length, any number of annotations at one sample, and a first one at sample 0."""
    samples = np.cumsum([step for step, _ in rows])
    given_rows = [Annotation(int(s), symbol, num) for s, (_, (symbol, num)) in zip(samples, rows, strict=True)]
    back = read_back(tmp_path_factory.mktemp("a"), to_mit(given_rows, rate))
    assert back.fs == rate
    assert [Annotation(int(s), y, int(n)) for s, y, n in zip(back.sample, back.symbol, back.num, strict=True)] == (
        given_rows
    )


def test_bytes_by_hand() -> None:
    """The format's own words: `10 bits of time, 6 of type`; SKIP and a long whose high half comes first; NUM behind."""
    rows = [Annotation(5, "("), Annotation(5 + 0x12345, "N", 1)]
    note = b"\x00\x58" + b"\x17\xfc## time resolution: 250\x00"
    assert to_mit(rows, 250.0) == note + b"\x05\x9c" + b"\x00\xec\x01\x00\x45\x23" + b"\x00\x04\x01\xf0" + b"\0\0"


def test_annotations_do_not_go_back_in_time() -> None:
    for rows in ([Annotation(9, "("), Annotation(8, ")")], [Annotation(-1, "(")]):
        with pytest.raises(ValueError, match="back in time"):
            to_mit(rows, 250.0)


def test_a_record_without_waves_has_a_file_without_annotations(tmp_path: Path) -> None:
    path = write_annotations(tmp_path, "r", [], 250.0)
    assert list(wfdb.rdann(str(path.with_suffix("")), "lw").sample) == []


WAVE = st.tuples(st.sampled_from([P, QRS, T]), st.floats(0, 30), st.floats(0.02, 0.4), st.floats(0.01, 0.99))


@given(st.lists(WAVE, min_size=1, max_size=40), st.sampled_from([100.0, 250.0, 500.0]))
def test_brackets_never_nest_and_no_peak_is_moved(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, float, float, float]], rate: float
) -> None:
    """However waves overlap: each is `(`, its peak, `)`, in time, and a reader of annotations by hand gets it whole."""
    waves = [Fiducials(kind, on, on + share * width, on + width, 0.9) for kind, on, width, share in rows]
    written = annotations_of(waves, rate)
    assert "".join(a.symbol for a in written).replace("N", "p").replace("t", "p") == "(p)" * len(waves)
    assert sorted(a.sample for a in written[1::3]) == sorted(round(w.peak_s * rate) for w in waves)
    folder = tmp_path_factory.mktemp("a")
    read_back(folder, to_mit(written, rate))
    back = read_waves(folder / "r", "lw", rate)
    assert [(w.kind, w.peak_s) for w in back] == [
        (w.kind, round(w.peak_s * rate) / rate) for w in sorted(waves, key=lambda w: w.peak_s)
    ]
    assert all(w.onset_s is not None and w.offset_s is not None for w in back)


def test_waves_apart_keep_their_ends_and_waves_that_share_are_cut_in_the_middle() -> None:
    t, p = Fiducials(T, 1.0, 1.1, 1.3, 0.9), Fiducials(P, 1.26, 1.32, 1.36, 0.9)
    qrs = Fiducials(QRS, 1.4, 1.45, 1.5, 0.9)
    rows = [(a.sample, a.symbol, a.num) for a in annotations_of([t, p, qrs], 1000.0)]
    assert rows == [
        (1000, "(", 2), (1100, "t", 0), (1280, ")", 2), (1280, "(", 0), (1320, "p", 0), (1360, ")", 0),
        (1400, "(", 1), (1450, "N", 0), (1500, ")", 1),
    ]  # fmt: skip


def test_the_qt_databases_own_annotator_is_written_as_it_was_read(tmp_path: Path) -> None:
    own = wfdb.rdann(str(need("qtdb") / "sel100"), "pu0")
    rows = [Annotation(int(s), y, int(n)) for s, y, n in zip(own.sample, own.symbol, own.num, strict=True)]
    back = read_back(tmp_path, to_mit(rows, 250.0))
    assert (back.sample == own.sample).all()
    assert (back.symbol, back.num.tolist()) == (own.symbol, own.num.tolist())


def test_two_records_of_one_name_are_refused_before_one_is_lost(tmp_path: Path) -> None:
    make_folder(tmp_path / "new" / "one", ["mitdb/100", "mitdb/101", "x.csv", "y.dat", "v1.5"])
    assert (tmp_path / "new" / "one").is_dir()
    for same in (["mitdb/100", "other/100"], ["x.csv", "x.hea"], ["a/x.CSV", "x"], ["x", "x"]):
        with pytest.raises(UsageError, match=r"would both be .*\.lw; analyse them one by one"):
            make_folder(tmp_path, same)


def test_a_folder_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="choose another folder"):
        make_folder(tmp_path / "file", ["x"])
    with pytest.raises(UsageError, match="choose another folder"):
        write_annotations(tmp_path / "file", "x", [], 250.0)
