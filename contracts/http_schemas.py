"""Schemas of facts as the API gives them; as http.py."""

from contracts.http import Given


class KnownSchema(Given, frozen=True):
    """A fact's JSON Schema: `id` is what an event names, `path` where it is served."""

    tag: str
    id: str
    path: str
