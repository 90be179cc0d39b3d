"""WORKFLOW: unlock a double for one use. The only public way from a request to a double's parts.

Two rights open a double: the owner's keys, or a grant together with its holder's proof, at the host it names. Whatever
is decided goes into the host's ledger as a signed receipt, refusals included. Nothing here loads a media library.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cameo.deciding import session_for
from cameo.errors import UsageError
from cameo.grants.grant import read_tokens, unverified_chain
from cameo.grants.ledger import Ledger
from cameo.grants.proof import sign_proof

if TYPE_CHECKING:
    from cameo.crypto.keys import PublicKeys
    from cameo.crypto.provider import KeyProvider
    from cameo.deciding import Session
    from cameo.grants.guard import PromptClassifier
    from cameo.records import Use

StrPath = str | os.PathLike[str]
GRACE_S = 300.0


@dataclass(frozen=True, slots=True)
class Borrowed:
    """Hold what somebody needs who is not the owner.

    Attributes:
        grant: the `.grant` file.
        host: the keys of the host, for whom the content keys are sealed and who signs the receipts.
        owner: the public keys the grant and the double must be signed by.
        holder: the keys of the friend, or of the tool they delegated to; None if `proof` is given.
        proof: made elsewhere, by `prove`, for a nonce of this host.
        status: where the owner publishes: a URL or a path; None takes the place the grant names, and without one the
            registry of this machine.
        grace_s: for how long a list that cannot be fetched again is still believed, in seconds.
        classifier: judges prompts beside the owner's word rules; it can only refuse more.
    """

    grant: StrPath
    host: KeyProvider
    owner: PublicKeys
    holder: KeyProvider | None = None
    proof: str | None = None
    status: str | None = None
    grace_s: float = GRACE_S
    classifier: PromptClassifier | None = None


class Opened:
    """Hold the parts of a double while they may be used. Made by `unlock` only.

    Attributes:
        bundle_id: of the double.
        parts: decrypted safetensors by name, of the modalities that were asked for.
        purpose: of the consent record, under which it was opened.
        grant: id of the grant, "" when the owner opened it.
        ends: when the grant ends, Unix seconds; None when the owner opened it.
        terms, consent_sha256: of the consent record.
        receipt_sha256: of the payload of the receipt that allows this use.
    """

    def __init__(self, session: Session, parts: Mapping[str, bytes]) -> None:
        self.bundle_id = session.verified.manifest.bundle_id
        self.parts = parts
        self.purpose, self.grant, self.receipt_sha256 = session.purpose, session.grant, session.receipt_sha256
        self.ends = session.ends
        self.terms = session.verified.consent.record.terms
        self.consent_sha256 = session.verified.manifest.consent_sha256
        self.released = False
        self._session = session

    def recheck(self) -> None:
        """Ask again whether the use still stands: now and then during long work.

        Raises:
            NotPermitted: it was revoked, or nobody can say.
        """
        self._session.require_standing()

    def release(self, output_sha256: str = "") -> None:
        """Ask for the last time, and record that the output leaves. Call it before anybody sees the output.

        Args:
            output_sha256: of the output file, hex, if there is one.

        Raises:
            NotPermitted: the use was revoked meanwhile; the output must be destroyed.
        """
        self.recheck()
        self._session.record("released", output_sha256=output_sha256)
        self.released = True


@contextmanager
def unlock(
    bundle: StrPath,
    use: Use,
    *,
    keys: KeyProvider | None = None,
    borrowed: Borrowed | None = None,
    generator_parts_only: bool = False,
) -> Iterator[Opened]:
    """Open a double for one use, for as long as the block runs.

    When the block ends well and `Opened.release` was not called, it is called then; when it ends badly, the receipt
    says "withheld". A use is counted before anything is decrypted, and stays counted.

    Args:
        bundle: the `.cameo` file.
        use: what for. With `keys`, `use.purpose` may be "": then any purpose of the consent record will do.
        keys: the owner's keys, if the owner asks.
        borrowed: the grant and what belongs to it, if somebody else does. One of the two must be given.
        generator_parts_only: leave out what `use.generator` does not need (templates, other generators' parts).

    Raises:
        UsageError: a file cannot be read, or not exactly one of `keys` and `borrowed` is given.
        NotVerified: the double, the grant or the proof is not what its signer signed.
        NotPermitted: with the code that says why; `docs/reference/error-codes.md` lists them.
        CameoError: the ledger cannot be written: then nothing opens.
    """
    with unlock_together([Asking(bundle, use, keys, borrowed, generator_parts_only)]) as (opened,):
        yield opened


@dataclass(frozen=True, slots=True)
class Asking:
    """Ask for one double of several that are opened together; the fields are the arguments of `unlock`."""

    bundle: StrPath
    use: Use
    keys: KeyProvider | None = None
    borrowed: Borrowed | None = None
    generator_parts_only: bool = False


@contextmanager
def unlock_together(asked: Sequence[Asking]) -> Iterator[list[Opened]]:
    """Open several doubles for one use, or none of them; every owner gets receipts of their own.

    Everybody is asked before the first use is counted: if one refuses, nothing was spent and nothing opened. A use can
    still turn out to be the last one while the others are counted; then those before it stay counted, and are on record
    as withheld. The block ends well only if every use still stands then.

    Raises:
        UsageError, NotVerified, NotPermitted, CameoError: as `unlock`; UsageError also for one double asked for twice.
    """
    with ExitStack() as open_now:
        sessions = [session_for(one.bundle, one.use, one.keys, one.borrowed) for one in asked]
        for session in sessions:
            open_now.enter_context(closing(session.ledger))
        for session in sessions:
            with session.denials_recorded():
                session.decide()
        ids = [session.verified.manifest.bundle_id for session in sessions]
        if len(set(ids)) < len(ids):
            raise UsageError("one double is asked for twice", "a person can be in a picture once")
        for session in sessions:
            with session.denials_recorded():
                session.reserve()
            open_now.enter_context(session.failures_recorded())
        pairs = zip(sessions, asked, strict=True)
        opened = [Opened(session, session.decrypt(one.generator_parts_only)) for session, one in pairs]
        yield opened
        release_together([one for one in opened if not one.released])


def release_together(opened: Sequence[Opened], output_sha256: str = "") -> None:
    """Ask all of them for the last time before it is on record of the first that the output leaves; see `release`.

    Should one be revoked between the two, its release still refuses: then the last receipt of all says "withheld".
    """
    for one in opened[1:]:  # the first is asked by its release
        one.recheck()
    for one in opened:
        one.release(output_sha256)


def prove(grant: StrPath, use: Use, holder: KeyProvider, host: str, nonce: str, now: float) -> str:
    """Prove, on the holder's machine, that they ask a host for this use; see `grants.proof.sign_proof`.

    Args:
        grant: the `.grant` file.
        use: exactly what the host will be asked.
        holder: the keys it was granted to.
        host: fingerprint of the host.
        nonce: from that host; see `draw_nonce`.
        now: Unix seconds.
    """
    return sign_proof(unverified_chain(read_tokens(grant)), use, holder, host, nonce, now)


def draw_nonce(host: KeyProvider) -> str:
    """Draw a nonce for a holder on another machine; it is good once, for two minutes."""
    with closing(Ledger(host)) as ledger:
        return ledger.nonce()
