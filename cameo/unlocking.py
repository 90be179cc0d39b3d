"""WORKFLOW: unlock a double for one use. The only public way from a request to a double's parts.

Two rights open a double: the owner's keys, or a grant together with its holder's proof, at the host it names. Whatever
is decided goes into the host's ledger as a signed receipt, refusals included. Nothing here loads a media library.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cameo.crypto.encoding import encode_json, sha256_hex
from cameo.errors import CameoError, NotPermitted, NotVerified, UsageError
from cameo.grants.check import Request, Target, check_request, require_time
from cameo.grants.grant import read_tokens, sealed_keys, unverified_chain, verify_chain
from cameo.grants.guard import PromptRefused, list_digest, require_prompt
from cameo.grants.ledger import Ledger, UseLimit
from cameo.grants.proof import sign_proof, use_sha256
from cameo.grants.receipt import Entry
from cameo.grants.scope import require_possible
from cameo.grants.status import status_uri
from cameo.hearing import newest_group, require_kept, take_list
from cameo.seal.bundle import Bundle
from cameo.seal.terms import any_purpose, require_allowed
from cameo.seal.unlock import unlock_as_host, unlock_as_owner

if TYPE_CHECKING:
    from cameo.crypto.keys import PublicKeys
    from cameo.crypto.provider import KeyProvider
    from cameo.grants.grant import Chain
    from cameo.grants.group import Group
    from cameo.grants.guard import PromptClassifier
    from cameo.grants.receipt import Decision
    from cameo.records import Use
    from cameo.seal.bundle import VerifiedBundle
    from cameo.seal.terms import Audience
    from cameo.seal.unlock import ContentKeys

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
        receipt_sha256: of the payload of the receipt that allows this use.
    """

    def __init__(self, session: _Session, parts: Mapping[str, bytes]) -> None:
        self.bundle_id = session.verified.manifest.bundle_id
        self.parts = parts
        self.purpose, self.receipt_sha256 = session.purpose, session.receipt_sha256
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
    session: _Session
    if keys is not None and borrowed is None:
        session = _Owned(bundle, use, Ledger(keys), keys)
    elif borrowed is not None and keys is None:
        session = _Lent(bundle, use, Ledger(borrowed.host), borrowed)
    else:
        raise UsageError("a double opens with its owner's keys or with a grant", "give one of the two")
    with closing(session.ledger):
        with session.denials_recorded():
            session.decide()
        with session.failures_recorded():
            opened = Opened(session, session.decrypt(generator_parts_only))
            yield opened
            if not opened.released:
                opened.release()


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


class _Session:
    """Carry one request from the files to the receipt."""

    verified: VerifiedBundle
    receipt_sha256 = ""

    def __init__(self, bundle: StrPath, use: Use, ledger: Ledger) -> None:
        self.use = use
        self.ledger = ledger
        self._bundle = bundle
        self._entry = Entry(
            "deny",
            purpose=use.purpose[:64],
            action=use.action,
            generator=use.generator[:64],
            seconds=use.seconds,
        )

    @property
    def purpose(self) -> str:
        """The purpose of the consent record that allows the use."""
        return self._entry.purpose

    def decide(self) -> None:
        """Decide, count the use and write the receipt, or raise."""
        raise NotImplementedError

    def decrypt(self, generator_parts_only: bool) -> dict[str, bytes]:
        """Decrypt the parts of the modalities asked for."""
        raise NotImplementedError

    def require_standing(self) -> None:
        """Raise when the use does not stand any more."""
        raise NotImplementedError

    @contextmanager
    def denials_recorded(self) -> Iterator[None]:
        """Write a receipt for a refusal on its way out."""
        try:
            yield
        except (NotPermitted, NotVerified) as error:
            self.ledger.record(replace(self._entry, decision="deny", code=error.code))
            raise

    @contextmanager
    def failures_recorded(self) -> Iterator[None]:
        """Write a receipt when a use that was allowed ends without its output."""
        try:
            yield
        except BaseException as error:
            code = error.code if isinstance(error, CameoError) else "failed"
            self.record("withheld", code)
            raise

    def record(self, decision: Decision, code: str = "", output_sha256: str = "") -> None:
        """Write a receipt about this request."""
        self.ledger.record(replace(self._entry, decision=decision, code=code, output_sha256=output_sha256))

    def _begin(self) -> None:
        """Look at the request itself, whoever asks: it must be one that can be signed and recorded."""
        self.ledger.tick()
        self._entry = replace(self._entry, request_sha256=use_sha256(self.use))
        require_possible(self.use)

    def _reserve(self, nonce: str, limits: Sequence[UseLimit]) -> None:
        receipt = self.ledger.reserve(nonce, limits, replace(self._entry, decision="allow"))
        self.receipt_sha256 = sha256_hex(encode_json(receipt))

    def _verify(self, owner: PublicKeys) -> None:
        self.verified = Bundle.open(self._bundle).verify(owner)
        manifest = self.verified.manifest
        self._entry = replace(
            self._entry,
            bundle_id=manifest.bundle_id,
            owner=manifest.owner,
            consent_sha256=manifest.consent_sha256,
        )
        if self.verified.consent.withdrawn:
            raise NotPermitted("the consent to this double was withdrawn", "it must not be used any more", "withdrawn")

    def _require_consent(self, audience: Audience) -> None:
        """Hold the use against the consent record, which the grant can never exceed."""
        terms = self.verified.consent.record.terms
        # Of the host's clock, which cannot run backwards, and in UTC, as the days of the record.
        day = datetime.datetime.fromtimestamp(self.ledger.tick(), datetime.UTC).date()
        if self.use.purpose:
            require_allowed(terms, self.use, audience, day)
        else:
            purpose = any_purpose(terms, self.use, audience, day)
            self._entry = replace(self._entry, purpose=purpose.id)

    def _require_prompt(self, classifier: PromptClassifier | None) -> None:
        """Hold the prompt against the rules that the owner signed."""
        terms = self.verified.consent.record.terms
        edition = terms.guard.sha256 or list_digest()
        purpose = self._entry.purpose
        try:
            require_prompt(self.use.prompt, terms.prohibited, terms.words, purpose, edition, classifier)
        except PromptRefused as refusal:
            self._entry = replace(self._entry, rule=refusal.decision.rule)
            raise

    def _read(self, content: ContentKeys, generator_parts_only: bool) -> dict[str, bytes]:
        names = [
            part.name
            for part in self.verified.manifest.parts
            if part.modality in self.use.modalities
            and (not generator_parts_only or part.name.split(".")[1:2] == [self.use.generator])
        ]
        return {name: self.verified.read_part(name, content) for name in names}


