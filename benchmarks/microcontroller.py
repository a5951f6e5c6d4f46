"""`python -m benchmarks microcontroller`: the shipped net as C on an emulated Cortex-M4 and M7, and on this host.

Windows of LUDB go through `leadwire_net.c` as each core's compiler builds it; every output is held against LiteRT's
reference kernels on the same int8 window, and against its default ones (XNNPACK), which round differently. QEMU with
`-icount` gives instructions, not cycles: it knows no pipeline, cache or flash.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.backends import Heads
from edge_runtime.bundle import TFLITE, Bundle, load_bundle
from edge_runtime.conditioning import condition
from edge_runtime.errors import LeadwireError, UsageError
from edge_runtime.library import cache_folder
from edge_runtime.windows import WINDOW_S, Window
from export.agreement import agreement
from export.to_c import SOURCE, write_c
from train.datasets.truth import ludb_cases
from train.markdown import table
from train.run import Run, commit

WINDOWS = 24
_FIRMWARE = Path(__file__).parent / "firmware"
_MAIN = _FIRMWARE / "main.c"
_STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion")
SANITIZED = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
_TICK_INSTRUCTIONS = 40  # a 25 MHz clock, and -icount shift=0: an instruction is a nanosecond
_LONGEST_S = 900


@dataclass(frozen=True)
class Core:
    """A Cortex-M, the QEMU machine that has one, and how it is compiled for."""

    name: str
    machine: str
    flags: tuple[str, ...]

    def missing(self) -> list[str]:
        needed = ("arm-none-eabi-gcc", "arm-none-eabi-size", "qemu-system-arm")
        return [tool for tool in needed if shutil.which(tool) is None]


CORES = (
    Core("cortex-m4", "mps2-an386", ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")),
    Core("cortex-m7", "mps2-an500", ("-mcpu=cortex-m7", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv5-d16")),
)


@dataclass(frozen=True)
class Size:
    """Bytes of the net's object file, by arm-none-eabi-size: code and constants, and what has to be RAM."""

    flash: int
    ram: int


class Litert:
    """The bundle's TFLite file by LiteRT, with its reference kernels or its default ones: an edge_runtime Backend."""

    def __init__(self, bundle: Bundle, reference: bool) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self.name = "LiteRT, reference kernels" if reference else "LiteRT"
        self._interpreter = Interpreter(
            model_content=bundle.files[TFLITE],
            num_threads=1,
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF if reference else OpResolverType.AUTO,
        )
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        outputs = {o["name"]: o for o in self._interpreter.get_output_details()}
        self._outputs = {head: outputs[head] for head in bundle.manifest["heads"]}

    def quantized(self, companded: NDArray[np.float32]) -> NDArray[np.int8]:
        """As edge_runtime.backends does it."""
        scale, zero = self._input["quantization"]
        return np.clip(np.round(companded / scale) + zero, -128, 127).astype(np.int8)

    def run(self, window: NDArray[np.int8]) -> dict[str, NDArray[np.int8]]:
        """Each head as it lies in memory."""
        self._interpreter.set_tensor(self._input["index"], window.reshape(self._input["shape"]))
        self._interpreter.invoke()
        return {head: self._interpreter.get_tensor(o["index"]).ravel() for head, o in self._outputs.items()}

    def __call__(self, companded: NDArray[np.float32]) -> Heads:
        heads = {}
        for name, q in self.run(self.quantized(companded)).items():
            scale, zero = self._outputs[name]["quantization"]
            width, channels = self._outputs[name]["shape"][2:]
            values = ((q.astype(np.float32) - zero) * np.float32(scale)).reshape(width, channels)
            heads[name] = np.ascontiguousarray(values.T if width > 1 else values[0])
        return heads


