"""Facts as old releases wrote them: one file a tag, written once, never again.

`python -m tests.golden` writes the files of tags that have none. A file holds histories, a blank
line between two; a history is lines of a tag and its fact's bytes, the last one of the file's tag,
those before it what its stream needs to fold it.
"""

import hashlib
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from msgspec import UNSET, Struct, inspect

import domain
from domain import wallet_facts, wallet_state
from domain.facts import TAGS, decode_fact, encode_fact, tag_of
from domain.words import Private

FOLDER: Final = Path(__file__).parent.parent / "contracts" / "golden"
LIST: Final = FOLDER / "SHA256"
T0: Final = 1_700_000_000_000_000
HEX: Final = {"root", "kept", "chain", "head", "key", "fingerprint", "library", "refused"}
DEEPEST: Final = 5
ORG: Final = "organization"
# What evolve does with what cannot stand where it is put.
MISFITS: Final = (AssertionError, KeyError, IndexError, AttributeError, StopIteration, ValueError)

type History = tuple[tuple[str, bytes], ...]
type Fold = Callable[[Any, Any], Any]


class Aggregate(Struct, frozen=True):
    initial: Any
    evolve: Fold
    tags: frozenset[str]


def path_of(tag: str) -> Path:
    return FOLDER / f"{tag}.facts"


def read(tag: str) -> list[History]:
    """The histories of the tag's file."""
    blocks = path_of(tag).read_bytes().rstrip(b"\n").split(b"\n\n")
    lines = [[line.partition(b" ") for line in block.split(b"\n")] for block in blocks]
    return [tuple((of.decode(), raw) for of, _, raw in block) for block in lines]


def aggregates() -> list[Aggregate]:
    """Every decider of the domain with the tags that its events have; and wallets."""
    found = []
    for one in pkgutil.iter_modules(domain.__path__):
        module = importlib.import_module(f"domain.{one.name}")
        decider = vars(module).get("DECIDER")
        if decider is not None and decider.evolve.__module__.startswith(f"domain.{one.name}"):
            tags = frozenset(tag_of_kind(kind) for kind in members(module.Event))
            found.append(Aggregate(decider.initial, decider.evolve, tags))
    return [*found, wallets()]


def wallets() -> Aggregate:
    """Wallets are remembered in place: each step begins with a wallet of its own."""
    tags = frozenset(tag_of_kind(kind) for kind in members(wallet_facts.Event))

    def evolve(before: tuple[Any, ...], event: Any) -> tuple[Any, ...]:
        wallet = wallet_state.Wallet()
        for each in (*before, event):
            wallet_state.remember(wallet, each)
        return (*before, event)

    return Aggregate((), evolve, tags)


def tag_of_kind(kind: type[Struct]) -> str:
    return str(kind.__struct_config__.tag)


def members(event: Any) -> Iterator[type[Struct]]:
    """The structs of an alias of a union, through aliases inside it."""
    kind = getattr(event, "__value__", event)
    for part in getattr(kind, "__args__", None) or (kind,):
        yield from members(part) if hasattr(part, "__value__") else (part,)


def folded(aggregate: Aggregate, history: History) -> Any:
    """The state after the history's facts, from their bytes. Raises: what evolve and decode do."""
    state = aggregate.initial
    for tag, raw in history:
        state = aggregate.evolve(state, decode_fact(tag, raw))
    return state


# ------------------------------------------------------------------ writing those that are missing
def value(name: str, kind: inspect.Type, *, sparse: bool) -> Any:
    """Something the type allows; ids of one kind are the same everywhere, so facts fit together."""
    match kind:
        case inspect.IntType():
            if name in {"device", "index"}:
                return 0  # of the one device that the node has
            return T0 if name.endswith("_us") else 500 if "milli" in name else 3
        case inspect.BoolType():
            return True
        case inspect.StrType():
            return text(name)
        case inspect.LiteralType(values=values):
            return values[0]
        case inspect.VarTupleType(item_type=item):
            return (value(name.rstrip("s"), item, sparse=sparse),)
        case inspect.StructType(cls=cls) if cls is Private:
            return Private(hashlib.sha256(name.encode()).hexdigest())
        case inspect.StructType(cls=cls):
            return made(cls, sparse=sparse)
        case inspect.UnionType(types=types):
            plain = [one for one in types if not absent(one)]
            if sparse and len(plain) < len(types):
                return None if any(isinstance(one, inspect.NoneType) for one in types) else UNSET
            return value(name, plain[0], sparse=sparse)
    raise AssertionError(kind)


