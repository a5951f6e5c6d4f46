"""`python -m benchmarks arm`: the wheel on the Raspberry Pi's cores, emulated: the same answers, and what they cost.

The checkout's wheel is installed from aarch64 wheels alone and run on a Cortex-A53, A72 and A76; the same wheel on
this machine is what it is held to. Instructions are counted, and are no cycles: how many of them a core finishes in a
cycle is not known here.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.arm64 import CORES, Userland, build_wheel, call, need, size_bytes, versions_in
from benchmarks.instructions import OWNERS, Plugin
from benchmarks.on_core import CONDITIONING, NET, NOTHING, QUALITY, REPORT
from edge_runtime.bundle import ONNX, Bundle, load_bundle
from edge_runtime.conditioning import compand, condition
from edge_runtime.errors import RecordError
from edge_runtime.library import cache_folder, find_record
from train.datasets import ludb
from train.run import Run, commit

BACKENDS = {"ai-edge-litert": "tflite", "onnxruntime": "onnx"}  # and the extra that installs it
HERE, HASWELL = "x86-64", "haswell"  # the latter has no VNNI: u8 x s8 products may saturate in pairs
DEFAULT_BACKEND = "ai-edge-litert"
POST = "waves to report"
INSTALLED_ON = "cortex-a72"  # where what a device would install is asked
COUNTED = 20  # windows whose reports are counted
COLD_STARTS = 15
# Of JSON's last digit: a value that lies on the edge between two may fall on either side.
_STEPS = {"_s": 0.001, "probability": 0.001, "confidence": 0.001, "quality": 0.001}
_STEP = 0.1
_NAMED = ("numpy", *BACKENDS)  # of the versions
ON_CORE = Path(__file__).with_name("on_core.py")

Heads = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Place:
    """What runs a program: this machine, or a core that is emulated on it. command: up to Python's own arguments."""

    name: str
    arm: bool
    command: Callable[[Sequence[str]], list[str]]


@dataclass(frozen=True)
class Install:
    """What is typed on a device: an extra, and what is asked for beside it."""

    extra: str
    backend: str
    more: tuple[str, ...] = ()

    @property
    def typed(self) -> str:
        return " ".join([f"leadwire[{self.extra}]", *self.more])


INSTALLS = (
    Install("tflite", "ai-edge-litert"),
    Install("tflite", "ai-edge-litert", ("ai-edge-litert==1.2.*",)),
    Install("tflite-legacy", "tflite-runtime"),
    Install("onnx", "onnxruntime"),
)


def places(userland: Userland) -> list[Place]:
    """This machine first."""
    here = str(Path(sys.executable).resolve())  # not the environment's link, which brings its packages

    def on(core: str) -> Callable[[Sequence[str]], list[str]]:
        return lambda plugin: userland.command(core, *plugin)

    return [
        Place(HERE, False, lambda plugin: [here]),
        Place(HASWELL, False, lambda plugin: [need("qemu-x86_64", "qemu-user"), "-cpu", "Haswell", here]),
        *(Place(core, True, on(core)) for core in CORES),
    ]


def measure(run: Run, results: Path, root: Path, records: int) -> dict[str, Any]:
    """Write `arm.json`. root: the folder of `Userland`, made where it is not; records: how many of LUDB's, in order.

    Raises UsageError for a program that is missing, RecordError where LUDB cannot be had.
    """
    names = [f"ludb/data/{name}" for name in ludb.records(cache_folder() / "ludb")[:records]]
    if not names:
        raise RecordError(f"needs LUDB's records under {cache_folder()}; put them there or set LEADWIRE_DATA")
    bundle, userland = load_bundle(), Userland(root)
    wheel = build_wheel(userland.folder / "wheel")
    userland.build()
    sites = {(extra, arm): userland.install(wheel, extra, arm) for extra in BACKENDS.values() for arm in (True, False)}
    heads: dict[str, dict[str, Heads]] = {b: {} for b in BACKENDS}
    reports: dict[str, dict[str, list[dict[str, Any]]]] = {b: {} for b in BACKENDS}
    spent: dict[str, dict[str, dict[str, Counter[str]]]] = {b: {} for b in BACKENDS}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _write_windows(names, folder, bundle)
        plugin = Plugin(folder)
        for place, backend in tqdm([(p, b) for b in BACKENDS for p in places(userland)], desc="cores"):
            site = sites[BACKENDS[backend], place.arm]
            environment = _environment(userland, place, site)
            heads[backend][place.name], counted = ask(place, environment, folder, backend, plugin)
            if place.arm:
                spent[backend][place.name] = counted
            words = ["analyse", *names, "--backend", backend, "--findings", "--fiducials"]
            said = call([*place.command(()), site / "bin/leadwire", *words], environment)
            reports[backend][place.name] = [json.loads(line) for line in said.splitlines()]
        core = next(place for place in places(userland) if place.name == INSTALLED_ON)
        installs = []
        for install in tqdm(INSTALLS, desc="installs"):
            site = userland.install(wheel, install.extra, arm=True, newest=True, more=install.more)
            found, counted = ask(core, _environment(userland, core, site), folder, install.backend, plugin)
            like = install.backend if install.backend in heads else DEFAULT_BACKEND
            installs.append(
                weighed(install, userland, site, apart({HERE: heads[like][HERE], core.name: found}), counted)
            )
    site = sites[BACKENDS[DEFAULT_BACKEND], False]
    out: dict[str, Any] = {
        "what": "the wheel on emulated cores, held to the same wheel on x86-64; LUDB's leads I and II",
        "measured_at_commit": commit(),
        "bundle": bundle.model.id,
        "versions": {
            **{n: v for e in BACKENDS.values() for n, v in versions_in(sites[e, True]).items() if n in _NAMED},
            "qemu": call([need("qemu-aarch64", "qemu-user"), "--version"]).split()[2],
        },
        "macs": macs_of(bundle),
        "outputs": {b: {"sha256": digest(h[HERE]), "places": apart(h)} for b, h in heads.items()},
        "reports": {b: {p: compare(r[HERE], r[p]) for p in r if p != HERE} for b, r in reports.items()},
        "instructions": spent,
        "installs": installs,
        "cold_start": cold_start(
            [*places(userland)[0].command(()), str(site / "bin/leadwire"), "analyse", names[0]],
            _environment(userland, places(userland)[0], site),
        ),
    }
    out["limits"] = limits(out)
    results.mkdir(parents=True, exist_ok=True)
    (results / "arm.json").write_text(json.dumps(out, indent=1) + "\n")
    return out


