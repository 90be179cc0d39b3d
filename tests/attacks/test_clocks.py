"""Clocks and calendars that are set so that something which has ended lasts longer."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Iterator

import pytest

from cameo.errors import NotPermitted
from cameo.seal.consent import Agreement
from cameo.unlocking import unlock
from tests.attacks.conftest import ADA, USE, Lab, agreement, seal
from tests.attacks.test_revocation import publish, silence


def test_clock_set_back_to_before_the_grant_ended(lab: Lab) -> None:
    grant = lab.grant(expires_s=3600)
    lab.clock.offset = 3700
    lab.refused("expired", NotPermitted, lab.by(grant))
    lab.clock.offset = 0
    lab.refused("clock_set_back", NotPermitted, lab.by(grant))


def test_clock_set_back_to_keep_a_list_fresh(lab: Lab) -> None:
    grant = lab.grant()
    site = publish(lab)
    lab.open(lab.by(grant, status=site))
    silence(lab)
    for offset in range(100, 500, 100):
        lab.clock.offset = offset
        if offset <= 200:
            lab.open(lab.by(grant, status=site))
    lab.refused("status_stale", NotPermitted, lab.by(grant, status=site))
    lab.clock.offset = 100
    lab.refused("clock_set_back", NotPermitted, lab.by(grant, status=site))


def test_clock_set_back_for_the_owner_as_well(lab: Lab) -> None:
    lab.open(keys=ADA)
    lab.clock.offset = -3600
    lab.refused("clock_set_back", NotPermitted, keys=ADA)


def test_clock_set_back_while_the_double_is_open(lab: Lab) -> None:
    grant = lab.grant()
    with pytest.raises(NotPermitted) as caught, unlock(lab.double, USE, borrowed=lab.by(grant)) as opened:
        lab.clock.offset = -100
        opened.release()
    assert caught.value.code == "clock_set_back"
    assert lab.decisions() == [("allow", ""), ("withheld", "clock_set_back")]


@pytest.fixture
def west() -> Iterator[None]:
    """A day behind the rest of the world."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "XXX+23:59:59"
    time.tzset()
    yield
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


def _ended(lab: Lab) -> Agreement:
    yesterday = datetime.datetime.now(datetime.UTC).date() - datetime.timedelta(days=1)
    return agreement(
        f'[[purposes]]\nid = "birthday"\nvalid_until = {yesterday}', yesterday - datetime.timedelta(days=9)
    )


def test_consent_that_has_ended(lab: Lab) -> None:
    seal(lab.double, consent=_ended(lab))
    lab.refused("expired", NotPermitted, keys=ADA)


def test_time_zone_set_back_to_before_the_consent_ended(lab: Lab, west: None) -> None:
    """The clock runs right, only the place is far away: the day of the consent is the same everywhere."""
    seal(lab.double, consent=_ended(lab))
    lab.refused("expired", NotPermitted, keys=ADA)