def absent(kind: inspect.Type) -> bool:
    return isinstance(kind, inspect.NoneType | inspect.CustomType) or "Unset" in type(kind).__name__


def text(name: str) -> str:
    kinds = {
        "runtime", "allocation", "node", "project", "department", "organization", "account",
        "period", "invoice", "volume", "network", "reservation", "seller", "credit_note", "source",
        "cost_centre",
    }  # fmt: skip
    if name in kinds:
        return f"{name}-01890000-0000-7000-8000-000000000001"
    if name.endswith("sha256") or name in HEX:
        return hashlib.sha256(name.encode()).hexdigest()
    return {
        "boot": "0" * 31 + "1", "body": "e30=", "sig": "AAAA" * 21 + "AA==", "protocol": "tcp",
        "reading": "e30=",
        "currency": "USD", "zone": "Europe/Berlin", "scope": text("project") if name == "scope" else "",
        "resource": text("runtime") if name == "resource" else "", "cidr": "10.0.0.0/8",
        "mode": "soft", "country": "DE", "bucket": "cash",
    }.get(name) or f"a {name}"  # fmt: skip


def made(cls: type[Struct], *, sparse: bool = False) -> Any:
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    return cls(**{one.name: value(one.name, one.type, sparse=sparse) for one in info.fields})


def histories(aggregate: Aggregate) -> dict[str, tuple[Any, ...]]:
    """A shortest history for each tag that has one within DEEPEST facts, from made facts."""
    facts = {tag: made(TAGS[tag]) for tag in sorted(aggregate.tags)}
    found: dict[str, tuple[Any, ...]] = {}
    reached: list[tuple[tuple[Any, ...], Any]] = [((), aggregate.initial)]
    for _ in range(DEEPEST):
        following: dict[tuple[str, str], tuple[tuple[Any, ...], Any]] = {}
        for before, state in reached:
            for tag, fact in facts.items():
                try:
                    after = aggregate.evolve(state, fact)
                except MISFITS:
                    continue
                found.setdefault(tag, (*before, fact))
                following.setdefault((type(after).__name__, tag), ((*before, fact), after))
        reached = list(following.values())
    return found


def encoded(facts: tuple[Any, ...]) -> bytes:
    return b"\n".join(tag_of(fact).encode() + b" " + encode_fact(fact) for fact in facts)


def written(tag: str, history: tuple[Any, ...]) -> bytes:
    """The file's bytes: the history, and once more with everything optional left out."""
    sparse = made(TAGS[tag], sparse=True)
    blocks = [encoded(history)]
    if encode_fact(sparse) != encode_fact(history[-1]):
        blocks.append(encoded((*history[:-1], sparse)))
    return b"\n\n".join(blocks) + b"\n"


def write_missing() -> list[str]:
    """The tags whose files were written now; what is there is never touched."""
    FOLDER.mkdir(exist_ok=True)
    known: dict[str, tuple[Any, ...]] = {}
    for aggregate in aggregates():
        known |= {tag: one for tag, one in histories(aggregate).items() if tag not in known}
    missing = [tag for tag in TAGS if not path_of(tag).exists()]
    for tag in missing:
        path_of(tag).write_bytes(written(tag, known.get(tag) or (made(TAGS[tag]),)))
    if missing:
        with LIST.open("a") as listed:
            for tag in missing:
                listed.write(f"{tag} {hashlib.sha256(path_of(tag).read_bytes()).hexdigest()}\n")
    return missing


if __name__ == "__main__":
    owned = frozenset[str]().union(*(one.tags for one in aggregates()))
    for made_now in write_missing():
        alone = len(read(made_now)[0]) == 1
        print(made_now, "" if made_now in owned else "(no aggregate)", "" if not alone else "alone")