def ask(
    place: Place, environment: dict[str, str], folder: Path, backend: str, plugin: Plugin
) -> tuple[Heads, dict[str, Counter[str]]]:
    """The heads of the windows in `folder`, and on an emulated Arm core instructions by stage."""
    call([*place.command(plugin.arguments if place.arm else ()), ON_CORE, folder, backend], environment)
    with np.load(folder / "heads.npz", allow_pickle=False) as file:
        heads = {name: file[name] for name in file.files}
    loops = json.loads((folder / "loops.json").read_text())
    return heads, stages(loops, plugin.between()) if place.arm else {}


def weighed(
    install: Install, userland: Userland, site: Path, answers: dict[str, Any], counted: dict[str, Counter[str]]
) -> dict[str, Any]:
    """A row of the installs. answers: of `apart`, on the one core that was asked."""
    (said,) = answers.values()
    plain = size_bytes(site, byte_code=False)
    return {
        "typed": install.typed,
        "versions": {name: version for name, version in versions_in(site).items() if name != "leadwire"},
        "bytes": {
            "whole": size_bytes(site),
            "without_byte_code": plain,
            "with_byte_code_that_runs": plain + userland.compiled_bytes(site),
        },
        "core": INSTALLED_ON,
        "windows": said["windows"],
        "windows_apart": said["windows_apart"],
        "most": said["most"],
        "net": sum(counted[NET].values()),
        "report": sum(counted[REPORT].values()),
    }


def _environment(userland: Userland, place: Place, site: Path) -> dict[str, str]:
    own = userland.environment(site, "aarch64" if place.arm else "here")
    return {**own, "LEADWIRE_DATA": str(cache_folder())}


def _write_windows(names: list[str], folder: Path, bundle: Bundle) -> None:
    """What `on_core.py` reads; made here, so that every core is asked the same."""
    spec = bundle.model.conditioning
    raw, companded, rates = [], [], set()
    for name in names:
        record = find_record(name)
        rates.add(record.sampling_rate_hz)
        size = round(bundle.model.window_s * record.sampling_rate_hz)
        for lead in ("i", "ii"):
            mv = record.lead(lead).millivolts[:size]
            raw.append(mv)
            companded.append(compand(condition(mv, record.sampling_rate_hz, spec), spec))
    (rate,) = rates
    np.save(folder / "companded.npy", np.array(companded, np.float32))
    np.save(folder / "raw_mv.npy", np.array(raw[:COUNTED]))
    np.save(folder / "rate.npy", rate)


def stages(loops: dict[str, Any], counted: list[Counter[str]]) -> dict[str, Counter[str]]:
    """Instructions a window by stage and owner: the whole, its stages, and what is left of it for the last one."""
    out = a_turn(loops, counted)
    parts = (CONDITIONING, NET, QUALITY)
    left = {owner: out[REPORT][owner] - sum(out[p][owner] for p in parts) for owner in OWNERS}
    return {REPORT: out[REPORT], **{p: out[p] for p in parts}, POST: Counter(left)}


def a_turn(loops: dict[str, Any], counted: list[Counter[str]]) -> dict[str, Counter[str]]:
    """Instructions by loop and owner, without those of going round.

    loops: `{"loops": names, "turns": n}`; counted: between its marks, a loop and what stands between two by turns.
    """
    by = {name: counted[2 * i] for i, name in enumerate(loops["loops"])}
    idle = by.pop(NOTHING)
    return {
        name: Counter({owner: round((c[owner] - idle[owner]) / loops["turns"]) for owner in OWNERS})
        for name, c in by.items()
    }


