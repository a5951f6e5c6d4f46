"""Two processes that share every batch train the net that one would."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent.parent

PROGRAM = """
import sys
from pathlib import Path

import numpy as np
import torch

from edge_runtime.ranges import INTERVALS
from train import parallel
from train.config import Mix, Stage
from train.generate import _chunk
from train.loop import Task, train_stage
from train.nets import Net, NetSpec

parallel.begin()
torch.set_num_threads(1)
torch.manual_seed(0)
net = Net(NetSpec(channels=(4, 6, 8), blocks=(1, 1, 1), window_channels=8, dropout=0.0))
windows = _chunk((3, 0, 32))
stage = Stage(epochs=2, learning_rate=1e-3, mix=Mix(synthetic=32), batch=16)
task = Task({"synthetic": windows}, {"synthetic": windows}, np.zeros((4, 2500), np.float32), stage,
            tuple(INTERVALS), 5, "cpu")
train_stage(net, task, Path(sys.argv[1]), "s")
parallel.end()
"""


def rows(folder: Path, command: list[str]) -> list[dict]:
    program = folder.parent / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run(
        [*command, str(program), str(folder)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in (folder / "s.log.jsonl").read_text().splitlines()]


@pytest.mark.timeout(180)
def test_two_gloo_processes_give_the_loss_of_one(tmp_path: Path) -> None:
    one = rows(tmp_path / "one", [sys.executable])
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    two = rows(tmp_path / "two", torchrun)
    assert len(one) == len(two) == 2
    for a, b in zip(one, two, strict=True):
        assert a["validation"]["total"] == pytest.approx(b["validation"]["total"], abs=1e-4)
        for name in ("masks", "p_wave", "intervals"):  # the last one is far from its minimum, and seven
            assert a[name] == pytest.approx(b[name], abs=1e-4, rel=1e-4), name
            assert a["validation"][name] == pytest.approx(b["validation"][name], abs=1e-4, rel=1e-4), name
    assert not np.isclose(one[0]["masks"], one[1]["masks"], atol=1e-3), "and the two epochs do differ"
