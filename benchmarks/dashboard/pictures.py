"""The pictures of docs/dashboard.md: simulated wearables play real hearts, and a headless Chromium looks."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.dashboard.beds import Bed, Ward
from benchmarks.dashboard.day import day_of
from edge_runtime.backends import open_backend
from edge_runtime.bundle import load_bundle
from edge_runtime.dashboard import Dashboard, DashboardOptions
from edge_runtime.errors import UsageError

_FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync"
_SOURCE = "/dev/serial/by-id/usb-bedside"
_COLOURS = 200  # of a picture: paper, ink and a few tones
_SETTLE_MS = 1500
_PLAYED_S = 540.0  # before anybody looks

_CALM = Bed(_SOURCE, "mitdb/234", "MLII", 100.0, "drop=0.004,lead_off@200+20,unplug@345+25")
_FIBRILLATION = Bed(_SOURCE, "mitdb/201", None, 1200.0, "drop=0.004")
_WARD = tuple(
    Bed(f"/dev/serial/by-id/bed-{i}", f"mitdb/{record}", None, 200.0, faults)
    for i, (record, faults) in enumerate(
        [
            (100, ""), (103, "drop=0.01"), (201, ""), (219, ""), (119, "lead_off@52+60"), (234, ""),
            (202, ""), (221, "unplug@55+60"), (117, ""), (105, ""), (212, "drop=0.01"), (231, ""),
        ],
        1,
    )
)  # fmt: skip


@dataclass(frozen=True)
class _Picture:
    """ready: a selector; what shows that the page has what it needs."""

    name: str
    beds: Sequence[Bed]
    played_s: float
    ready: str
    where: str = ""
    size: tuple[int, int] = (1280, 812)
    dark: bool = False
    scale: int = 1


_NUMBERS = ".value.hr_bpm[data-valid=true]"
_PICTURES = (
    _Picture("live", [_CALM], _PLAYED_S, _NUMBERS),
    _Picture("dark", [_FIBRILLATION], _PLAYED_S, _NUMBERS, dark=True),
    _Picture("phone", [_CALM], _PLAYED_S, _NUMBERS, size=(360, 780), scale=2),
    _Picture("lead-off", [Bed(_SOURCE, "mitdb/234", "MLII", 100.0, "lead_off@62+60")], 70.0, "#veil strong"),
    _Picture("ward", _WARD, 62.0, ".tile .hr small", size=(1280, 720)),
    _Picture("day", [_CALM], 60.0, "#day-episodes button", "#/day/0/{day}", (1280, 830)),
)


def draw(folder: Path, only: Sequence[str] = (), tell: Callable[[str], None] = print) -> None:
    """Writes dashboard-NAME.png. Needs Chromium, playwright, Pillow and MIT-BIH's records."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise UsageError("the pictures need Chromium: apt install chromium")
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=_FLAGS.split())
        store = Path(scratch) / "day.db"
        _write_day(store, day, tell)
        for picture in _PICTURES:
            if only and picture.name not in only:
                continue
            path = folder / f"dashboard-{picture.name}.png"
            path.write_bytes(_smaller(_look(browser, picture, store, f"{day:%Y-%m-%d}")))
            tell(f"{path}: {path.stat().st_size / 1000:.0f} kB")
        browser.close()


def _look(browser: Any, picture: _Picture, store: Path, day: str) -> bytes:
    with closing(Dashboard(DashboardOptions(port=0), store)) as dashboard:
        width, height = picture.size
        with closing(Ward(dashboard, picture.beds, picture.played_s, picture.played_s + 120)):
            context = browser.new_context(
                viewport={"width": width, "height": height},
                device_scale_factor=picture.scale,
                color_scheme="dark" if picture.dark else "light",
                timezone_id="UTC",
                locale="en-GB",
            )
            with closing(context):
                page = context.new_page()
                page.goto(dashboard.url + picture.where.format(day=day))
                page.locator(picture.ready).first.wait_for()
                page.wait_for_timeout(_SETTLE_MS)
                return bytes(page.screenshot())


def _write_day(path: Path, day: datetime, tell: Callable[[str], None]) -> None:
    bundle = load_bundle()
    with closing(import_module("edge_runtime.sinks.store").Store.open(path, tell)) as store:
        for report in day_of(day, _SOURCE, bundle.model, open_backend(bundle)):
            store.write(report)


def _smaller(png: bytes) -> bytes:
    """With a palette: a third of the size, and nothing to be seen of it."""
    from PIL import Image

    image = Image.open(io.BytesIO(png)).convert("RGB")
    image = image.quantize(_COLOURS, dither=Image.Dither.NONE)
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()
