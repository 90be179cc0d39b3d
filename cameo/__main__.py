"""Run the command line: `python -m cameo`."""

from __future__ import annotations

import sys

from cameo.cli import main

sys.exit(main())
