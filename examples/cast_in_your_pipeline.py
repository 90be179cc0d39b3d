"""Cast a double that was lent to you in a pipeline of yours. Needs a Wan pipeline, and a double tuned for it.

python examples/cast_in_your_pipeline.py FOLDER ada.cameo bob.grant --as bob.key --host studio.key --owner ada.pub
"""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Sequence

import cameo


def main(arguments: Sequence[str] | None = None) -> int:
    """Cast; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pipeline", help="a folder of diffusers, or the name of one on the hub")
    parser.add_argument("double", help="the .cameo file")
    parser.add_argument("grant", help="the .grant file")
    parser.add_argument("--as", dest="holder", required=True, help="the .key file of who holds the grant")
    parser.add_argument("--host", required=True, help="the .key file of the host that is named in it")
    parser.add_argument("--owner", required=True, help="the owner's .pub file")
    parser.add_argument("--purpose", default="birthday")
    parser.add_argument("--prompt", default="a person talking to the camera")
    parser.add_argument("--frames", type=int)
    parser.add_argument("--size", type=int, nargs=2, metavar=("W", "H"))
    parser.add_argument("--out", default="clip.mp4")
    options = parser.parse_args(arguments)
    try:
        cast(options)
    except cameo.CameoError as error:
        print(f"error: {error.message}\nhint: {error.hint}", file=sys.stderr)
        return error.exit_code
    return 0


def cast(options: argparse.Namespace) -> None:
    """Load a stock pipeline, put the double in, call the pipeline as always, save the clip."""
    from diffusers import WanPipeline

    pipe = WanPipeline.from_pretrained(options.pipeline, use_safetensors=True)
    host, bob = (cameo.Keys.load(path, getpass.getpass(f"{path}: ")) for path in (options.host, options.holder))
    owner = cameo.PublicKeys.load(options.owner)
    lent = cameo.Borrowed(options.grant, host=host, owner=owner, holder=bob)
    size = tuple(options.size) if options.size else None
    scene = cameo.CastOptions(options.purpose, options.prompt, frames=options.frames, size=size)
    with cameo.plug(pipe, options.double, borrowed=lent, options=scene) as stage:
        made = pipe(prompt=scene.prompt, output_type="np")  # with the length, size and seed of the scene
        stage.save(options.out, made.frames)


if __name__ == "__main__":
    sys.exit(main())
