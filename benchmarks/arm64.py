"""An aarch64 userland in a folder, and what runs in it: Debian's Python and C library, Arm wheels, a named core.

Nothing needs root rights, a chroot or binfmt_misc: `qemu-aarch64 -L` finds in the folder what the program asks for,
and on this machine what the folder does not hold. Only apt's downloader is used, with a state of its own.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from edge_runtime.errors import UsageError

FOLDER = Path.home() / ".cache" / "leadwire-arm64"
CHECKOUT = Path(__file__).parent.parent
_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
_PACKAGES = ("python3-minimal", "libpython3-stdlib", "libstdc++6")
_NOT_NEEDED = ("doc", "man", "locale", "info", "perl5")  # of /usr/share
_NEWEST_GLIBC, _OLDEST_GLIBC = 36, 17  # Raspberry Pi OS Bookworm's, and manylinux2014's


@dataclass(frozen=True)
class Core:
    """part: the main ID register's, by which the runtimes choose kernels; features as Linux names them."""

    part: int
    features: str


_ARMV8_0 = "fp asimd evtstrm crc32 cpuid"
CORES = {
    "cortex-a53": Core(0xD03, _ARMV8_0),  # Raspberry Pi 3, Zero 2 W
    "cortex-a72": Core(0xD08, _ARMV8_0),  # Raspberry Pi 4
    "cortex-a76": Core(0xD0B, f"{_ARMV8_0} aes pmull sha1 sha2 atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp"),  # 5
}
_CPUS = 4
_CACHES = ((1, "Data", "32K", False), (1, "Instruction", "48K", False), (2, "Unified", "1024K", True))  # last: shared


def need(program: str, package: str) -> str:
    """Where a program is. Raises UsageError, naming the Debian package, where it is not."""
    found = shutil.which(program)
    if found is None:
        raise UsageError(f"needs {program}: apt-get install {package}")
    return found


def call(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> str:
    """What the command printed. Raises UsageError with the last line of what it said when it failed."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=environment)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise UsageError(f"{Path(command[0]).name} failed: {said}")
    return done.stdout


def files_of(core: Core) -> Iterator[tuple[str, str]]:
    """Path and text of what Linux says of the processor: without them both runtimes read this machine's, and crash."""
    for i in range(_CPUS):
        cpu = f"sys/devices/system/cpu/cpu{i}"
        for name in ("core_siblings_list", "package_cpus_list", "cluster_cpus_list"):
            yield f"{cpu}/topology/{name}", f"0-{_CPUS - 1}"
        for name, number in {
            "core_id": i, "core_cpus_list": i, "thread_siblings_list": i, "physical_package_id": 0, "cluster_id": 0
        }.items():  # fmt: skip
            yield f"{cpu}/topology/{name}", str(number)
        yield f"{cpu}/cpufreq/cpuinfo_min_freq", "600000"
        yield f"{cpu}/cpufreq/cpuinfo_max_freq", "1500000"
        for index, (level, kind, size, shared) in enumerate(_CACHES):
            of = {"level": level, "type": kind, "size": size, "coherency_line_size": 64}
            of["shared_cpu_list"] = f"0-{_CPUS - 1}" if shared else i
            yield from ((f"{cpu}/cache/index{index}/{name}", str(value)) for name, value in of.items())
    for name in ("possible", "present", "online"):
        yield f"sys/devices/system/cpu/{name}", f"0-{_CPUS - 1}"
    yield "sys/devices/system/cpu/kernel_max", "7"
    about = {"Features": core.features, "CPU implementer": "0x41", "CPU architecture": 8, "CPU variant": "0x0"}
    about |= {"CPU part": f"{core.part:#05x}", "CPU revision": 3}
    block = "\n".join(f"{name}\t: {value}" for name, value in about.items())
    yield "proc/cpuinfo", "\n\n".join(f"processor\t: {i}\n{block}" for i in range(_CPUS))


@dataclass(frozen=True)
class Userland:
    """A folder of `root`, which is the userland, and of what is installed for it or for this machine."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def python(self) -> Path:
        return next(p for p in sorted((self.root / "usr/bin").glob("python3.*")) if p.suffix[1:].isdigit())

    def build(self) -> None:
        """Fetch and unpack; whole or not at all, and once."""
        if self.root.exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="part-") as scratch:
            root = Path(scratch) / "root"
            root.mkdir()
            for deb in _fetch(Path(scratch) / "apt"):
                call([need("dpkg-deb", "dpkg"), "-x", deb, root])
            for name in _NOT_NEEDED:
                shutil.rmtree(root / "usr/share" / name, ignore_errors=True)
            root.rename(self.root)

    def install(self, wheel: Path, extra: str, arm: bool, newest: bool = False, more: Sequence[str] = ()) -> Path:
        """Leadwire with one back end, in a folder of its own: for Arm from aarch64 wheels alone, else for this Python.

        As pip leaves it, byte code included. newest: what pip finds, as on a device, instead of the checkout's
        versions; more: requirements beside ours. Done again when the wheel changes.
        """
        target = self.folder / "-".join(["device" if newest else "aarch64" if arm else "here", extra, *more])
        stamp, mark = target.with_suffix(".stamp"), _content(wheel)
        if target.exists() and stamp.exists() and stamp.read_text() == mark:
            return target
        shutil.rmtree(target, ignore_errors=True)
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--target",
            str(target),
        ]
        if arm:
            version = self.python.suffix[1:]
            tags = [f"manylinux_2_{n}_aarch64" for n in range(_NEWEST_GLIBC, _OLDEST_GLIBC - 1, -1)]
            pip += [word for tag in (*tags, "manylinux2014_aarch64") for word in ("--platform", tag)]
            pip += ["--python-version", f"3.{version}", "--implementation", "cp", "--only-binary", ":all:"]
        if not newest:
            pip += ["--constraint", str(CHECKOUT / "constraints.txt")]
        call([*pip, f"{wheel}[{extra}]", *more])
        stamp.write_text(mark)
        return target

    def command(self, core: str, *plugin: str) -> list[str]:
        """What stands before the arguments of Python on that core."""
        seen = self.seen_by(core)
        return [need("qemu-aarch64", "qemu-user"), "-cpu", core, "-L", str(seen), *plugin, str(self.python)]

    def seen_by(self, core: str) -> Path:
        """The root with that core's /proc and /sys: links, so that several cores may run at once."""
        seen = self.folder / "cores" / core
        seen.mkdir(parents=True, exist_ok=True)
        for entry in self.root.iterdir():
            if not (seen / entry.name).exists():
                (seen / entry.name).symlink_to(entry)
        for name, text in files_of(CORES[core]):
            path = seen / name
            if not path.exists() or path.read_text() != text + "\n":
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text + "\n")
        return seen

    def _byte_code(self, machine: str) -> Path:
        return self.folder / f"bytecode-{machine}"

    def compiled_bytes(self, site: Path) -> int:
        """Byte code of those of its modules that have been run on an emulated core."""
        return size_bytes(self._byte_code("aarch64").joinpath(*site.parts[1:]))

    def environment(self, site: Path, machine: str) -> dict[str, str]:
        """One thread, no other packages than the installed ones, and byte code kept outside of them."""
        plain = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "LD_"))}
        return plain | {
            "PYTHONPATH": str(site),
            "PYTHONSAFEPATH": "1",
            "PYTHONNOUSERSITE": "1",
            "PYTHONHASHSEED": "0",
            "PYTHONPYCACHEPREFIX": str(self._byte_code(machine)),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }


