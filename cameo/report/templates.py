"""Load the templates of pages: everything in them is escaped, and a value that is missing is an error."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from cameo.report import numbers


def environment() -> Environment:
    """Make the templates of this package loadable, with the filters of `numbers`."""
    made = Environment(
        loader=PackageLoader("cameo.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {name: getattr(numbers, name) for name in ("number", "likeness", "size", "duration")}
    return made
