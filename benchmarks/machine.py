"""Say where and with what a number was measured."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (
    "cameo-double",
    "torch",
    "diffusers",
    "peft",
    "numpy",
    "onnxruntime",
    "insightface",
    "speechbrain",
    "opencv-python",
    "av",
    "cryptography",
    "sqlalchemy",
    "pyjwt",
    "biscuit-python",
    "model-signing",
    "resemblyzer",
    "deepface",
)
# What the runner itself writes does not make the code another one.
_WRITTEN = ("benchmarks/results", "docs/benchmarks.md")


def machine() -> dict[str, Any]:
    """Describe the machine: processor, cores, memory in bytes, system, graphics cards."""
    affinity = getattr(os, "sched_getaffinity", None)
    return {
        "processor": _processor(),
        "cores": len(affinity(0)) if affinity else os.cpu_count(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.platform(),
        "gpus": gpus(),
    }


def gpus() -> list[str]:
    """Name the NVIDIA cards that are there."""
    if shutil.which("nvidia-smi") is None:
        return []
    words = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else []


def versions() -> dict[str, str]:
    """Give the version of Python and of every package of `PACKAGES` that is installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def commit() -> dict[str, Any] | None:
    """Name the git commit, and say whether the code differs from it; None outside a repository."""
    head = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain", "--", ".", *(f":(exclude){path}" for path in _WRITTEN))
    return None if head is None else {"commit": head.strip(), "dirty": bool(changed)}


def _git(*words: str) -> str | None:
    if shutil.which("git") is None:
        return None
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
