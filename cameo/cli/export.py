"""The verb that writes what was tuned of a double as a plain file for other programs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from cameo.cli import terminal
from cameo.cli.arguments import VerbParser
from cameo.cli.rights import add_right, brought_right


def export(words: Sequence[str]) -> None:
    """Run `cameo export`."""
    options = _read(words)
    keys, borrowed = brought_right(options, "exported")
    # Only now: this loads the generator's libraries.
    from cameo.exporting import ExportOptions
    from cameo.exporting import export as run

    chosen = ExportOptions(
        generator=options.generator,
        layout=options.format,
        purpose=options.purpose,
        modalities=tuple(options.modality or ()),
        commercial=options.commercial,
    )
    made = run(options.file, keys=keys, borrowed=borrowed, out=options.out, options=chosen)
    # On stderr, so that whoever reads only the result with a program is still told.
    terminal.warn(f"{made.path} is not encrypted: whoever gets it can generate this person, and nothing calls it back")
    terminal.say("left behind: the tokens that stand for the person beside the words; no other program reads them,")
    terminal.say("so what it makes is less like the person there than what cameo cast makes")
    rows = [
        ("lora", f"{made.path}  {' and '.join(made.modalities)} for {made.generator}, {terminal.size(made.size)}"),
        ("loads in", _LOADS[made.layout]),
        ("of", f"double {made.bundle_id}"),
        ("for", f"{made.purpose}; on record, receipt {made.receipt[:16]}…: cameo audit"),
    ]
    terminal.result(asdict(made), options.json, terminal.table(rows))


_LOADS = {
    "diffusers": "diffusers: pipe.load_lora_weights, strength 1",
    "comfyui": "ComfyUI: put it into models/loras, LoraLoaderModelOnly, strength 1",
}


def _read(words: Sequence[str]) -> argparse.Namespace:
    parser = VerbParser(
        "export",
        "Write what was tuned of the double in FILE as a plain LoRA file, for other programs. Consent and grant\n"
        "must allow the action export. The file is not encrypted: no revocation reaches it, no rule for words\n"
        "holds there, and nobody learns what it is used for. That it was exported goes on record: cameo audit.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the .cameo file")
    add_right(parser, "exports")
    parser.add_argument("--commercial", action="store_true", help="it is for a commercial end")
    parser.add_argument("--generator", required=True, metavar="ID", help="wan, ltx2, hunyuanvideo or cogvideox")
    parser.add_argument(
        "--format", required=True, choices=("diffusers", "comfyui"), help="the names of its tensors: whose it is for"
    )
    parser.add_argument(
        "--modality",
        action="append",
        choices=("face", "voice"),
        help="export no more than this; may be repeated (default: what consent and grant allow)",
    )
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        required=True,
        metavar="LORA",
        help="the .safetensors file to write; none may be there",
    )
    parser.add_json()
    return parser.parse_args(words)
