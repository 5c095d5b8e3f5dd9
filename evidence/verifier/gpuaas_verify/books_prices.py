"""What applies to whom and when: contracts/rating.md sections 1, 4 and 10.

An entry is `[effective, position, pico, divisor, shape]`; its shape is None for one price whatever
the quantity, else `[free, [[up to or null, pico], ...], minimum]`.
"""

import re
from bisect import bisect_left, bisect_right, insort
from itertools import pairwise
from operator import itemgetter
from typing import Any

from gpuaas_verify.books_spill import Spill
from gpuaas_verify.errors import Invalid

NOWHERE = "-"  # the region of what is in none, and of what counts in each
LIST = "-"  # the book of what prices by itself
RESERVED = "reserved"  # the state of what needs no price, and costs nothing without one
EFFECTIVE = itemgetter(0)
REGION, LONGEST = re.compile("[a-z][a-z0-9]*(-[a-z0-9]+)*"), 32
NUL = "\x00"  # joins keys; no string of an entry may contain it, and it sorts before all

type Row = dict[str, Any]
type Reratings = list[list[Any]]  # [from, until, book, edition, to all], the latest last


def is_region(word: str) -> bool:
    """Whether it is the name of one."""
    return len(word) <= LONGEST and REGION.fullmatch(word) is not None


def round_half_even(numerator: int, divisor: int) -> int:
    """`numerator / divisor` to the nearest integer, a tie to the even one. `divisor` > 0."""
    whole, rest = divmod(numerator, divisor)
    if 2 * rest > divisor or (2 * rest == divisor and whole % 2 == 1):
        whole += 1
    return whole


def graduated(entry: list[Any], before: int, quantity: int) -> int:
    """What `quantity` units cost that come after `before` others of the pool."""
    _, _, pico, divisor, shape = entry
    if shape is None:
        return round_half_even(quantity * pico, divisor)
    free, tiers, minimum = shape
    if before + quantity <= free or not quantity:
        return 0

    def upto(units: int) -> int:
        """The numerator of the price of the first so many units."""
        rest, floor, sum_ = max(units - free, 0), 0, 0
        for up_to, price in tiers:
            width = rest if up_to is None else min(rest, up_to - floor)
            sum_ += width * price
            rest -= width
            floor = up_to
        return sum_

    due = round_half_even(upto(before + quantity) - upto(before), divisor)
    return max(due, minimum)


def anywhere(scope: tuple[str, ...]) -> tuple[str, ...]:
    """The same in no region."""
    return (*scope[:2], NOWHERE, *scope[3:])


class Quotes:
    """The entries that may apply to one account and scope, by the book they are of."""

    optional = False  # where nothing applies, nothing is charged

    def __init__(self, reratings: Reratings, books: dict[tuple[str, int], list[list[Any]]]) -> None:
        self.reratings = reratings
        self.books = books

    def before(self, reratings: Reratings) -> "Quotes":
        """The same with other re-ratings, of the same books or fewer."""
        return Quotes(reratings, self.books)

    def at(self, instant: int) -> list[Any] | None:
        """The entry that applies, or None."""
        for start, end, book, edition, _ in reversed(self.reratings):
            if start <= instant < end:
                found = None if book == LIST else self._of((book, edition), instant)
                return found or self._of((LIST, 0), instant)
        return self._of((LIST, 0), instant)

    def _of(self, book: tuple[str, int], instant: int) -> list[Any] | None:
        # The account's own, then the default ones; of each those of the region, then of none.
        for entries in self.books[book]:
            index = bisect_right(entries, instant, key=EFFECTIVE)
            if index:
                entry: list[Any] = entries[index - 1]
                return entry
        return None

    def cuts(self, a: int, b: int) -> set[int]:
        """Instants within `(a, b)` at which another entry may apply."""
        found = {edge for one in self.reratings for edge in one[:2] if a < edge < b}
        for book in self.books.values():
            for entries in book:
                low = bisect_right(entries, a, key=EFFECTIVE)
                high = bisect_left(entries, b, key=EFFECTIVE)
                found.update(entry[0] for entry in entries[low:high])
        return found


