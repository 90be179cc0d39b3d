"""Check a double you were given, and read what its owner allows: needs their .pub file, no key, no media library.

python examples/verify_a_double.py ada.cameo ada.pub
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cameo
from cameo.seal.wording import describe


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify one file and print its consent; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("double", type=Path, help="the .cameo file")
    parser.add_argument("owner", type=Path, help="the owner's .pub file, got from the owner")
    options = parser.parse_args(arguments)
    try:
        owner = cameo.PublicKeys.load(options.owner)
        verified = cameo.Bundle.open(options.double).verify(owner)
    except cameo.CameoError as error:
        print(f"error: {error.message}\nhint: {error.hint}", file=sys.stderr)
        return error.exit_code

    record = verified.consent.record
    print(f"{options.double} is whole, and sealed by {owner.fingerprint}")
    print(f"its likeness scores are {verified.manifest.assurance}")
    print("consent was withdrawn: do not use it" if verified.consent.withdrawn else "its owner allows:")
    for line in describe(record.terms):
        print(f"  {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