def build_wheel(folder: Path) -> Path:
    """The checkout's wheel."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("leadwire-*.whl"):
        old.unlink()
    call([*_PIP, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, CHECKOUT])
    return next(folder.glob("leadwire-*.whl"))


def size_bytes(folder: Path, byte_code: bool = True) -> int:
    """Of all files in it, with or without the byte code that pip compiles."""
    files = (p for p in folder.rglob("*") if p.is_file() and not p.is_symlink())
    return sum(p.lstat().st_size for p in files if byte_code or p.suffix != ".pyc")


def versions_in(site: Path) -> dict[str, str]:
    """Of what is installed there, by name."""
    return {found.metadata["Name"]: found.version for found in metadata.distributions(path=[str(site)])}


def _fetch(folder: Path) -> list[Path]:
    """The Debian packages for arm64, with all that they depend on."""
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "state/status").touch()
    settings = folder / "apt.conf"
    settings.write_text(
        f'Dir::State "{folder}/state";\nDir::State::status "{folder}/state/status";\nDir::Cache "{folder}/cache";\n'
        '#clear APT::Architectures;\nAPT::Architectures {"arm64";};\nAPT::Architecture "arm64";\n'
        'APT::Install-Recommends "false";\nAPT::Sandbox::User "";\nDebug::NoLocking "true";\n'
        'Acquire::Languages "none";\n'
    )
    apt, environment = need("apt-get", "apt"), {**os.environ, "APT_CONFIG": str(settings)}
    call([apt, "-qq", "update"], environment)
    call([apt, "-qq", "--yes", "--download-only", "install", *_PACKAGES], environment)
    return sorted((folder / "cache/archives").glob("*.deb"))


def _content(wheel: Path) -> str:
    """Of the wheel's files, whenever it was built, and of the versions that go with it."""
    with zipfile.ZipFile(wheel) as archive:
        members = sorted((m.filename, m.CRC) for m in archive.infolist())
    versions = (CHECKOUT / "constraints.txt").read_bytes()
    return hashlib.sha256(repr(members).encode() + versions).hexdigest()
