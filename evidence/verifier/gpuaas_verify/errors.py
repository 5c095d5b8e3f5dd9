class Invalid(Exception):  # noqa: N818 - a verdict, not a malfunction
    """The evidence is not what it claims to be.

    `code` is stable and dotted; `position`, `row` (with `table`), `field` and `member` say where,
    each None when the failure has no such place. EVIDENCE.md section 6.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        position: int | None = None,
        table: str | None = None,
        row: int | None = None,
        field: str | None = None,
        member: str | None = None,
    ) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail
        self.position = position
        self.table = table
        self.row = row
        self.field = field
        self.member = member

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}{self.where()}"

    def where(self) -> str:
        """` (position 7, field prev)`, or nothing when the failure has no place."""
        named = (
            ("position", self.position),
            ("table", self.table),
            ("row", self.row),
            ("field", self.field),
            ("member", self.member),
        )
        places = [f"{name} {value}" for name, value in named if value is not None]
        return f" ({', '.join(places)})" if places else ""

    def as_json(self) -> dict[str, str | int | None]:
        """Code, detail and every place, null where there is none."""
        return {
            "code": self.code,
            "detail": self.detail,
            "position": self.position,
            "table": self.table,
            "row": self.row,
            "field": self.field,
            "member": self.member,
        }

    def at(self, *, position: int | None = None, row: int | None = None) -> "Invalid":
        """The same verdict with the place filled in where it was not known yet."""
        self.position = self.position if self.position is not None else position
        self.row = self.row if self.row is not None else row
        return self

    def __reduce__(self) -> tuple[object, ...]:
        # Verdicts cross from worker processes; the default would lose the keyword arguments.
        places = (self.position, self.table, self.row, self.field, self.member)
        return (_rebuild, (self.code, self.detail, *places))


def _rebuild(
    code: str,
    detail: str,
    position: int | None,
    table: str | None,
    row: int | None,
    field: str | None,
    member: str | None,
) -> Invalid:
    return Invalid(
        code, detail, position=position, table=table, row=row, field=field, member=member
    )


class Unreadable(Exception):  # noqa: N818 - neither valid nor invalid: nothing could be read
    """The input cannot be read or the request makes no sense: exit 2, no verdict."""
