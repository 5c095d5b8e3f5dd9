"""`gpuaas call`: every call of the API as a verb, written from its signature.

People's verbs say more with less; this is for what has none, with checked names and types.
"""

import inspect
import sys
import types
import typing
from collections.abc import Callable
from typing import Any, Final

import click
import msgspec
from msgspec import UNSET, Struct

from gpuaas_client import operations, telling
from gpuaas_client.call import Call
from gpuaas_client.command import Verb, Verbs
from gpuaas_client.session import session_of

# Who calls them proves itself otherwise than by a person's or a program's token.
NOT_FOR_PEOPLE: Final = {
    "certify_host": "a node's own, by its event key",
    "complete_readings": "a source's own, by its key",
    "enrol_node": "a node's own, by its invitation",
    "events": "`gpuaas events` follows them",
    "hear_stripe": "the payment provider's, by its signature",
    "open_session": "`gpuaas login`: it needs what an issuer just said",
    "renew_certificate": "a node's own, by its event key",
    "take_readings": "a source's own, by its key",
}
_PLAIN: Final[dict[Any, click.ParamType]] = {str: click.STRING, int: click.INT, bool: click.BOOL}
_BODY: Final = "body"
_KEY, _MATCH = "key_", "if_match_"


def calls() -> dict[str, Callable[..., Call[Any]]]:
    """Each call by its verb's name."""
    found = inspect.getmembers(operations, inspect.isfunction)
    return {
        name.replace("_", "-"): one
        for name, one in found
        if one.__module__ == operations.__name__ and name not in NOT_FOR_PEOPLE
    }


class Calls(Verbs):
    """Written when it is asked for: there are hundreds."""

    def list_commands(self, _: click.Context) -> list[str]:
        """In order."""
        return sorted(calls())

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        """None for no call of this name."""
        made = calls().get(name)
        return None if made is None else _verb(name, made)


def _verb(name: str, made: Callable[..., Call[Any]]) -> click.Command:
    hints = typing.get_type_hints(made)
    params: list[click.Parameter] = []
    for one in inspect.signature(made).parameters.values():
        if one.name == _BODY:
            params += [_option(f) for f in msgspec.structs.fields(_struct(hints[_BODY]))]
        elif one.kind is inspect.Parameter.KEYWORD_ONLY:
            params.append(_typed(one.name, one.name, hints[one.name], needed=False))
        else:
            params.append(click.Argument([one.name]))
    params += [
        click.Option(["--idempotency-key", _KEY], default="", metavar="WORD"),
        click.Option(["--if-match", _MATCH], default="", metavar="VERSION"),
    ]

    @click.pass_context
    def run(context: click.Context, **said: Any) -> None:
        session = session_of(context)
        key, match = said.pop(_KEY), said.pop(_MATCH)
        answer = session.client.do(_asked(made, hints, said), key=key, if_match=match)
        if isinstance(answer, bytes | str):
            telling.write(answer)
        else:
            sys.stdout.write(telling.as_json(answer))

    words = (made.__doc__ or "").strip()
    return Verb(name, callback=run, params=params, help=words, short_help=words)


def _asked(
    made: Callable[..., Call[Any]], hints: dict[str, Any], said: dict[str, Any]
) -> Call[Any]:
    """The call with what was typed. Raises: click.BadParameter."""
    if _BODY not in hints:
        return made(**said)
    struct = _struct(hints[_BODY])
    body = {}
    for field in msgspec.structs.fields(struct):
        typed = said.pop(field.name + "_")
        if typed is not None and typed != ():
            body[field.encode_name] = _value(field, typed)
    try:
        return made(**said, body=msgspec.convert(body, struct))
    except msgspec.ValidationError as error:
        raise click.UsageError(str(error)) from error


def _struct(hint: Any) -> type[Struct]:
    """The body's, which may be left out."""
    return next(one for one in (*typing.get_args(hint), hint) if isinstance(one, type)
                and issubclass(one, Struct))  # fmt: skip


def _option(field: msgspec.structs.FieldInfo) -> click.Option:
    return _typed(field.encode_name, field.name + "_", field.type, needed=field.required)


def _typed(name: str, variable: str, hint: Any, *, needed: bool) -> click.Option:
    known = _kind(hint)
    many = typing.get_origin(known) is list and typing.get_args(known)[0] in _PLAIN
    plain = _PLAIN.get(typing.get_args(known)[0] if many else known)
    return click.Option(
        [f"--{name.replace('_', '-')}", variable],
        type=plain or click.STRING,
        multiple=many,
        required=needed,
        metavar=None if plain else "JSON",
        default=None,
    )


def _kind(hint: Any) -> Any:
    """Of a value that is there: null and what is left out aside."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        left = [
            one
            for one in typing.get_args(hint)
            if one not in (type(None), type(UNSET), msgspec.UnsetType)
        ]
        return left[0] if len(left) == 1 else Any
    return hint


def _value(field: msgspec.structs.FieldInfo, typed: Any) -> Any:
    """What was typed as the field's value: JSON where it is neither plain nor a list of plain."""
    known = _kind(field.type)
    if isinstance(typed, tuple):
        return list(typed)
    if known in _PLAIN:
        return typed
    try:
        return msgspec.json.decode(typed)
    except msgspec.MsgspecError as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint=field.encode_name) from error


@click.group("call", cls=Calls, help="Every call of the API, by its name and with its fields")
def call() -> None: ...


VERBS: Final = (call,)