class Listed(Quotes):
    """Those of what costs nothing where the list has no entry, whatever a book has."""

    optional = True

    def before(self, reratings: Reratings) -> "Listed":
        return Listed(reratings, self.books)

    def at(self, instant: int) -> list[Any] | None:
        return super().at(instant) if self._of((LIST, 0), instant) else None


class Held(Quotes):
    """The entries that a prepaid resource is held for, where re-ratings to all make none dearer."""

    def __init__(self, fixed: list[list[Any]], said: Quotes) -> None:
        super().__init__([one for one in said.reratings if one[4]], said.books)
        self.optional = said.optional
        self._fixed = fixed

    def before(self, reratings: Reratings) -> "Held":
        kind = Listed if self.optional else Quotes
        return Held(self._fixed, kind(reratings, self.books))

    def at(self, instant: int) -> list[Any] | None:
        index = bisect_right(self._fixed, instant, key=EFFECTIVE)
        if not index:
            return None
        held: list[Any] = self._fixed[index - 1]
        covered = any(start <= instant < end for start, end, *_ in self.reratings)
        said = super().at(instant) if covered else None
        return held if said is None or _dearer(said, held) else said

    def cuts(self, a: int, b: int) -> set[int]:
        return super().cuts(a, b) | {one[0] for one in self._fixed if a < one[0] < b}


def _dearer(one: list[Any], other: list[Any]) -> bool:
    """Whether any unit of the one may cost more than some of the other, or it has a minimum."""
    free, tiers, minimum = one[4] or [0, [[None, one[2]]], 0]
    top = max(pico for _, pico in tiers)
    free, tiers, _ = other[4] or [0, [[None, other[2]]], 0]
    low = 0 if free else min(pico for _, pico in tiers)
    return bool(minimum) or bool(top * other[3] > low * one[3])


