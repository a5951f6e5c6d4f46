from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_runtime.bundle import DEFAULT, MANIFEST, ONNX, TFLITE, Bundle, load_bundle
from edge_runtime.errors import BundleError


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(DEFAULT, tmp_path / "b")
    return tmp_path / "b"


def change(folder: Path, edit: Callable[[dict], None]) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    edit(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


def test_the_default_bundle_is_whole_and_names_its_making(bundle: Bundle) -> None:
    m = bundle.manifest
    assert set(bundle.files) == {TFLITE, ONNX}
    assert m["allowed"] == [], "the shipped bundle passed every gate"
    commits = m["provenance"]["trained_at_commits"]
    assert set(commits) == {"pretrain", "regress", "transfer"}
    assert not any(c in ("", "unknown") or c.endswith("+") for c in commits.values()), "made by code that was committed"
    assert m["provenance"]["config"]["name"] == "default"
    assert m["provenance"]["parameters"] <= 100_000
    assert bundle.model.max_bridged_ms >= 24
    assert "not a medical device" in m["card"]


def test_what_goes_on_the_device_is_small(bundle: Bundle) -> None:
    assert len(bundle.files[TFLITE]) <= 150_000


@pytest.mark.parametrize("name", [TFLITE, ONNX])
def test_a_wrong_hash_is_refused_and_named(copied: Path, name: str) -> None:
    content = bytearray((copied / name).read_bytes())
    content[1000] ^= 1
    (copied / name).write_bytes(bytes(content))
    with pytest.raises(BundleError, match=f"{name}: its hash"):
        load_bundle(copied)


EDITS: dict[str, Callable[[dict], object]] = {
    "bundle format 99": lambda m: m.update(format=99),
    "2400 samples are not 10 s": lambda m: m["input"].update(samples=2400),
    "not the conditioning's": lambda m: m["conditioning"].update(sampling_rate_hz=200.0),
    "rhythm head of": lambda m: m["heads"]["rhythm"].update(classes=["a", "b"]),
    "mask steps": lambda m: m["heads"]["masks"].update(sampling_rate_hz=250),
    "a number that is none": lambda m: m["quality"].update(bias=float("nan")),
    "quality weights": lambda m: m["quality"].update(weights=[1.0]),
    "range weights for other": lambda m: m["targets"]["pr_ms"].update(weights=[1.0]),
    "without a scale": lambda m: m["targets"]["pr_ms"].update(scale=0),
    "record's rhythm among 3 classes": lambda m: m["record_rhythm"].update(weights=m["record_rhythm"]["weights"][:3]),
    "record rhythm weights": lambda m: m["record_rhythm"]["weights"][0].pop(),
    "findings NORM, MI": lambda m: m["findings"].pop("HYP"),
    "spread head of shape": lambda m: m["heads"]["spread"].update(shape=[3]),
    "outside of": lambda m: m["targets"]["hr_bpm"].update(range=[5, 9]),
    "'p_wave'": lambda m: m["heads"].pop("p_wave"),
    "no list of what was allowed": lambda m: m.update(allowed=0),
    "masks of": lambda m: m["heads"]["masks"].update(waves=["P", "T", "QRS"]),
    "no range for qt_ms": lambda m: m["targets"].pop("qt_ms"),
    "KeyError": lambda m: m.pop("thresholds"),
    "TypeError": lambda m: m["conditioning"].update(unknown=1),
    "names neither": lambda m: m.update(files={}),
    "not a file that a bundle holds": lambda m: m["files"].update({"../../x": {"sha256": "0" * 64}}),
}


@pytest.mark.parametrize("message", EDITS)
def test_a_manifest_that_does_not_fit_is_refused_in_one_line(copied: Path, message: str) -> None:
    change(copied, lambda m: EDITS[message](m) and None)
    with pytest.raises(BundleError, match=message) as caught:
        load_bundle(copied)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"format": 1}', "[" * 100_000])
def test_what_is_no_manifest_is_refused(copied: Path, text: str) -> None:
    (copied / MANIFEST).write_text(text)
    with pytest.raises(BundleError):
        load_bundle(copied)


def test_a_head_of_another_shape_is_refused(copied: Path) -> None:
    change(copied, lambda m: m["heads"]["p_wave"].update(shape=[2]))
    with pytest.raises(BundleError, match="p_wave"):
        load_bundle(copied)


def test_the_id_changes_with_whatever_decides_what_is_stated(copied: Path) -> None:
    before = load_bundle(copied).model.id
    change(copied, lambda m: m["targets"]["qt_ms"].update(blend=0.123))
    blended = load_bundle(copied).model.id
    change(copied, lambda m: m["thresholds"].update(quality=0.111))
    assert len({before, blended, load_bundle(copied).model.id}) == 3
    change(copied, lambda m: m.update(card="another"))
    assert load_bundle(copied).model.id != before
