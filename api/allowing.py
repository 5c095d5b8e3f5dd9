"""OPTIONS: which methods a path takes, asked by anybody, for the public document says it too.

The framework's own answer names the methods of the path's first handler alone.
"""

import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from litestar.datastructures import MutableScopeHeaders
from litestar.types import Message, Scope

_TYPE: Final = re.compile(r":\w+}")


def saying(handlers: Iterable[Any]) -> Callable[[Message, Scope], Awaitable[None]]:
    """Before an answer is sent: all methods of the path, where they are asked for."""
    methods: dict[str, set[str]] = defaultdict(lambda: {"OPTIONS"})
    for handler in handlers:
        for path in handler.paths:
            methods[_TYPE.sub("}", path)] |= getattr(handler, "http_methods", set())

    async def say(message: Message, scope: Scope) -> None:
        if message["type"] != "http.response.start" or scope.get("method") != "OPTIONS":
            return
        found = methods.get(_TYPE.sub("}", scope["path_template"]))
        if found is not None and message["status"] == 204:
            MutableScopeHeaders.from_message(message)["Allow"] = ", ".join(sorted(found))

    return say