class Prices:
    """Every entry published, edition made whole, commitment and re-rating, in the spill given."""

    def __init__(self, spill: Spill) -> None:
        self._spill = spill

    def linear(self, position: int, _entry: Row, fact: Row) -> None:
        """One price whatever the quantity; of the list."""
        self._publish(position, fact, (LIST, 0), fact["price_pico"], None)

    def shaped(self, position: int, _entry: Row, fact: Row) -> None:
        """An entry of tiers; of the list, or of the edition of a book that comes next."""
        book, edition = fact["book"], fact["edition"]
        if edition != (0 if book == LIST else self._edition(book) + 1):
            raise Invalid("books.price", "not the next edition", position=position, field="edition")
        tiers = [[tier["up_to"], tier["price_pico"]] for tier in fact["tiers"]]
        ends = [0, *(end for end, _ in tiers)]
        rising = all(end is not None and low < end for low, end in pairwise(ends[:-1]))
        if not rising or ends[-1] is not None or min(pico for _, pico in tiers) < 0:
            raise Invalid("books.price", "tiers that rise", position=position, field="tiers")
        for field in ("free", "minimum_pico"):
            if fact[field] < 0:
                raise Invalid("books.price", "negative", position=position, field=field)
        shape = [fact["free"], tiers, fact["minimum_pico"]]
        plain = len(tiers) == 1 and not fact["free"] and not fact["minimum_pico"]
        self._publish(position, fact, (book, edition), tiers[0][1], None if plain else shape)

    def _publish(
        self, position: int, fact: Row, book: tuple[str, int], pico: int, shape: list[Any] | None
    ) -> None:
        if fact["divisor"] < 1:
            raise Invalid("books.price", "divisor < 1", position=position, field="divisor")
        if pico < 0:
            raise Invalid("books.price", "negative", position=position, field="price_pico")
        kind = [fact[name] for name in ("account", "meter", "model", "region", "state")]
        effective = fact["effective_from_us"]
        named = NUL.join(map(str, book))
        unique = NUL.join([*kind, str(effective)])
        if self._spill.get("price_key", named, unique) is not None:
            raise Invalid(
                "books.price", "the key of an earlier entry",
                position=position, field="effective_from_us",
            )  # fmt: skip
        self._spill.put("price_key", named, unique, 1)
        self._spill.put("entries", "", named, (self._spill.get("entries", "", named) or 0) + 1)
        self._spill.put("located", "", str(position), fact["region"])
        if book[0] == LIST and effective < fact["published_us"]:
            return
        key = NUL.join([*kind, fact["currency"]])
        entries = self._spill.get("price", named, key) or []
        insort(entries, [effective, position, pico, fact["divisor"], shape], key=EFFECTIVE)
        self._spill.put("price", named, key, entries)

    def region(self, position: int) -> str:
        """Where the entry published there prices; `-`: anywhere."""
        found: str = self._spill.get("located", "", str(position))
        return found

    def _edition(self, book: str) -> int:
        return self._spill.get("edition", "", book) or 0

    def book(self, position: int, _entry: Row, fact: Row) -> None:
        """The edition is whole: it has the entries counted."""
        book, edition = fact["book"], fact["edition"]
        if book == LIST or edition != self._edition(book) + 1:
            raise Invalid("books.book", "not the next edition", position=position, field="edition")
        if fact["entries"] != self._spill.get("entries", "", f"{book}{NUL}{edition}"):
            raise Invalid("books.book", "of other entries", position=position, field="entries")
        self._spill.put("edition", "", book, edition)

    def commitment(self, position: int, _entry: Row, fact: Row) -> None:
        """The account pays for the quantity in each period that begins in the range."""
        for field, right in (
            ("quantity", fact["quantity"] >= 1),
            ("price_pico", fact["price_pico"] >= 0),
            ("divisor", fact["divisor"] >= 1),
            ("from_us", fact["from_us"] >= fact["decided_us"]),
        ):
            if not right:
                raise Invalid("books.commitment", "no such one", position=position, field=field)
        kept = [position, *(fact[name] for name in (
            "from_us", "until_us", "meter", "model", "region", "state", "currency", "quantity",
            "price_pico", "divisor",
        ))]  # fmt: skip
        made = self._spill.get("commitment", "", fact["account"]) or []
        self._spill.put("commitment", "", fact["account"], [*made, kept])

    def commitments(self, account: str, begins: int) -> list[list[Any]]:
        """Those that a period which begins then is in, in order of position."""
        made = self._spill.get("commitment", "", account) or []
        return [one for one in made if one[1] <= begins < one[2]]

    def covers(self, account: str, scope: tuple[str, ...], begins: int) -> dict[str, int]:
        """How much of this is committed in such a period, by the region where it must be used."""
        found: dict[str, int] = {}
        for one in self.commitments(account, begins):
            if anywhere(tuple(one[3:8])) == anywhere(scope):
                found[one[5]] = found.get(one[5], 0) + one[8]
        return found

    def rerate(self, position: int, fact: Row, to_all: bool) -> Reratings:
        """The account's re-ratings before this one, which is `to_all`: also of what is read or
        prepaid, or not.
        """
        book, edition = fact["book"], fact["edition"]
        whole = edition == 0 if book == LIST else 1 <= edition <= self._edition(book)
        for field, right in (("edition", whole), ("until_us", fact["from_us"] < fact["until_us"])):
            if not right:
                raise Invalid("books.rerating", "of no such", position=position, field=field)
        before: Reratings = self._spill.get("rerating", "", fact["account"]) or []
        decided = [fact["from_us"], fact["until_us"], book, edition, to_all]
        self._spill.put("rerating", "", fact["account"], [*before, decided])
        return before

    def quotes(self, account: str, scope: tuple[str, ...]) -> Quotes:
        """What may apply to the account's use of (meter, model, region, state, currency)."""
        reratings = self._spill.get("rerating", "", account) or []
        named = {(LIST, 0), *((one[2], one[3]) for one in reratings)}
        places = dict.fromkeys((scope, anywhere(scope)))
        keys = [NUL.join([whose, *of]) for whose in (account, "default") for of in places]
        kind = Listed if scope[3] == RESERVED else Quotes
        return kind(
            reratings,
            {
                book: [
                    self._spill.get("price", NUL.join(map(str, book)), key) or [] for key in keys
                ]
                for book in named
            },
        )
