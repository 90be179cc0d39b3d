"""Several processes tune as one: gradients are averaged, one decides."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import torch
from torch import nn

from cameo.adapt.team import Team

# Two processes share a step of four windows. The loss of a window is its number times the weight.
SCRIPT = """
import json, sys, torch
from accelerate import PartialState
PartialState(cpu=True)
from cameo.adapt.team import Team
team = Team()
weight, unused = torch.nn.Parameter(torch.tensor(1.0)), torch.nn.Parameter(torch.tensor(1.0))
windows = team.share(torch.tensor([1.0, 2.0, 3.0, 6.0]))
(weight * windows).mean().backward()
team.average([weight, unused])
team.seed(5)
noise = float(torch.rand(()))
decided = team.decide(lambda: {"by": "leader" if team.leads else "follower", "state": torch.tensor([1, 2])})
found = {"windows": windows.tolist(), "grad": float(weight.grad), "unused": float(unused.grad), "noise": noise,
         "by": decided["by"], "size": team.size}
with open(f"{sys.argv[1]}/{0 if team.leads else 1}.json", "w") as file:
    json.dump(found, file)
torch.distributed.destroy_process_group()
"""


def test_alone_everything_is_ones_own() -> None:
    team = Team()
    weight = nn.Parameter(torch.ones(2))
    (weight * 3).sum().backward()
    team.average([weight])
    assert weight.grad is not None
    assert weight.grad.tolist() == [3, 3]
    assert (team.size, team.leads) == (1, True)
    assert team.share(torch.arange(4)).tolist() == [0, 1, 2, 3]
    assert team.decide(lambda: 7) == 7


def test_two_tune_as_one(tmp_path: Path) -> None:
    """Started as `accelerate launch` starts them: with a rank, the number of processes, and where to meet."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = os.environ | {
        "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true",
        "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo",
    }  # fmt: skip
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(tmp_path)], env=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        )
        for rank in range(2)
    ]
    assert [worker.wait(timeout=240) for worker in workers] == [0, 0]
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert (first["windows"], second["windows"]) == ([1, 3], [2, 6])
    assert first["grad"] == second["grad"] == 3, "the mean over all four windows"
    assert first["unused"] == second["unused"] == 0
    assert first["noise"] != second["noise"]
    assert first["by"] == second["by"] == "leader"
    assert first["size"] == second["size"] == 2
