"""The verb table: help, wrong calls, what goes to which stream, and what gets loaded."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

import cameo
from cameo.cli import VERBS, arguments, main, terminal
from cameo.errors import CameoError, NotVerified
from tests.lendable import Lendable

from .conftest import PASSPHRASE, Cli, Folder, run_process

HEAVY = ["numpy", "scipy", "torch", "torchaudio", "onnxruntime", "cv2", "av", "insightface", "speechbrain", "diffusers"]
LOADED = "import sys; from cameo.cli import main; status = main(sys.argv[1:]); "
# What lending needs, and looking at a double does not.
LENDING = ["sqlalchemy", "alembic", "rich", "httpx", "joserfc", "confusable_homoglyphs"]
REPORT = f"print('LOADED', [m for m in {[*HEAVY, 'matplotlib']!r} if m in sys.modules], status)"
EVERYTHING = f"print('LOADED', [m for m in {[*HEAVY, 'matplotlib', *LENDING]!r} if m in sys.modules], status)"


def test_help_lists_every_verb(cli: Cli) -> None:
    for words in (["--help"], ["-h"], ["help"]):
        shown = cli(*words)
        assert shown.status == 0
        assert shown.err == ""
        for name, verb in VERBS.items():
            assert f"  {name} " in shown.out
            assert verb.help in shown.out


def test_no_words_is_a_wrong_call_that_helps(cli: Cli) -> None:
    shown = cli()
    assert (shown.status, shown.out) == (2, "")
    assert "Usage: cameo VERB" in shown.err


def test_version(cli: Cli) -> None:
    assert cli("--version").out == f"cameo {cameo.__version__}\n"


@pytest.mark.parametrize("verb", [v for v in VERBS if importlib.util.find_spec(VERBS[v].target.split(":")[0])])
def test_every_verb_helps_and_checks_its_options(cli: Cli, verb: str) -> None:
    shown = cli(verb, "--help")
    assert shown.status == 0
    assert shown.out.startswith(f"usage: cameo {verb}")
    wrong = cli(verb, "--no-such-option")
    assert (wrong.status, wrong.out) == (2, "")
    error, hint = wrong.err.splitlines()
    assert error.startswith("error: ")
    assert hint == f"hint: see: cameo {verb} --help"


def test_unknown_verbs_get_a_suggestion(cli: Cli) -> None:
    assert cli("verfy").err.splitlines() == ["error: there is no verb 'verfy'", "hint: did you mean: cameo verify"]
    assert "the verbs are: keygen" in cli("xyz").err
    assert cli("xyz").status == 2


def test_options_are_not_guessed(cli: Cli, folder: Folder) -> None:
    assert cli("verify", folder.double, "--own", folder.pub).status == 2


@pytest.mark.parametrize("json_too", [[], ["--json"]])
def test_verifying_loads_neither_media_nor_lending(folder: Folder, json_too: list[str]) -> None:
    done = run_process("verify", folder.double, "--owner", folder.pub, *json_too, code=LOADED + EVERYTHING)
    assert done.stdout.splitlines()[-1] == "LOADED [] 0", done.stderr


@pytest.mark.parametrize("json_too", [[], ["--json"]])
def test_looking_at_a_double_loads_no_media_library(folder: Folder, home: Path, json_too: list[str]) -> None:
    words = ["inspect", folder.double, "--owner", folder.pub, *json_too]
    done = run_process(*words, code=LOADED + REPORT, CAMEO_HOME=str(home))
    assert done.stdout.splitlines()[-1] == "LOADED [] 0", done.stderr
    assert not home.exists(), "looking leaves nothing behind"


def test_lending_and_auditing_load_no_media_library(desk: Lendable, home: Path) -> None:
    env = {"CAMEO_HOME": str(home), "CAMEO_PASSPHRASE": PASSPHRASE}
    lend = ["ada.cameo", "--key", "ada.key", "--to", "bob.pub", "--host", "studio.pub", "--purpose", "birthday"]
    for words in (
        ["grant", *lend, "--delegable", "-o", "bob.grant"],
        ["delegate", "bob.grant", "--key", "bob.key", "--to", "tool.pub", "-o", "tool.grant"],
        ["inspect", "tool.grant", "--owner", "ada.pub"],
        ["revoke", "bob.grant", "--key", "ada.key"],
        ["status", "publish", "--key", "ada.key", "-o", "status"],
        ["status", "fetch", "status", "--owner", "ada.pub", "--host", "studio.key"],
        ["audit"],
        ["erase", "ada.cameo", "--yes"],
    ):
        done = run_process(*words, code=LOADED + REPORT, **env)
        assert done.stdout.splitlines()[-1] == "LOADED [] 0", (words, done.stderr)


def test_help_loads_nothing_heavy() -> None:
    assert run_process("--help", code=LOADED + EVERYTHING).stdout.splitlines()[-1] == "LOADED [] 0"
    assert run_process(code="import sys, cameo; status = 0; " + EVERYTHING).stdout.splitlines()[-1] == "LOADED [] 0"


def test_help_shows_how_to_lend() -> None:
    """Every line of the two stories at the end is one that its verb understands."""
    shown = run_process("--help").stdout
    assert all(len(line) < 120 for line in shown.splitlines())
    lines = [line.strip() for line in shown.splitlines() if line.startswith("  cameo ")]
    assert {line.split()[1] for line in lines} >= {"enroll", "grant", "cast", "revoke"}


def test_every_trust_door_opens_without_a_media_library() -> None:
    heavy = (
        "cameo.enrollment", "cameo.readapting", "cameo.casting", "cameo.exporting", "cameo.staging", "cameo.filming",
        "cameo.screenplay", "cameo.scoring", "cameo.probing", "cameo.condition.regions",
    )  # fmt: skip
    doors = [name for name, home in cameo._DOORS.items() if home not in heavy]
    assert len(doors) > 15
    code = f"import sys, cameo; [getattr(cameo, name) for name in {doors!r}]; status = 0; " + REPORT
    assert run_process(code=code).stdout.splitlines()[-1] == "LOADED [] 0"


def test_front_door_names_what_it_has() -> None:
    assert set(cameo._DOORS) <= set(dir(cameo))
    assert set(cameo.__all__) == {"__version__", *cameo._DOORS}
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = cameo.nothing


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def verb(_words: list[str]) -> None:
        raise error

    monkeypatch.setattr("cameo.cli.bundle.verify", verb)


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (NotVerified("no\ngood", "do\x1b[31m not"), 3, "error: no good\nhint: do\N{REPLACEMENT CHARACTER}[31m not\n"),
        (CameoError("plain"), 1, "error: plain\nhint: see: cameo --help\n"),
        (KeyboardInterrupt(), 130, "error: interrupted\nhint: nothing half-written was left; run the command again\n"),
    ],
)
def test_errors_are_two_lines(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int, said: str
) -> None:
    raising(monkeypatch, error)
    shown = cli("verify")
    assert (shown.status, shown.out, shown.err) == (status, "", said)


def test_a_bug_is_one_line_too_unless_asked(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    raising(monkeypatch, ZeroDivisionError("oops"))
    shown = cli("verify")
    assert shown.status == 1
    assert shown.err.startswith("error: unexpected ZeroDivisionError: oops\nhint: ")
    with pytest.raises(ZeroDivisionError):
        main(["--traceback", "verify"])


@pytest.mark.parametrize(("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colour_is_for_terminals_that_want_it(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, env: dict[str, str], coloured: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert ("\x1b[31m" in cli("verfy").err) == coloured


def test_no_colour_without_a_terminal(folder: Folder) -> None:
    done = run_process("verify", folder.double, "--owner", folder.stranger)
    assert done.returncode == 3
    assert "\x1b" not in done.stdout + done.stderr


def test_a_reader_that_leaves_is_no_error(folder: Folder) -> None:
    code = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-m', 'cameo', '--help'], stdout=-1, stderr=-1)"
    )
    done = run_process(code=code + "; p.stdout.close(); p.wait(); print(p.stderr.read().decode(), end='')")
    assert done.stdout == ""


def test_progress_reports_each_step_once(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.progress() as update:
        for label, share in (("reading", 0.0), ("reading", 0.5), ("tuning: loss 1", 0.1), ("tuning: loss 0.5", 0.2)):
            update(label, share)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "reading\ntuning\n")


def test_json_holds_what_lines_would_not(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.result({"a": 1, "text": "\x1b"}, True, ["not shown"])
    assert json.loads(capsys.readouterr().out) == {"a": 1, "text": "\x1b"}


@pytest.mark.parametrize(("answer", "status"), [("yes\n", 0), ("y\n", 0), ("no\n", 2), ("\n", 2), ("", 2)])
def test_agreement_is_typed(monkeypatch: pytest.MonkeyPatch, answer: str, status: int) -> None:
    import io

    stdin = io.StringIO(answer)
    stdin.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", stdin)
    try:
        terminal.confirm("Do you agree?", yes=False)
        found = 0
    except CameoError as error:
        found = error.exit_code
    assert found == status


def test_nobody_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    terminal.confirm("Do you agree?", yes=True)
    with pytest.raises(CameoError, match="no terminal") as caught:
        terminal.confirm("Do you agree?", yes=False)
    assert "--yes" in caught.value.hint


def test_verb_parser_raises_instead_of_exiting() -> None:
    parser = arguments.VerbParser("verify", "text")
    with pytest.raises(CameoError) as caught:
        parser.error("wrong")
    assert caught.value.exit_code == 2