def digest(heads: Heads) -> str:
    """SHA-256 over all heads, by name."""
    return hashlib.sha256(b"".join(np.ascontiguousarray(heads[name]).tobytes() for name in sorted(heads))).hexdigest()


def apart(by_place: dict[str, Heads]) -> dict[str, Any]:
    """By place, the hash, how many windows' heads are not bit for bit those of this machine, and the farthest logit."""
    ours = by_place[HERE]
    out = {}
    for place, heads in by_place.items():
        if place == HERE:
            continue
        off = {name: np.abs(heads[name] - ours[name]).reshape(len(ours[name]), -1).max(axis=1) for name in ours}
        worst = np.max(list(off.values()), axis=0)
        out[place] = {
            "sha256": digest(heads),
            "windows": len(worst),
            "windows_apart": int((worst > 0).sum()),
            "most": float(worst.max()),
        }
    return out


def compare(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> dict[str, Any]:
    """Two runs' reports, line by line and key by key.

    same: the lines equal in every key. words_apart: by key, lines in which a text, a truth value, a null or the number
    of waves differs. steps_apart: by key, the largest difference of two numbers in steps of the JSON's last digit.
    """
    words: Counter[str] = Counter()
    steps: dict[str, float] = {}
    same = 0
    for a, b in zip(ours, theirs, strict=True):
        same += a == b
        left, right = _flat(a), _flat(b)
        for key in left.keys() | right.keys():
            x, y = left.get(key), right.get(key)
            if x == y:
                continue
            name = ".".join(part for part in key if isinstance(part, str))
            if isinstance(x, float) and isinstance(y, float):
                step = next((s for end, s in _STEPS.items() if name.endswith(end)), _STEP)
                steps[name] = max(steps.get(name, 0.0), round(abs(x - y) / step, 3))
            else:
                words[name] += 1
    return {"reports": len(ours), "same": same, "words_apart": dict(words), "steps_apart": steps}


def _flat(value: Any, key: tuple[str | int, ...] = ()) -> dict[tuple[str | int, ...], Any]:
    """Leaves by their path; a list's length is a leaf, too. bool is no number."""
    if isinstance(value, dict):
        return {k: v for name, item in value.items() for k, v in _flat(item, (*key, name)).items()}
    if isinstance(value, list):
        leaves = {k: v for i, item in enumerate(value) for k, v in _flat(item, (*key, i)).items()}
        return {(*key, "length"): str(len(value)), **leaves}
    return {key: value}


def macs_of(bundle: Bundle) -> int:
    """Multiply-accumulates of one window: what the bundle states, else those of its ONNX graph's convolutions."""
    if "cost" in bundle.manifest:
        return int(bundle.manifest["cost"]["macs"])
    import onnx

    graph = onnx.shape_inference.infer_shapes(onnx.load_from_string(bundle.files[ONNX])).graph
    shape = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in (*graph.value_info, *graph.output)}
    shape |= {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    return int(sum(np.prod(shape[n.output[0]]) * np.prod(shape[n.input[1]][1:]) for n in convolutions))


def cold_start(command: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """Seconds from the start of a process to the first report of a recording of 10 s, and the processor's time of the
    whole process, which other load on the machine hardly touches. The first start, which writes byte code, is left out.
    """
    seconds, busy = [], []
    for _ in range(1 + COLD_STARTS):
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
        assert process.stdout is not None
        process.stdout.readline()
        seconds.append(time.perf_counter() - began)
        process.stdout.close()
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0  # it has been waited for
        busy.append(used.ru_utime + used.ru_stime)
    load = os.getloadavg()[0]
    return {
        "starts": COLD_STARTS,
        "median_s": round(statistics.median(seconds[1:]), 3),
        "fastest_s": round(min(seconds[1:]), 3),
        "processor_s": round(statistics.median(busy[1:]), 3),
        "load": round(load, 1),
        "cores": os.cpu_count(),
    }


def limits(result: dict[str, Any]) -> list[dict[str, Any]]:
    """What was to be reached, what was found, and whether it holds."""
    net = {core: sum(by[NET].values()) for core, by in result["instructions"][DEFAULT_BACKEND].items()}
    rows = [
        ("the net on a Cortex-A72, M instructions", net["cortex-a72"] / 1e6, 8.0),
        ("the same, a mask net's limit", net["cortex-a72"] / 1e6, 16.0),
        ("the net on a Cortex-A76, M instructions", net["cortex-a76"] / 1e6, 4.0),
        ("the same, a mask net's limit", net["cortex-a76"] / 1e6, 8.0),
        ("instructions a MAC on a Cortex-A76, which has dot products", net["cortex-a76"] / result["macs"], 0.35),
        *(
            (f"device install by `pip install{option} '{row['typed']}'`, MB", row["bytes"][key] / 1e6, 120.0)
            for row in result["installs"]
            if " " not in row["typed"]
            for option, key in (("", "whole"), (" --no-compile", "with_byte_code_that_runs"))
        ),
        ("process start to first report here, s", result["cold_start"]["median_s"], 0.5),
    ]
    return [{"what": what, "found": round(v, 3), "limit": most, "held": v <= most} for what, v, most in rows]
