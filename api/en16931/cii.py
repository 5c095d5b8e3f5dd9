"""UN/CEFACT Cross Industry Invoice D16B, as EN 16931-3-3 binds it."""

from datetime import date
from typing import Final

from api.en16931.paper import CUSTOMIZATION, PIECE, Item, Paper, Side, Tax
from api.en16931.xml import Node, Nodes, document, maybe, node

_SPACES: Final = {
    "rsm": "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100",
    "ram": "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100",
    "qdt": "urn:un:unece:uncefact:data:standard:QualifiedDataType:100",
    "udt": "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100",
}
_DAY: Final = "102"  # UNTDID 2379: CCYYMMDD


def cii(paper: Paper) -> bytes:
    """A document of type 380, or of 381 that names its invoice."""
    context = node("ram:ID", CUSTOMIZATION)
    content = (
        node(
            "rsm:ExchangedDocumentContext",
            (node("ram:GuidelineSpecifiedDocumentContextParameter", (context,)),),
        ),
        node(
            "rsm:ExchangedDocument",
            (
                node("ram:ID", paper.number),
                node("ram:TypeCode", "381" if paper.credit else "380"),
                _on("ram:IssueDateTime", paper.dates.issued),
                *(node("ram:IncludedNote", (node("ram:Content", text),)) for text in paper.notes),
            ),
        ),
        node(
            "rsm:SupplyChainTradeTransaction",
            (
                *(_line(one) for one in paper.items),
                node(
                    "ram:ApplicableHeaderTradeAgreement",
                    (
                        _party("ram:SellerTradeParty", paper.seller),
                        _party("ram:BuyerTradeParty", paper.buyer),
                    ),
                ),
                node("ram:ApplicableHeaderTradeDelivery", (_delivered(paper.dates.end),)),
                node("ram:ApplicableHeaderTradeSettlement", _settlement(paper)),
            ),
        ),
    )
    return document(node("rsm:CrossIndustryInvoice", content), _SPACES)


def _on(name: str, day: date, kind: str = "udt:DateTimeString") -> Node:
    return node(name, (node(kind, day.strftime("%Y%m%d"), format=_DAY),))


def _delivered(day: date) -> Node:
    """BT-72: what is sold by time is delivered when its period is over."""
    return node("ram:ActualDeliverySupplyChainEvent", (_on("ram:OccurrenceDateTime", day),))


def _settlement(paper: Paper) -> Nodes:
    return (
        node("ram:InvoiceCurrencyCode", paper.currency),
        *(_tax(one) for one in paper.taxes),
        node(
            "ram:BillingSpecifiedPeriod",
            (
                _on("ram:StartDateTime", paper.dates.start),
                _on("ram:EndDateTime", paper.dates.end),
            ),
        ),
        node(
            "ram:SpecifiedTradePaymentTerms",
            (
                node("ram:Description", paper.terms),
                None if paper.credit else _on("ram:DueDateDateTime", paper.due),
            ),
        ),
        node(
            "ram:SpecifiedTradeSettlementHeaderMonetarySummation",
            (
                node("ram:LineTotalAmount", paper.net),
                node("ram:TaxBasisTotalAmount", paper.net),
                node("ram:TaxTotalAmount", paper.tax, currencyID=paper.currency),
                node("ram:GrandTotalAmount", paper.total),
                node("ram:DuePayableAmount", paper.total),
            ),
        ),
        _preceding(paper.preceding, paper.dates.invoiced),
    )


def _preceding(number: str, issued: date) -> Node | None:
    """BG-3."""
    if not number:
        return None
    day = _on("ram:FormattedIssueDateTime", issued, "qdt:DateTimeString")
    return node("ram:InvoiceReferencedDocument", (node("ram:IssuerAssignedID", number), day))


def _party(name: str, side: Side) -> Node:
    party = side.party
    address = (
        maybe("ram:PostcodeCode", party.postcode),
        maybe("ram:LineOne", party.street),
        maybe("ram:CityName", party.city),
        node("ram:CountryID", side.country),
    )
    content = (
        maybe("ram:ID", side.id),
        node("ram:Name", party.name),
        node("ram:PostalTradeAddress", address),
        node("ram:SpecifiedTaxRegistration", (node("ram:ID", party.vat_id, schemeID="VA"),))
        if party.vat_id
        else None,
    )
    return node(name, content)


def _tax(tax: Tax) -> Node:
    content = (
        node("ram:CalculatedAmount", tax.amount),
        node("ram:TypeCode", "VAT"),
        maybe("ram:ExemptionReason", tax.reason),
        node("ram:BasisAmount", tax.base),
        node("ram:CategoryCode", tax.category),
        maybe("ram:ExemptionReasonCode", tax.code),
        maybe("ram:RateApplicablePercent", tax.percent),
    )
    return node("ram:ApplicableTradeTax", content)


def _line(item: Item) -> Node:
    price = (node("ram:ChargeAmount", item.price),)
    tax = (
        node("ram:TypeCode", "VAT"),
        node("ram:CategoryCode", item.category),
        maybe("ram:RateApplicablePercent", item.percent),
    )
    total = (node("ram:LineTotalAmount", item.amount),)
    content = (
        node("ram:AssociatedDocumentLineDocument", (node("ram:LineID", item.number),)),
        node(
            "ram:SpecifiedTradeProduct",
            (node("ram:Name", item.name), node("ram:Description", item.description)),
        ),
        node(
            "ram:SpecifiedLineTradeAgreement",
            (node("ram:NetPriceProductTradePrice", price),),
        ),
        node(
            "ram:SpecifiedLineTradeDelivery",
            (node("ram:BilledQuantity", str(item.pieces), unitCode=PIECE),),
        ),
        node(
            "ram:SpecifiedLineTradeSettlement",
            (
                node("ram:ApplicableTradeTax", tax),
                node("ram:SpecifiedTradeSettlementLineMonetarySummation", total),
            ),
        ),
    )
    return node("ram:IncludedSupplyChainTradeLineItem", content)