class _Owned(_Session):
    """Open a double for its owner. Receipts are theirs, in a ledger of their own."""

    def __init__(self, bundle: StrPath, use: Use, ledger: Ledger, keys: KeyProvider) -> None:
        super().__init__(bundle, use, ledger)
        self._keys = keys

    def decide(self) -> None:
        """1. The double is whole and theirs. 2. The consent reaches the use. 3. So do its words."""
        self._entry = replace(self._entry, holder=self._keys.public.fingerprint)
        self._begin()
        self._verify(self._keys.public)
        self.require_standing()
        self._require_consent("owner")
        self._require_prompt(None)
        self._reserve(self.ledger.nonce(), [])

    def require_standing(self) -> None:
        """Check that the owner did not withdraw or erase it on this machine."""
        require_kept(self.verified.manifest.bundle_id)

    def decrypt(self, generator_parts_only: bool) -> dict[str, bytes]:
        """Decrypt with the owner's keys."""
        return self._read(unlock_as_owner(self.verified, self._keys), generator_parts_only)


class _Lent(_Session):
    """Open a double through a grant, at the host it names."""

    _chain: Chain

    def __init__(self, bundle: StrPath, use: Use, ledger: Ledger, borrowed: Borrowed) -> None:
        super().__init__(bundle, use, ledger)
        self._by = borrowed

    def decide(self) -> None:
        """Decide in the order of design §2, the first refusal wins."""
        by, host = self._by, self._by.host.public.fingerprint
        self._begin()
        now = self.ledger.tick()
        # 1. The double and the grant are the owner's.
        self._verify(by.owner)
        self._chain = chain = verify_chain(read_tokens(by.grant), by.owner)
        grant, delegation = chain.grant, chain.delegation
        self._entry = replace(self._entry, grant=grant.jti, delegation=delegation.jti if delegation else "")
        # 2. The grant is for this double, host, time, holder and use.
        proof = by.proof if by.proof is not None else self._proof(now)
        verified = self.verified
        target = Target(verified.manifest.bundle_id, verified.sha256, verified.manifest.consent_sha256)
        permit = check_request(chain, Request(self.use, proof, self._group()), target, host, now, self._name_holder)
        # 3. The consent record reaches this use, and the rules in it let the prompt pass.
        self._require_consent(grant.audience)
        self._require_prompt(by.classifier)
        # 4. It is not revoked.
        self.require_standing()
        # 5. One use is spent, the nonce with it, before any key is touched.
        limits = [UseLimit(grant.iss, grant.jti, grant.scope.max_uses)]
        if delegation is not None:
            limits.append(UseLimit(delegation.iss, delegation.jti, delegation.scope.max_uses))
        self._reserve(permit.nonce, limits)

    def require_standing(self) -> None:
        """Check that the grant has not ended, and look at the newest status list there is."""
        require_time(self._chain, self.ledger.tick())
        status = self._chain.grant.status.status_list
        # Even an erased or withdrawn double of this machine's own has its grants revoked; this says it more plainly.
        require_kept(self.verified.manifest.bundle_id)
        if status.uri != status_uri(self._by.owner.fingerprint):
            raise NotVerified("the grant points to another owner's status list", "do not use it", "wrong_list")
        take_list(self._published_at(), self._by.owner, self._chain.grant.jti, self.ledger)
        now, bundle_id = self.ledger.tick(), self.verified.manifest.bundle_id
        self.ledger.standing(status.uri, status.idx, now, self._by.grace_s, bundle_id)

    def decrypt(self, generator_parts_only: bool) -> dict[str, bytes]:
        """Decrypt with the keys in the grant, which only this host can unwrap."""
        grant = self._chain.grant
        wrapped = {m: key for m, key in sealed_keys(grant).items() if m in self.use.modalities}
        content = unlock_as_host(self.verified, wrapped, self._by.host, grant.jti)
        return self._read(content, generator_parts_only)

    def _name_holder(self, fingerprint: str) -> None:
        self._entry = replace(self._entry, holder=fingerprint)

    def _proof(self, now: float) -> str:
        if self._by.holder is None:
            raise UsageError("a grant needs its holder's keys, or a proof made with them", "give holder or proof")
        host = self._by.host.public.fingerprint
        return sign_proof(self._chain, self.use, self._by.holder, host, self.ledger.nonce(), now)

    def _published_at(self) -> str | None:
        return self._by.status or self._chain.grant.status_at or None

    def _group(self) -> Group | None:
        """Get the newest list of the group the grant names; there is no grace for it."""
        group_id = self._chain.grant.group
        if not group_id:
            return None
        owner = self._by.owner
        group = newest_group(self._published_at(), owner, group_id)
        self.ledger.seen_group(owner.fingerprint, group_id, group.seq, sha256_hex(encode_json(group)))
        return group
