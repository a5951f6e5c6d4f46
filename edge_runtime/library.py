"""Where records live: a path, `$LEADWIRE_DATA`, the cache, and PhysioNet last."""

from __future__ import annotations

import hashlib
import os
import re
import urllib.error
import urllib.request
from pathlib import Path

from edge_runtime.errors import RecordError
from edge_runtime.records import Record, read_record

_PHYSIONET = "https://physionet.org/files"
_VERSIONS = {"mitdb": "1.0.0", "qtdb": "1.0.0", "ludb": "1.0.1", "nstdb": "1.0.0"}
_TIMEOUT_S = 15.0
_PLAIN = re.compile(r"^[A-Za-z0-9_]+(/[A-Za-z0-9_]+)*$")
_LONGEST_NAME = 200
_LARGEST_FILE = 50_000_000


def cache_folder() -> Path:
    """`$LEADWIRE_DATA`, else `~/.cache/leadwire`."""
    chosen = os.environ.get("LEADWIRE_DATA")
    return Path(chosen) if chosen else Path.home() / ".cache" / "leadwire"


def find_record(name: str, download: bool = True) -> Record:
    """Read the record `name`: a path, or `database/record` from the cache or PhysioNet.

    Raises RecordError when it is nowhere, naming each place that was looked in.
    """
    if len(name) > _LONGEST_NAME or "\0" in name:
        raise RecordError(f"no record {name[:40]!r}...: the name is too long; check it")
    path = Path(name)
    by_its_file = path.suffix in (".hea", ".dat", ".mat") and path.with_suffix(".hea").exists()
    if path.suffix.lower() == ".csv" or Path(f"{path}.hea").exists() or by_its_file:
        return read_record(path)
    places = [str(path)]
    database, _, inside = name.partition("/")
    if not path.is_absolute() and "/" in name and ".." not in path.parts:
        for folder in dict.fromkeys((cache_folder(), Path.home() / ".cache" / "leadwire")):
            if Path(f"{folder / name}.hea").exists():
                return read_record(folder / name)
            places.append(str(folder / name))
        if download and database in _VERSIONS and _PLAIN.match(inside):
            try:
                return read_record(_download(database, inside))
            except (OSError, ValueError, RecordError) as error:
                places.append(f"PhysioNet ({getattr(error, 'reason', error)})")
    raise RecordError(f"no record {name!r}: looked for {', '.join(places)}; check the name or set LEADWIRE_DATA")


def record_name(name: str) -> str:
    """What the record that a user named, perhaps by one of its files, is called."""
    path = Path(name)
    by_a_file = path.suffix in (".hea", ".dat", ".mat") or path.suffix.lower() == ".csv"
    return path.stem if by_a_file else path.name


def _download(database: str, record: str) -> Path:
    """Fetch a record's header and signals into the cache, each checked against the data set's SHA256SUMS."""
    base = f"{_PHYSIONET}/{database}/{_VERSIONS[database]}"
    lines = _get(f"{base}/SHA256SUMS.txt").decode().splitlines()
    sums = {name.strip(): sha256 for sha256, _, name in (line.partition(" ") for line in lines)}
    inside = record.rpartition("/")[0]
    inside = f"{inside}/" if inside else ""
    header = _get(f"{base}/{record}.hea")
    signals = {line.split()[0] for line in header.decode().splitlines()[1:] if line.strip() and line[0] != "#"}
    contents = {f"{record}.hea": header}
    contents |= {inside + name: _get(f"{base}/{inside}{name}") for name in signals if Path(name).name == name}
    for name, content in contents.items():
        if hashlib.sha256(content).hexdigest() != sums.get(name):
            raise RecordError(f"{base}/{name}: its hash is not the published one; try again later")
    folder = cache_folder() / database
    for name, content in sorted(contents.items(), key=lambda item: item[0].endswith(".hea")):  # the header last
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        part = folder / f"{name}.part"
        part.write_bytes(content)
        part.replace(folder / name)
    return folder / record


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as reply:
        content: bytes = reply.read(_LARGEST_FILE + 1)
    if len(content) > _LARGEST_FILE:
        raise RecordError(f"{url}: larger than {_LARGEST_FILE} bytes; refused")
    return content