def records_of(bundle: Bundle) -> np.dtype[Any]:
    """What `main.c` writes for each window."""
    heads = bundle.manifest["heads"]
    fields: list[tuple[str, Any, Any]] = [("ticks", "<u4", ()), ("stack_bytes", "<u4", ())]
    fields.append(("window", np.int8, (bundle.model.samples,)))
    fields += [(name, np.int8, (int(np.prod(said["shape"])),)) for name, said in heads.items()]
    packed = np.dtype(fields)
    return np.dtype([*fields, ("filling", np.int8, (-packed.itemsize % 4,))])


def run_on_host(folder: Path, bundle: Bundle, windows_mv: NDArray[np.float32], flags: Sequence[str] = ()) -> Any:
    """Compile what `write_c` wrote into `folder`, with `flags` on top, and run it: `records_of` a window."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise UsageError("no C compiler; install gcc")
    image = folder / "host"
    _call([compiler, *_STRICT, "-O2", *flags, f"-I{folder}", folder / SOURCE, _MAIN, "-o", image], folder)
    return _through([image], folder, bundle, windows_mv)


def run_on_core(core: Core, folder: Path, bundle: Bundle, windows_mv: NDArray[np.float32]) -> tuple[Size, Any]:
    """The same for a Cortex-M in QEMU, and the size of the net alone. Nothing but `leadwire_net.c` is linked to it."""
    if core.missing():
        raise UsageError(f"no {', '.join(core.missing())}; apt install gcc-arm-none-eabi qemu-system-arm")
    net, image = folder / f"{core.name}.o", folder / f"{core.name}.elf"
    compiler = ["arm-none-eabi-gcc", *_STRICT, "-O2", "-ffreestanding", *core.flags, f"-I{folder}"]
    _call([*compiler, "-c", folder / SOURCE, "-o", net], folder)
    _call([*compiler, "-nostdlib", "-nostartfiles", "-T", _FIRMWARE / "mps2.ld", net, _MAIN, "-o", image], folder)
    text, data, bss = (int(n) for n in _call(["arm-none-eabi-size", net], folder).splitlines()[1].split()[:3])
    emulator: list[str | Path] = [
        "qemu-system-arm",
        "-M",
        core.machine,
        "-kernel",
        image,
        "-display",
        "none",
        "-monitor",
        "none",
    ]
    emulator += ["-serial", "none", "-icount", "shift=0,sleep=off", "-semihosting-config", "enable=on,target=native"]
    return Size(text + data, data + bss), _through(emulator, folder, bundle, windows_mv)


def _through(command: Sequence[str | Path], folder: Path, bundle: Bundle, windows_mv: NDArray[np.float32]) -> Any:
    windows_mv.astype("<f4").tofile(folder / "windows.bin")
    (folder / "heads.bin").unlink(missing_ok=True)
    _call(command, folder)
    found = np.fromfile(folder / "heads.bin", records_of(bundle))
    if len(found) != len(windows_mv):
        raise LeadwireError(f"{command[0]}: {len(found)} of {len(windows_mv)} windows came back")
    return found


def _call(command: Sequence[str | Path], folder: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_LONGEST_S,
    )
    if done.returncode:
        raise LeadwireError(f"{command[0]}: exit {done.returncode}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


def differences(found: Any, judge: Litert, heads: Sequence[str]) -> dict[str, dict[str, float]]:
    """By head, against `judge` on the same int8 windows: the largest difference in steps, the share that differs."""
    steps: dict[str, list[NDArray[np.int64]]] = {head: [] for head in heads}
    for row in found:
        wanted = judge.run(row["window"])
        for head in heads:
            steps[head].append(np.abs(row[head].astype(np.int64) - wanted[head]))
    return {
        head: {"most_steps": int(np.max(said)), "differing": round(float(np.mean(np.stack(said) > 0)), 4)}
        for head, said in steps.items()
    }


def measure(run: Run, results: Path) -> dict[str, Any]:
    """Write `microcontroller.json`. The net is the shipped bundle's; `run` only says how many records are read."""
    bundle = load_bundle()
    cases = ludb_cases(cache_folder() / "ludb", most_records=run.config.records_per_set)
    chosen = [cases[i] for i in np.linspace(0, len(cases) - 1, min(WINDOWS, len(cases))).astype(int)]
    raw = [Window(c.windows_mv[0], c.sampling_rate_hz, 0.0, WINDOW_S, c.lead) for c in chosen]
    spec, samples = bundle.model.conditioning, bundle.model.samples
    windows = np.stack([condition(w.samples_mv, w.sampling_rate_hz, spec)[:samples] for w in raw])
    reference, default = Litert(bundle, reference=True), Litert(bundle, reference=False)
    heads = list(bundle.manifest["heads"])
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        written = write_c(bundle, folder)
        host = run_on_host(folder, bundle, windows)
        judged: dict[str, dict[str, Any]] = {"host": {"against_reference": differences(host, reference, heads)}}
        for core in CORES:
            size, found = run_on_core(core, folder, bundle, windows)
            instructions = found["ticks"].astype(np.int64) * _TICK_INSTRUCTIONS
            judged[core.name] = {
                "machine": core.machine,
                "flags": ["-O2", *core.flags],
                "flash_bytes": size.flash,
                "ram_bytes": size.ram,
                "stack_bytes": int(found["stack_bytes"].max()),
                "instructions": {"mean": int(instructions.mean()), "most": int(instructions.max())},
                "instructions_per_mac": round(float(instructions.mean()) / written.graph.macs, 3),
                "against_reference": differences(found, reference, heads),
            }
    out = {
        "what": f"{len(windows)} windows of LUDB I + II through leadwire_net.c",
        "bundle": bundle.model.id,
        "measured_at_commit": commit(),
        "compiler": _call(["arm-none-eabi-gcc", "--version"], results.parent).splitlines()[0],
        "emulator": _call(["qemu-system-arm", "--version"], results.parent).splitlines()[0],
        "macs": written.graph.macs,
        "arena_bytes": written.arena_bytes,
        "cores": judged,
        "xnnpack_against_reference": differences(host, default, heads),
        "xnnpack_against_reference_as_reported": agreement(reference, default, bundle.model, raw),
    }
    results.mkdir(parents=True, exist_ok=True)
    (results / "microcontroller.json").write_text(json.dumps(out, indent=1) + "\n")
    return out


