"""The command line: a table of verbs, of which only the one that is called gets loaded."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

from cameo.cli import terminal
from cameo.errors import CameoError, UsageError


class Verb(NamedTuple):
    """Point to the function of a verb, as "module:function", and say in a line what it does.

    The function takes the words after the verb, and raises a `CameoError` when it fails.
    """

    target: str
    help: str


VERBS = {
    "keygen": Verb("cameo.cli.keys:keygen", "make keys, for owner, friend or host: a protected .key and a .pub file"),
    "sample": Verb("cameo.cli.sample:sample", "render a talking person who does not exist, to try things with"),
    "capture": Verb("cameo.cli.capture:capture", "record a selfie with a webcam, guided"),
    "challenge": Verb("cameo.cli.challenge:challenge", "draw what a recording must answer to count as live"),
    "enroll": Verb("cameo.cli.enroll:enroll", "turn a selfie video into a sealed double"),
    "adapt": Verb("cameo.cli.adapt:adapt", "tune a double for one more generator, from the recording it keeps"),
    "inspect": Verb("cameo.cli.inspect:inspect", "show what any file of cameo's says, in plain words"),
    "verify": Verb("cameo.cli.bundle:verify", "check that a double is whole and its owner's"),
    "cast": Verb("cameo.cli.cast:cast", "generate a clip of a double, with its owner's key or with a grant"),
    "film": Verb("cameo.cli.film:film", "cast several doubles together, or shot by shot, as a scene file says"),
    "export": Verb("cameo.cli.export:export", "write a plain LoRA for other programs, where it is allowed"),
    "grant": Verb("cameo.cli.lend:grant", "lend a double to somebody, for named purposes, at one host"),
    "delegate": Verb("cameo.cli.lend:delegate", "narrow a grant you hold for another key"),
    "group": Verb("cameo.cli.group:group", "keep a list of people that a double is lent to together"),
    "revoke": Verb("cameo.cli.lend:revoke", "take a grant back, or the consent to a double"),
    "status": Verb("cameo.cli.status:status", "publish what is revoked, or take it in: publish, serve, fetch"),
    "consent": Verb("cameo.cli.custody:consent", "change what a double allows, from now on"),
    "audit": Verb("cameo.cli.audit:audit", "show every use of a double, and every refusal"),
    "erase": Verb("cameo.cli.custody:erase", "destroy a double on this machine, and all that was lent of it"),
    "rekey": Verb("cameo.cli.custody:rekey", "hand a double over to another key of its owner"),
    "bench": Verb("cameo.cli.bench:bench", "measure likeness of generated clips, and what an adapter gives back"),
    "models": Verb("cameo.cli.models:models", "show, download and check weights of recognisers that do not ship"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit status: 0, or that of the error (design §7)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    traceback = words[:1] == ["--traceback"]
    if traceback:
        words = words[1:]
    _hush_libraries()
    _share_cores()
    try:
        status = _run(words)
        sys.stdout.flush()
        return status
    except CameoError as error:
        if traceback:
            raise
        return terminal.fail(error)
    except SystemExit as stop:  # --help of a verb has printed its text
        return stop.code if isinstance(stop.code, int) else 0
    except KeyboardInterrupt:
        return terminal.interrupted()
    except BrokenPipeError:
        terminal.close_stdout()
        return 1
    except Exception as error:
        if traceback:
            raise
        kind = type(error).__name__
        hint = "this is a bug or a broken installation; see it in full with: cameo --traceback …"
        return terminal.fail(CameoError(f"unexpected {kind}: {error}", hint))


def _hush_libraries() -> None:
    """Keep what libraries tell developers off the user's terminal, unless asked for with `python -W`."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    for library in ("DIFFUSERS", "TRANSFORMERS"):
        os.environ.setdefault(f"{library}_VERBOSITY", "error")


def _share_cores() -> None:
    """Let waiting threads sleep: two enrolments at once, or a busy machine, otherwise take twenty times as long."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _run(words: list[str]) -> int:
    """Answer for the whole, or load a verb and hand it its words."""
    if not words or words[0] in ("--help", "-h", "help"):
        print(_help(), file=sys.stdout if words else sys.stderr)
        return 0 if words else UsageError.exit_code
    name = words[0]
    if name == "--version":
        from cameo import __version__

        print(f"cameo {__version__}")
        return 0
    verb = VERBS.get(name)
    if verb is None:
        from difflib import get_close_matches

        near = get_close_matches(name, VERBS, 1)
        hint = f"did you mean: cameo {near[0]}" if near else f"the verbs are: {', '.join(VERBS)}"
        raise UsageError(f"there is no verb {name!r}", hint)
    module, function = verb.target.split(":")
    getattr(import_module(module), function)(words[1:])
    return 0


def _help() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {name:<{width}}  {verb.help}" for name, verb in VERBS.items())
    return f"""\
Usage: cameo VERB [OPTIONS]

Turn a selfie and a voice into a double: a signed, encrypted file that its owner lends and takes back.

Verbs:
{verbs}

Options:
  --help       this text; `cameo VERB --help` says more about one
  --version    the version
  --traceback  before the verb: show where an error came from

A first double:
  cameo sample selfie.mp4
  cameo keygen --out ada.key
  cameo enroll selfie.mp4 --key ada.key --out ada.cameo --report ada.html
  cameo cast ada.cameo --key ada.key --out clip.mp4

Lend it, and take it back:
  cameo grant ada.cameo --key ada.key --to bob.pub --host studio.pub --purpose birthday --out bob.grant
  cameo cast ada.cameo --grant bob.grant --as bob.key --host studio.key --purpose birthday --out clip.mp4
  cameo revoke bob.grant --key ada.key"""
