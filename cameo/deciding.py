"""Decide one request for a double: whether the right that is brought opens it for this use, and put it on record.

Two rights there are, so two kinds of session. `cameo.unlocking` leads them; nothing is decrypted before `reserve`.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from cameo.crypto.encoding import encode_json, sha256_hex
from cameo.errors import CameoError, NotPermitted, NotVerified, UsageError
from cameo.grants.check import Request, Target, check_request, require_time
from cameo.grants.grant import read_tokens, sealed_keys, verify_chain
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
    from cameo.unlocking import Borrowed

StrPath = str | os.PathLike[str]


def session_for(bundle: StrPath, use: Use, keys: KeyProvider | None, borrowed: Borrowed | None) -> Session:
    """Open the ledger for a request by one of the two rights.

    Raises:
        UsageError: not exactly one of `keys` and `borrowed` is given.
        CameoError: the ledger cannot be opened.
    """
    if keys is not None and borrowed is None:
        return Owned(bundle, use, Ledger(keys), keys)
    if borrowed is not None and keys is None:
        return Lent(bundle, use, Ledger(borrowed.host), borrowed)
    raise UsageError("a double opens with its owner's keys or with a grant", "give one of the two")


class Session:
    """Carry one request from the files to the receipt."""

    verified: VerifiedBundle
    receipt_sha256 = ""
    _nonce = ""
    _limits: Sequence[UseLimit] = ()

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

    @property
    def grant(self) -> str:
        """The id of the grant that allows the use; "" for the owner."""
        return self._entry.grant

    @property
    def ends(self) -> int | None:
        """When that grant ends, Unix seconds; None for the owner."""
        return None

    def decide(self) -> None:
        """Decide, or raise."""
        raise NotImplementedError

    def reserve(self) -> None:
        """Count the use and write the receipt that allows it, or raise; once it was decided."""
        receipt = self.ledger.reserve(self._nonce, self._limits, replace(self._entry, decision="allow"))
        self.receipt_sha256 = sha256_hex(encode_json(receipt))

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


class Owned(Session):
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
        self._nonce = self.ledger.nonce()

    def require_standing(self) -> None:
        """Check that the owner did not withdraw or erase it on this machine."""
        require_kept(self.verified.manifest.bundle_id)

    def decrypt(self, generator_parts_only: bool) -> dict[str, bytes]:
        """Decrypt with the owner's keys."""
        return self._read(unlock_as_owner(self.verified, self._keys), generator_parts_only)


class Lent(Session):
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
        # 5. What is spent: one use, and the nonce with it, before any key is touched.
        limits = [UseLimit(grant.iss, grant.jti, grant.scope.max_uses)]
        if delegation is not None:
            limits.append(UseLimit(delegation.iss, delegation.jti, delegation.scope.max_uses))
        self._nonce, self._limits = permit.nonce, limits

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

    @property
    def ends(self) -> int:
        """When the grant ends, or what was delegated of it."""
        return self._chain.exp

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
