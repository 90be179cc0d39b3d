"""The verbs that look at a bundle without opening it."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

from cameo.cli import terminal
from cameo.cli.arguments import VerbParser
from cameo.crypto.keys import PublicKeys
from cameo.errors import UsageError
from cameo.seal.bundle import Bundle
from cameo.seal.consent import ConsentRecord, describe
from cameo.seal.manifest import Manifest

ASSURANCE = {
    "consistency-only": "consistency-only: tells whether a clip is one person, not who they are",
    "matched": "matched: the encoders' error rates on strangers are known",
    "none": "none: no encoder is named",
}


def verify(words: Sequence[str]) -> None:
    """Run `cameo verify`."""
    parser = VerbParser(
        "verify",
        "Check that FILE is whole and was sealed by its owner.\n\n"
        "Without --owner, the .pub file of the same name beside FILE is taken: then compare its fingerprint\n"
        "with the owner's.",
    )
    file, owner, as_json = _read(parser, words)
    given = owner or _beside(file)
    verified = Bundle.open(file).verify(PublicKeys.load(given))
    manifest = verified.manifest
    value = {
        "verified": True,
        "file": str(file),
        "sha256": verified.sha256,
        "size": verified.size,
        "bundle_id": manifest.bundle_id,
        "owner": manifest.owner,
        "owner_file": str(given),
        "created": manifest.created,
        "assurance": manifest.assurance,
        "consent_withdrawn": verified.consent.withdrawn,
        "parts": [part.name for part in manifest.parts],
    }
    note = "" if owner else "  (found beside the file: compare the fingerprint)"
    rows = [
        ("owner", manifest.owner),
        ("key", f"{given}{note}"),
        ("bundle", manifest.bundle_id),
        ("made", _moment(manifest.created)),
        ("assurance", ASSURANCE[manifest.assurance]),
        ("consent", "withdrawn" if verified.consent.withdrawn else "given"),
    ]
    terminal.result(value, as_json, [f"verified: {file} is whole and signed by its owner", *terminal.table(rows)])


def inspect(words: Sequence[str]) -> None:
    """Run `cameo inspect`."""
    parser = VerbParser("inspect", "Show what FILE holds and allows. Nothing of it is trusted unless --owner is given.")
    file, owner, as_json = _read(parser, words)
    bundle = Bundle.open(file)
    if owner:
        verified = bundle.verify(PublicKeys.load(owner))
        manifest, record = verified.manifest, verified.consent.record
        signature = f"valid, by the key in {owner}"
    else:
        manifest, record = bundle.claims, bundle.consent_claims()
        signature = "not checked: what follows is only what the file says (give --owner)"
    value = {
        "file": str(file),
        "sha256": bundle.sha256,
        "size": bundle.size,
        "signature": "valid" if owner else "not checked",
        "assurance": manifest.assurance,
        "manifest": manifest,
        "consent": record,
        "in_words": describe(record.terms),
    }
    rows = [("signature", signature), *_manifest_rows(manifest), *_consent_rows(record)]
    size = f"{terminal.size(bundle.size)} in {len(manifest.parts)} parts"
    terminal.result(value, as_json, [f"{file}: a double, {size}", *terminal.table(rows)])


def _read(parser: VerbParser, words: Sequence[str]) -> tuple[Path, Path | None, bool]:
    parser.add_argument("file", type=Path, metavar="FILE", help="the .cameo file")
    parser.add_argument("--owner", type=Path, metavar="PUB", help="the owner's .pub file")
    parser.add_json()
    options = parser.parse_args(words)
    return options.file, options.owner, options.json


def _manifest_rows(manifest: Manifest) -> list[tuple[str, str]]:
    rows = [
        ("owner", manifest.owner),
        ("bundle", manifest.bundle_id),
        ("made", _moment(manifest.created)),
        ("assurance", ASSURANCE[manifest.assurance]),
    ]
    for encoder in manifest.encoders:
        licence = f", {encoder.licence}" if encoder.licence else ""
        rows.append(("encoders", f"{encoder.modality}: {encoder.id} ({encoder.assurance}{licence})"))
    rows += [("generators", f"{entry.id} (base {entry.base_digest[:12]}…)") for entry in manifest.generators]
    rows += [("parts", f"{part.name}, {terminal.size(part.size)}, encrypted") for part in manifest.parts]
    rows += [("about", f"{name}: {value}") for name, value in manifest.about.items()]
    return rows


def _consent_rows(record: ConsentRecord) -> list[tuple[str, str]]:
    terms, act = record.terms, record.act
    how = {"interactive": "typed yes", "flag": "by --yes", "api": "through a program"}[act.method]
    rows = [("person", terms.name)] if terms.name else []
    purposes = ", ".join(purpose.id for purpose in terms.purposes)
    rows.append(("may be used for", purposes))
    rows += [("in detail", line) for line in describe(terms)]
    rows.append(("agreed", f"{how}; says to be an adult; liveness: {act.liveness}"))
    return rows


def _beside(file: Path) -> Path:
    pub = file.with_suffix(".pub")
    if not pub.is_file():
        raise UsageError(f"whose is {file}? there is no {pub.name} beside it", "give the owner's key: --owner ada.pub")
    return pub


def _moment(at: datetime.datetime) -> str:
    utc = at.astimezone(datetime.UTC)
    return f"{utc.day} {utc:%B %Y, %H:%M} UTC"
