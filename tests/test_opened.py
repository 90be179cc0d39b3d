"""What an opened double says of itself, and what it keeps to itself."""

from __future__ import annotations

from cameo.seal.bundle import Bundle
from cameo.unlocking import Opened, unlock
from tests.lendable import Lendable, a_use


def test_opened_says_nothing_of_keys(lending: Lendable) -> None:
    with unlock(lending.double, a_use(), keys=lending.people.ada) as opened:
        public = {name for name in dir(opened) if not name.startswith("_")}
        said = {"bundle_id", "purpose", "grant", "ends", "terms", "consent_sha256", "receipt_sha256"}
        assert public == {"parts", "released", "release", "recheck", *said}
        assert isinstance(opened, Opened)
        assert (opened.grant, opened.ends) == ("", None)


def test_opened_says_which_grant_and_until_when(lending: Lendable) -> None:
    made = lending.grant(delegable=True)
    narrowed = lending.delegate(expires_s=60)
    for file, holder, granted in (
        ("bob.grant", lending.people.bob, made),
        ("tool.grant", lending.people.tool, narrowed),
    ):
        with unlock(lending.double, a_use(), borrowed=lending.borrowed(file, holder=holder)) as opened:
            assert opened.grant == made.id
            assert opened.ends == granted.expires.timestamp()
            record = Bundle.open(lending.double).verify(lending.people.ada.public)
            assert opened.consent_sha256 == record.manifest.consent_sha256
            assert opened.terms == record.consent.record.terms
