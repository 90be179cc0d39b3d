"""The verb that verifies a double, and what `cameo inspect` says of one. Neither opens it."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cameo.cli import terminal
from cameo.cli.arguments import VerbParser
from cameo.crypto.keys import PublicKeys
from cameo.errors import UsageError
from cameo.records import assurance_of, split_assurance
from cameo.seal.bundle import Bundle
from cameo.seal.captures import CAPTURES
from cameo.seal.consent import ConsentRecord
from cameo.seal.events import ConsentEvent, is_withdrawn
from cameo.seal.manifest import Manifest
from cameo.seal.wording import day_in_words, describe, sum_up

_ASSURANCE = {
    "consistency-only": "consistency-only: tells whether a clip is one person, not who they are",
    "matched": "matched: the encoders' error rates on strangers are known",
    "none": "none: no encoder is named",
}
_LIVE = "+ live: the recording answered a challenge, says whoever sealed it"


def verify(words: Sequence[str]) -> None:
    """Run `cameo verify`."""
    parser = VerbParser(
        "verify",
        "Check that FILE is whole and was sealed by its owner.\n\n"
        "Without --owner, the .pub file of the same name beside FILE is taken: then compare its fingerprint\n"
        "with the owner's.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the .cameo file")
    parser.add_argument("--owner", type=Path, metavar="PUB", help="the owner's .pub file")
    parser.add_json()
    options = parser.parse_args(words)
    file: Path = options.file
    given = options.owner or _beside(file)
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
        "assurance": verified.assurance,
        "live": verified.consent.record.live,
        "consent_withdrawn": verified.consent.withdrawn,
        "parts": [part.name for part in manifest.parts],
    }
    note = "" if options.owner else "  (found beside the file: compare the fingerprint)"
    rows = [
        ("owner", manifest.owner),
        ("key", f"{given}{note}"),
        ("bundle", manifest.bundle_id),
        ("made", terminal.moment(manifest.created)),
        *assurance_rows(verified.assurance),
        ("consent", "withdrawn" if verified.consent.withdrawn else "given"),
    ]
    lines = [f"verified: {file} is whole and signed by its owner", *terminal.table(rows)]
    terminal.result(value, options.json, lines)


def assurance_rows(assurance: str) -> list[tuple[str, str]]:
    """Say what the level of a double is worth: its encoders, and on a line of its own that it is live."""
    encoders, live = split_assurance(assurance)
    return [("assurance", line) for line in (_ASSURANCE[encoders], *([_LIVE] if live else []))]


def show_bundle(file: Path, owner: Path | None) -> tuple[dict[str, Any], list[str]]:
    """Say what a double holds and allows, as JSON members and as lines; verified first if `owner` is given.

    Raises:
        UsageError: a file cannot be read.
        NotVerified: it is no double, or not the owner's.
    """
    from cameo.lending import lent_to  # here: it opens the registry, which verifying does not need

    bundle = Bundle.open(file)
    if owner:
        verified = bundle.verify(PublicKeys.load(owner))
        manifest, record, events = verified.manifest, verified.consent.record, verified.consent.events
        signature = f"valid, by the key in {owner}"
    else:
        manifest, record, events = bundle.claims, bundle.consent_claims(), bundle.event_claims()
        signature = "not checked: what follows is only what the file says (give --owner)"
    lent = lent_to(manifest.bundle_id)
    assurance = assurance_of(manifest.assurance, record.live)
    in_short = sum_up(record.terms, is_withdrawn(events), lent)
    value = {
        "file": str(file),
        "kind": "double",
        "sha256": bundle.sha256,
        "size": bundle.size,
        "signature": "valid" if owner else "not checked",
        "assurance": assurance,
        "live": record.live,
        "in_short": in_short,
        "keeps_recording": manifest.part(CAPTURES) is not None,
        "lent_to": lent,
        "manifest": manifest,
        "consent": record,
        "events": events,
        "in_words": describe(record.terms),
    }
    rows = [("signature", signature), *_manifest_rows(manifest, assurance), *_consent_rows(record)]
    rows += [("events", _event(event)) for event in events]
    heading = f"{file}: a double, {terminal.size(bundle.size)} in {len(manifest.parts)} parts"
    return value, [heading, f"  {in_short}", *terminal.table(rows)]


def _beside(file: Path) -> Path:
    pub = file.with_suffix(".pub")
    if not pub.is_file():
        raise UsageError(f"whose is {file}? there is no {pub.name} beside it", "give the owner's key: --owner ada.pub")
    return pub


def _manifest_rows(manifest: Manifest, assurance: str) -> list[tuple[str, str]]:
    rows = [
        ("owner", manifest.owner),
        ("bundle", manifest.bundle_id),
        ("made", terminal.moment(manifest.created)),
        *assurance_rows(assurance),
    ]
    for encoder in manifest.encoders:
        licence = f", {encoder.licence}" if encoder.licence else ""
        rows.append(("encoders", f"{encoder.modality}: {encoder.id} ({encoder.assurance}{licence})"))
    rows += [("generators", f"{entry.id} (base {entry.base_digest[:12]}…)") for entry in manifest.generators]
    rows += [("parts", f"{part.name}, {terminal.size(part.size)}, encrypted") for part in manifest.parts]
    if manifest.part(CAPTURES) is not None:
        rows.append(("recording", "kept in the double; it opens with the owner's key only, never with a grant"))
    rows += [("about", f"{name}: {value}") for name, value in manifest.about.items()]
    return rows


def _consent_rows(record: ConsentRecord) -> list[tuple[str, str]]:
    terms, act = record.terms, record.act
    how = {"interactive": "typed yes", "flag": "by --yes", "api": "through a program"}[act.method]
    rows = [("person", terms.name or "not named")]
    rows += [("allowed", line) for line in describe(terms)]
    if not terms.jurisdiction:
        rows.append(("allowed", "no jurisdiction is named"))
    rows.append(("agreed", f"{how}; says to be an adult; liveness: {act.liveness}"))
    return rows


def _event(event: ConsentEvent) -> str:
    day = day_in_words(event.at.astimezone(datetime.UTC).date())
    if event.hand_over is None:
        return f"{event.kind} on {day}"
    return f"handed over on {day}, from {event.hand_over.old.fingerprint} to {event.hand_over.new.fingerprint}"
