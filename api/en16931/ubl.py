"""UBL 2.1 Invoice and CreditNote (ISO/IEC 19845:2015), as EN 16931-3-2 binds them."""

from datetime import date
from typing import Final

from api.en16931.paper import CUSTOMIZATION, PIECE, Item, Paper, Side, Tax
from api.en16931.xml import Node, document, maybe, node

_SCHEMA: Final = "urn:oasis:names:specification:ubl:schema:xsd:"
_SHARED: Final = {
    "cac": f"{_SCHEMA}CommonAggregateComponents-2",
    "cbc": f"{_SCHEMA}CommonBasicComponents-2",
}


def ubl(paper: Paper) -> bytes:
    """An `Invoice` of type 380, or a `CreditNote` of type 381 that names its invoice."""
    kind = "CreditNote" if paper.credit else "Invoice"
    content = [
        node("cbc:CustomizationID", CUSTOMIZATION),
        node("cbc:ID", paper.number),
        node("cbc:IssueDate", paper.dates.issued.isoformat()),
        None if paper.credit else node("cbc:DueDate", paper.due.isoformat()),
        node(f"cbc:{kind}TypeCode", "381" if paper.credit else "380"),
        *(node("cbc:Note", text) for text in paper.notes),
        node("cbc:DocumentCurrencyCode", paper.currency),
        node(
            "cac:InvoicePeriod",
            (
                node("cbc:StartDate", paper.dates.start.isoformat()),
                node("cbc:EndDate", paper.dates.end.isoformat()),
            ),
        ),
        _preceding(paper.preceding, paper.dates.invoiced),
        node("cac:AccountingSupplierParty", (_party(paper.seller),)),
        node("cac:AccountingCustomerParty", (_party(paper.buyer),)),
        node("cac:Delivery", (_delivered(paper.dates.end),)),
        node("cac:PaymentTerms", (node("cbc:Note", paper.terms),)),
        node(
            "cac:TaxTotal",
            (
                _amount("TaxAmount", paper.tax, paper),
                *(_subtotal(one, paper) for one in paper.taxes),
            ),
        ),
        node(
            "cac:LegalMonetaryTotal",
            (
                _amount("LineExtensionAmount", paper.net, paper),
                _amount("TaxExclusiveAmount", paper.net, paper),
                _amount("TaxInclusiveAmount", paper.total, paper),
                _amount("PayableAmount", paper.total, paper),
            ),
        ),
        *(_line(one, paper) for one in paper.items),
    ]
    return document(node(kind, content), {"": f"{_SCHEMA}{kind}-2", **_SHARED})


def _amount(name: str, amount: str, paper: Paper) -> Node:
    return node(f"cbc:{name}", amount, currencyID=paper.currency)


def _preceding(number: str, issued: date) -> Node | None:
    """BG-3."""
    if not number:
        return None
    said = (node("cbc:ID", number), node("cbc:IssueDate", issued.isoformat()))
    return node("cac:BillingReference", (node("cac:InvoiceDocumentReference", said),))


def _delivered(day: date) -> Node:
    """BT-72: what is sold by time is delivered when its period is over."""
    return node("cbc:ActualDeliveryDate", day.isoformat())


def _party(side: Side) -> Node:
    party = side.party
    address = (
        maybe("cbc:StreetName", party.street),
        maybe("cbc:CityName", party.city),
        maybe("cbc:PostalZone", party.postcode),
        node("cac:Country", (node("cbc:IdentificationCode", side.country),)),
    )
    vat = (node("cbc:CompanyID", party.vat_id), _scheme())
    content = (
        node("cac:PartyIdentification", (node("cbc:ID", side.id),)) if side.id else None,
        node("cac:PostalAddress", address),
        node("cac:PartyTaxScheme", vat) if party.vat_id else None,
        node("cac:PartyLegalEntity", (node("cbc:RegistrationName", party.name),)),
    )
    return node("cac:Party", content)


def _scheme() -> Node:
    return node("cac:TaxScheme", (node("cbc:ID", "VAT"),))


def _subtotal(tax: Tax, paper: Paper) -> Node:
    category = (
        node("cbc:ID", tax.category),
        maybe("cbc:Percent", tax.percent),
        maybe("cbc:TaxExemptionReasonCode", tax.code),
        maybe("cbc:TaxExemptionReason", tax.reason),
        _scheme(),
    )
    content = (
        _amount("TaxableAmount", tax.base, paper),
        _amount("TaxAmount", tax.amount, paper),
        node("cac:TaxCategory", category),
    )
    return node("cac:TaxSubtotal", content)


def _line(item: Item, paper: Paper) -> Node:
    kind, counted = ("CreditNote", "Credited") if paper.credit else ("Invoice", "Invoiced")
    category = (node("cbc:ID", item.category), maybe("cbc:Percent", item.percent), _scheme())
    content = (
        node("cbc:ID", item.number),
        node(f"cbc:{counted}Quantity", str(item.pieces), unitCode=PIECE),
        _amount("LineExtensionAmount", item.amount, paper),
        node(
            "cac:Item",
            (
                node("cbc:Description", item.description),
                node("cbc:Name", item.name),
                node("cac:ClassifiedTaxCategory", category),
            ),
        ),
        node("cac:Price", (_amount("PriceAmount", item.price, paper),)),
    )
    return node(f"cac:{kind}Line", content)
