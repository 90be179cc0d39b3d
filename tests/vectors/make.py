"""Write the corpus: `python -m tests.vectors.make`. With `--check`, only say what is not as it would be written."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from tests.vectors import bundles, consents, files, grants, lists
from tests.vectors.case import FOLDER, KINDS, PEOPLE, Vector, people_text

_RECIPES = (
    grants.grants,
    grants.delegations,
    grants.proofs,
    lists.statuses,
    lists.revocations,
    lists.groups,
    bundles.bundles,
    consents.consents,
    files.tensors,
    files.keys,
    files.receipts,
)


def all_vectors() -> Iterator[Vector]:
    """Make every vector, in the order of the kinds."""
    for recipe in _RECIPES:
        yield from recipe()


def main(words: list[str]) -> int:
    """Write the corpus, or compare it."""
    wanted = {PEOPLE: people_text()} | {vector.path: vector.to_text() for vector in all_vectors()}
    there = {path for kind in (".", *KINDS) for path in (FOLDER / kind).glob("*.json")}
    differing = [path for path, text in wanted.items() if path not in there or path.read_text("utf-8") != text]
    for path in sorted([*differing, *(there - wanted.keys())]):
        print(path.relative_to(FOLDER))
    if words == ["--check"]:
        return 1 if differing or there - wanted.keys() else 0
    for path in there - wanted.keys():
        path.unlink()
    for path in differing:
        path.parent.mkdir(exist_ok=True)
        path.write_text(wanted[path], "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
