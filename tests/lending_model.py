"""What should be so while doubles are lent, taken back and used: a few sets and numbers, none of them signed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cameo.crypto.keys import Keys

START = 1_800_000_000
GRACE_S, TOLERANCE_S, SKEW_S, LIST_SKEW_S = 300, 60, 60, 30


@dataclass
class Link:
    """Hold what the model knows of a grant, or of a delegation of `parent`."""

    path: Path
    purposes: tuple[str, ...]
    max_uses: int | None
    nbf: int
    exp: int
    holder: Keys
    delegable: bool = False
    published: bool = False
    place: int = -1
    used: int = 0
    revoked: bool = False
    parent: Link | None = None

    @property
    def root(self) -> Link:
        return self.parent or self

    @property
    def all_links(self) -> list[Link]:
        return [self.root, self] if self.parent else [self]


@dataclass(frozen=True)
class List:
    """Hold what a status list says."""

    seq: int
    iat: int
    revoked: frozenset[int]


@dataclass
class Model:
    """Hold what should be so."""

    now: int = START
    highest: int = 0
    withdrawn: bool = False
    seq: int = 1
    grants: list[Link] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    # What hosts can fetch, what this one has seen, and what it was told by statements.
    standing_there: List | None = None
    seen: List | None = None
    told: set[int] = field(default_factory=set)

    @property
    def now_revoked(self) -> frozenset[int]:
        return frozenset(grant.place for grant in self.grants if grant.revoked)

    def clock_is_back(self) -> bool:
        """Whether the host notices that its clock was set back; it remembers the time if not."""
        self.highest = max(self.highest, self.now)
        return self.highest - self.now > TOLERANCE_S

    def take(self, found: List | None) -> str:
        """Let the host see a list; the code if it refuses that."""
        if found is None:
            return ""
        if self.seen is None:
            self.seen = found
            return ""
        if found.seq < self.seen.seq:
            return "status_rollback"
        kept = self.seen.iat if found.iat < self.seen.iat <= self.now + LIST_SKEW_S else found.iat
        self.seen = List(found.seq, kept, self.seen.revoked | found.revoked)
        return ""

    def refusal(self, link: Link, purpose: str, holder: Keys, old_file: bool, just_looking: bool = False) -> str:
        """Why a use is refused; "" if it is not, and then it is counted (unless we are `just_looking`)."""
        if self.clock_is_back():
            return "clock_set_back"
        if self.withdrawn and not old_file:
            return "withdrawn"
        if self.now < max(each.nbf for each in link.all_links) - SKEW_S:
            return "not_yet"
        if self.now >= min(each.exp for each in link.all_links):
            return "expired"
        if holder is not link.holder:
            return "wrong_holder"
        if not all(purpose in each.purposes for each in link.all_links):
            return "wrong_purpose"
        return "" if just_looking else self._not_standing(link.root) or self._count(link)

    def _not_standing(self, grant: Link) -> str:
        if self.withdrawn:
            return "withdrawn"
        local = List(self.seq, self.now, self.now_revoked)
        refused = self.take(self.standing_there if grant.published else local)
        if refused:
            return refused
        if grant.place in self.told:
            return "revoked"
        if self.seen is None:
            return "status_unknown"
        if grant.place in self.seen.revoked:
            return "revoked"
        fresh = self.now - GRACE_S <= self.seen.iat <= self.now + LIST_SKEW_S
        return "" if fresh else "status_stale"

    @staticmethod
    def _count(link: Link) -> str:
        if any(each.max_uses is not None and each.used >= each.max_uses for each in link.all_links):
            return "uses_exhausted"
        for each in link.all_links:
            each.used += 1
        return ""
