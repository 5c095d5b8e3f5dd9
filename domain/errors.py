class DomainError(Exception):
    """A refusal with a stable dotted code; `contracts/problems.py` says what the caller can do.

    Args:
        code: dotted and permanent, `quota.exceeded`.
        detail: one sentence for a person; never parsed.
        facts: numbers and ids that make the refusal useful (limit, use, what would fit).
    """

    def __init__(self, code: str, detail: str, facts: dict[str, int | str] | None = None) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.facts: dict[str, int | str] = {} if facts is None else facts

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"