def markdown(result: dict[str, Any]) -> str:
    """Size, instructions, and how far each core's outputs are from LiteRT's."""
    rows = []
    for name, core in result["cores"].items():
        most = max(head["most_steps"] for head in core["against_reference"].values())
        cells = ["", "", "", "", ""]
        if "flash_bytes" in core:
            cells = [f"{core[key] / 1e3:.1f}" for key in ("flash_bytes", "ram_bytes")]
            cells += [str(core["stack_bytes"]), f"{core['instructions']['mean'] / 1e6:.1f}"]
            cells += [f"{core['instructions_per_mac']:.2f}"]
        rows.append([name, *cells, "bit for bit" if most == 0 else f"up to {most} steps off"])
    head = ["core", "flash, kB", "RAM, kB", "stack, bytes", "million instructions", "a MAC", "LiteRT's reference"]
    return table(head, rows)


def xnnpack_markdown(result: dict[str, Any]) -> str:
    """How far LiteRT's default kernels are from its reference ones: by head in steps, by measure in its own unit."""
    heads = result["xnnpack_against_reference"].items()
    steps = [[name, f"{100 * said['differing']:.0f} %", str(said["most_steps"])] for name, said in heads]
    reported = [
        [name, f"{said['mean_abs']:.2f}", f"{said['max_abs']:.2f}" if "max_abs" in said else "", str(said["n"])]
        for name, said in result["xnnpack_against_reference_as_reported"].items()
        if said["mean_abs"] is not None
    ]
    by_head = table(["head", "outputs that differ", "by at most, int8 steps"], steps)
    head = ["reported", "mean difference (rhythm: share of windows)", "largest", "windows that state it"]
    return f"{by_head}\n\n{table(head, reported)}"
