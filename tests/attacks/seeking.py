"""Look for secrets: in whatever a call gives back, in every file of a folder, and under every layer of encoding."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cameo.crypto.keys import Keys
from cameo.errors import NotPermitted
from cameo.seal.unlock import WRAPPED_BYTES

_RUN = re.compile(rb"[A-Za-z0-9+/_-]{40,}={0,2}")


def spellings(secret: bytes) -> Iterator[bytes]:
    """Write a secret as it could stand in a file: raw, hex, base64 at each of its three places."""
    yield secret
    yield secret.hex().encode()
    for start in range(3):
        whole = secret[start : start + (len(secret) - start) // 3 * 3]
        yield from (base64.b64encode(whole), base64.urlsafe_b64encode(whole))


def holds(data: bytes, secrets: Iterable[bytes]) -> bool:
    """Say whether `data` holds any secret in any spelling."""
    return any(spelled in data for secret in secrets for spelled in spellings(secret))


def files_that_hold(folder: Path, secrets: Iterable[bytes]) -> list[str]:
    """Name the files under a folder that hold a secret; databases and their logs are files, too."""
    known = list(secrets)
    return [p.name for p in sorted(folder.rglob("*")) if p.is_file() and holds(p.read_bytes(), known)]


def boxes(data: bytes, depth: int = 0) -> Iterator[bytes]:
    """Find everything that could be a wrapped key, also in base64 inside of base64."""
    for run in _RUN.findall(data):
        for word in {run, *run.split(b"."), *re.split(rb"[_-]", run)}:
            text = word.rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
            if len(text) % 4 == 1:
                continue
            raw = base64.b64decode(text + b"=" * (-len(text) % 4))
            if len(raw) == WRAPPED_BYTES:
                yield raw
            if depth < 3:
                yield from boxes(raw, depth + 1)


def unwrapped(folder: Path, people: Mapping[str, Keys], infos: Iterable[bytes]) -> set[str]:
    """Try everything in every file under a folder with everybody's keys; say whose opened something."""
    known, found = list(infos), set()
    candidates = {box for path in folder.rglob("*") if path.is_file() for box in boxes(path.read_bytes())}
    for box in candidates:
        for name, keys in people.items():
            for info in known:
                try:
                    keys.open_box(box, info)
                except NotPermitted:
                    continue
                found.add(name)
    return found


def reachable(value: Any, seen: dict[int, Any] | None = None) -> Iterator[bytes]:
    """Yield every string of bytes that can be got from a value of ours by looking: attributes, members, items."""
    # Kept alive: the id of what was let go is given to something else.
    seen = {} if seen is None else seen
    if id(value) in seen or isinstance(value, type | Keys):
        return
    seen[id(value)] = value
    if isinstance(value, bytes | bytearray | memoryview):
        yield bytes(value)
    elif isinstance(value, str):
        yield value.encode("utf-8", "surrogatepass")
    elif isinstance(value, Mapping):
        for pair in value.items():
            yield from reachable(list(pair), seen)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from reachable(item, seen)
    elif type(value).__module__.startswith("cameo"):
        names = {*getattr(value, "__dict__", ()), *getattr(value, "__struct_fields__", ())}
        names |= {slot for kind in type(value).__mro__ for slot in getattr(kind, "__slots__", ())}
        for name in names:
            yield from reachable(getattr(value, name, None), seen)
