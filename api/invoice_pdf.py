"""An invoice or credit note as PDF, of the same words as its HTML page (api/invoice_page.py)."""

from collections.abc import Mapping
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import reportlab
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

_FONTS: Final = {"Vera": "Vera.ttf", "VeraBd": "VeraBd.ttf"}
_PLAIN: Final = ParagraphStyle("plain", fontName="Vera", fontSize=7.5, leading=10)
_RIGHT: Final = ParagraphStyle("right", _PLAIN, alignment=2)
_BOLD: Final = ParagraphStyle("bold", _PLAIN, fontName="VeraBd")
_TITLE: Final = ParagraphStyle("title", _BOLD, fontSize=16, leading=22)
_WIDTHS: Final = tuple(width * mm for width in (26, 32, 27, 39, 14, 22, 20))


def invoice_pdf(data: Mapping[str, Any]) -> bytes:
    """Of data from `page_data`: the same bytes for the same data.

    The fonts that come with the library are Latin; any other character is shown by its code.
    """
    _registered()
    out = BytesIO()
    paper = SimpleDocTemplate(
        out, pagesize=A4, title=f"{data['title']} {data['number']}", author="", invariant=1,
        leftMargin=15 * mm, rightMargin=15 * mm, topMargin=15 * mm, bottomMargin=15 * mm,
    )  # fmt: skip
    paper.build([*_head(data), _table(data), Spacer(0, 4 * mm), _proof(data)])
    return out.getvalue()


def _registered() -> None:
    for name, file in _FONTS.items():
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(name, Path(reportlab.__file__).parent / "fonts" / file))


def _text(words: str, style: ParagraphStyle = _PLAIN) -> Paragraph:
    known = pdfmetrics.getFont(style.fontName).face.charToGlyph
    shown = "".join(c if ord(c) in known else f"[U+{ord(c):04X}]" for c in words)
    return Paragraph(escape(shown), style)


def _head(data: Mapping[str, Any]) -> list[Flowable]:
    said: list[Flowable] = [_text(f"{data['title']} {data['number']}", _TITLE)]
    if data["simulated"]:
        said.append(
            _text("SIMULATED: for GPUs that do not exist. It asks nobody for money.", _BOLD)
        )
    for name, words in (
        ("Invoice", data["of"]), ("Seller", data["seller"]), ("Customer", data["customer"]),
        ("Billing account", data["account"]),
        ("Period", f"{data['start']} to {data['end']} ({data['zone']}), its last instant excluded"),
        ("Finalized", data["finalized"]), ("Not heard of yet", data["missing"]),
    ):  # fmt: skip
        if words:
            said.append(_text(f"{name}: {words}"))
    return [*said, Spacer(0, 5 * mm)]


def _table(data: Mapping[str, Any]) -> Table:
    money = data["currency"]
    head = ("Project", "What", "Used", "Price", "Tax", f"Exact ({money})", f"Amount ({money})")
    rows = [[_text(word, _BOLD) for word in head]]
    for line in data["lines"]:
        what = line["what"]
        if line["service"]:
            what = f"{what}, correction for {line['service']}"
        rows.append([
            _text(line["project"]), _text(what), _text(line["used"], _RIGHT), _text(line["price"]),
            _text(line["tax"]), _text(line["exact"], _RIGHT), _text(line["amount"], _RIGHT),
        ])  # fmt: skip
    first = len(rows)
    sums = [("Total", "" if data["net"] else data["exact"], data["total"])]
    if data["net"]:
        taxes = ((f"Tax {one['what']} of {one['base']} {one['why']}".strip(), "", one["amount"])
                 for one in data["taxes"])  # fmt: skip
        sums = [("Before tax", data["exact"], data["net"]), *taxes, *sums]
    for name, exact, amount in sums:
        rows.append([
            _text(name, _BOLD), "", "", "", "", _text(exact, _RIGHT), _text(amount, _RIGHT),
        ])  # fmt: skip
    spans = [("SPAN", (0, row), (4, row)) for row in range(first, len(rows))]
    style = TableStyle([
        ("LINEBELOW", (0, 0), (-1, -1), 0.25, colors.grey), ("VALIGN", (0, 0), (-1, -1), "TOP"),
        *spans,
    ])  # fmt: skip
    return Table(rows, colWidths=_WIDTHS, repeatRows=1, style=style)


def _proof(data: Mapping[str, Any]) -> Paragraph:
    return _text(
        f"Sealed as {data['file']}, SHA-256 {data['sha256']}, by the log at position "
        f"{data['position']}: gpuaas-verify derives every number on this page from signed events. "
        f"Rounding: {data['rounding']} {data['currency']}."
    )
