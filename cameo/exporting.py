"""WORKFLOW: export the LoRA of a double as a plain file, for other programs. What has left so cannot be called back.

It is a use like any other, of an action of its own: consent and grant must name "export", and it is counted and on
record. Everything that holds a use to its scene, length or end is left behind with the seal.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from cameo.adapt.plain import Layout, plain_lora
from cameo.crypto.encoding import sha256_hex
from cameo.errors import UsageError
from cameo.files import atomic_file, require_free
from cameo.generators.comfy_names import require_comfy
from cameo.generators.shelf import family_targets
from cameo.records import ExportedLora, Use
from cameo.seal.bundle import Bundle
from cameo.seal.wording import day_in_words, describe_purpose
from cameo.staging import StrPath, offered_modalities
from cameo.unlocking import unlock

if TYPE_CHECKING:
    from cameo.crypto.provider import KeyProvider
    from cameo.unlocking import Borrowed, Opened

FORMAT = "1"  # of what the header says
OWNER = "owner"  # in the place of a grant's id
SUFFIX = ".safetensors"


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """Choose what is exported.

    Attributes:
        generator: the family it was tuned for, without weights: "wan", "ltx2", "hunyuanvideo" or "cogvideox".
        layout: "diffusers", as `pipe.load_lora_weights` reads it, or "comfyui", as ComfyUI's LoRA loader does.
        purpose: id of a purpose of the consent record; "" takes any that allows this, which only the owner may leave
            open.
        modalities: of "face" and "voice"; () takes the face, and the voice too where the double holds it for this
            generator, and consent and grant let it be heard.
        commercial: whether it is for a commercial end.
    """

    generator: str
    layout: Layout = "diffusers"
    purpose: str = ""
    modalities: tuple[str, ...] = ()
    commercial: bool = False


def export(
    bundle: StrPath,
    *,
    keys: KeyProvider | None = None,
    borrowed: Borrowed | None = None,
    out: StrPath,
    options: ExportOptions,
) -> ExportedLora:
    """Write the LoRA of one generator as a plain safetensors file: with the owner's keys, or with a grant.

    The tokens that stand for the person beside the words are not in it: no other program reads them.

    Args:
        bundle: the `.cameo` file.
        keys: the owner's, if the owner exports.
        borrowed: the grant, its holder and the host, if somebody else does. One of the two must be given.
        out: the file to write, `.safetensors`, for its owner's eyes only (mode 0600); it must not exist.
        options: what to export.

    Raises:
        UsageError: the double was not tuned for the generator, nothing else loads it, its names in ComfyUI are not
            known, or `out` does not end in .safetensors.
        NotVerified: the file, the grant or the proof is not what its signer signed.
        NotPermitted: the keys or the grant do not allow it; `code` says why. No file is left then.
        OutputError: `out` exists or cannot be written.
        CameoError: the ledger of uses cannot be written.
    """
    _require_name(out)
    families = family_targets(options.generator)
    if options.layout not in get_args(Layout):
        raise UsageError(f"there is no layout {options.layout!r}", f"the layouts are: {', '.join(get_args(Layout))}")
    if options.layout == "comfyui":
        require_comfy(options.generator)
    modalities = tuple(sorted(set(options.modalities))) or offered_modalities(
        bundle, options.generator, options.purpose, borrowed
    )
    _require_tuned(bundle, options.generator, modalities)
    use = Use(
        action="export",
        purpose=options.purpose,
        prompt="",
        generator=options.generator,
        outputs=("video", "audio") if "voice" in modalities else ("video",),
        modalities=modalities,
        seconds=0.0,
        pixels=0,
        commercial=options.commercial,
    )
    with unlock(bundle, use, keys=keys, borrowed=borrowed, generator_parts_only=True) as opened:
        targets = {modality: families[modality] for modality in modalities}
        facts = _facts(opened, options, modalities)
        data = plain_lora(options.generator, opened.parts, targets, options.layout, facts)
        digest = sha256_hex(data)
        with atomic_file(out, 0o600) as file:
            file.write(data)
            file.flush()
            # The file takes its name only when it may still leave.
            opened.release(digest)
    return ExportedLora(
        path=str(out),
        size=len(data),
        sha256=digest,
        layout=options.layout,
        generator=options.generator,
        modalities=modalities,
        bundle_id=opened.bundle_id,
        purpose=opened.purpose,
        receipt=opened.receipt_sha256,
    )


def _require_name(out: StrPath) -> None:
    if Path(out).suffix.lower() != SUFFIX:
        hint = f"choose a name that ends in {SUFFIX}"
        raise UsageError(f"a plain LoRA is a safetensors file, {out} is no name for one", hint)
    require_free(out)


def _require_tuned(bundle: StrPath, family: str, modalities: tuple[str, ...]) -> None:
    """Find out before a use is spent; what the file claims is enough for that."""
    claims = Bundle.open(bundle).claims
    held = {part.name for part in claims.parts}
    if family not in [entry.id for entry in claims.generators]:
        tuned = ", ".join(entry.id for entry in claims.generators) or "none"
        raise UsageError(f"this double was not tuned for {family}", f"it was for: {tuned}; see: cameo adapt --help")
    taught = [modality for modality in family_targets(family) if f"adapter.{family}.{modality}" in held]
    missing = [modality for modality in modalities if modality not in taught]
    if missing:
        raise UsageError(f"this double holds no {missing[0]} for {family}", "leave it out; see: cameo inspect")


def _facts(opened: Opened, options: ExportOptions, modalities: tuple[str, ...]) -> dict[str, str]:
    """Say in the header whose it is and what was allowed. Whoever has the file can change that: it is no proof."""
    terms = describe_purpose(opened.terms, opened.purpose)
    if opened.ends is not None:
        last = datetime.datetime.fromtimestamp(opened.ends, datetime.UTC).date()
        terms += f"; the grant ends on {day_in_words(last)}"
    return {
        "cameo.format": FORMAT,
        "cameo.double": opened.bundle_id,
        "cameo.generator": options.generator,
        "cameo.modalities": ",".join(modalities),
        "cameo.layout": options.layout,
        "cameo.grant_id": opened.grant or OWNER,
        "cameo.consent_sha256": opened.consent_sha256,
        "cameo.receipt_sha256": opened.receipt_sha256,
        "cameo.date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cameo.terms": f"biometric data of a person, who consented to: {terms}",
    }
