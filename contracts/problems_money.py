"""Refusal codes of accounts, prices, readings, periods, invoices and tax: rows of the table in problems.py."""

from typing import Final

# code | status | title | remedy
MONEY: Final = """\
account.credit_invalid|400|Not terms of credit|Send a limit of 0 or more, reminders that rise, and a suspension before the stop.
account.currency_invalid|400|Not a currency|Send an ISO 4217 code and its number of minor digits.
account.exists|409|The account exists|Read it; an account's currency and zone never change.
account.not_possible|409|Not possible for this account|Read its state and send what it allows.
account.not_suspended|409|Not suspended for that|Read what it is suspended for.
account.over_limit|402|The credit limit is exceeded|Pay what the facts say, or have the limit raised; what runs goes on.
account.suspended|403|The account is suspended|Pay what the facts name, or ask support.
account.terms_invalid|400|Not terms of an account|Send `prepaid` or `postpaid`.
account.unknown|404|No such billing account|Check the id.
bank.malformed|400|Not a statement|Send camt.053 as the bank gave it, or CSV with both balances.
bank.unbalanced|400|The statement does not add up|Ask the bank for a whole one: opening balance and lines lead to the closing balance.
budget.account_differs|409|It counts another account|Clear the budget first, or name the account of the facts.
budget.account_needed|400|Which account|Name one of the organization's accounts: there is not exactly one.
budget.exhausted|409|A budget is spent|Raise or clear the budget of the facts, or wait for the next period.
budget.invalid|400|Not a budget|Send an amount above 0 in the account's currency, and `soft`, `refuse` or `stop`.
budget.unknown|404|No such budget|Check the scope, or set one.
cost_centre.closed|409|The cost centre is closed|Attribute to another one; what was charged to it stays.
cost_centre.exists|409|The cost centre exists|Read it; choose another id.
cost_centre.in_use|409|Projects are attributed to it|Attribute them elsewhere first: `GET /v1/attributions?cost_centre=...` lists them.
cost_centre.unknown|404|No such cost centre|Check the id.
country.unknown|400|No such country|Send a code of ISO 3166-1, two capital letters.
credit.exceeds|409|Not as much is left|Read what is left of the line, and ask for that or less.
credit.nothing_left|409|Nothing is left of the invoice|Nothing: credit notes have taken all of it.
credit.too_many|400|Too many lines|Name at most 500, each once, in order; or none for all that is left.
credit.unknown|404|No such credit note|Order it first.
credit.unknown_line|400|No such line|Count the lines of the invoice's file from 0.
currency.unknown|400|No such currency|Send a code of ISO 4217 that is in use.
invoice.exists|409|The invoice is final|Correct it with a credit note.
invoice.file_unavailable|503|The file is not stored yet|Ask again after a moment.
invoice.no_seller|409|No seller stands behind it|Give the account a seller: its next invoices can be credited.
invoice.not_overpaid|409|Not as much was paid too much|Give back what the facts say, or credit the invoice first.
invoice.not_paid|409|Not as much of it was paid|Record what was paid.
invoice.not_possible|409|Not possible for this invoice|Read its state.
invoice.not_provable|409|No proof of this invoice|Use the whole bundle.
invoice.overpaid|409|Not as much is due|Record what is due; the rest is not for this invoice.
invoice.unknown|404|No such invoice|Check the id.
meter.exists|409|The meter exists|Register another name: a meter's unit never changes.
meter.invalid|400|Not a meter|What the platform counts is `sum` from `lifecycle`; readings have a `model` among their dimensions.
payment.amount_invalid|400|Not an amount to be paid|Send what the facts allow, in whole minor units.
payment.malformed|400|Not the provider's words|Operator: compare the API's version with the adapter's.
payment.not_configured|503|No payments are taken here|Operator: set the secrets of the endpoint.
payment.refused|502|The provider refused it|Read the sentence; operator: look at the key.
payment.unreachable|503|The provider does not answer|Try again after a moment, under the same key.
payment.unsigned|401|Not signed by the provider|Operator: set the secret of the endpoint that is called.
payment.wrong_mode|400|Of the other mode|Operator: use keys and endpoints of one mode.
period.exists|409|The period exists|Read it; its instants never change.
period.next_missing|409|No later period is open|Repeat when the worker has opened the next one.
period.none|409|No billing period is open|Open the account's first period before any use.
period.not_contiguous|409|Not the next period|Begin where the last one ends.
period.not_over|409|The period is not over|Close it after its end.
period.not_possible|409|Not possible for this period|Read its state.
period.out_of_calendar|400|Not in the calendar|Use instants of the years 1 to 9999.
period.unknown|404|No such period|Check the id.
period.zone_unknown|400|No such time zone|Use an IANA name, as `Europe/Berlin`.
preview.too_large|413|Too many intervals for a preview|Ask for a shorter period; invoices have no such limit.
price.book_invalid|400|Not a book|Send a name other than `-` and 1 to 1000 entries.
price.book_unknown|404|No such book for this account|Publish it with entries in the account's currency.
price.commitment_invalid|400|Not a commitment|Send a quantity, and a time that ends after it begins.
price.duplicate|409|Another entry has this key|Publish with another effective time.
price.invalid|400|Not a price|Send an integer price >= 0 and a divisor > 0.
price.none|409|Nothing prices this|Ask for a model that has a price; operator: publish one.
price.range_invalid|400|Not a range|Send a beginning before its end.
price.region_invalid|400|Not a region|Send a short name of a-z, 0-9 and `-`, as `eu-de-1`, or `-` for anywhere.
price.state_unsupported|400|Nothing is charged in this state|Use a state that the facts name.
price.tiers_invalid|400|Not tiers|Send tiers that rise, the last one without `up_to`.
price.too_large|400|Too large a price|Send at most what the facts say; a price is per `divisor` units.
price.too_late|409|Effective before it is published|Use a later time; the past needs a re-rating.
rating.account_invalid|503|The log's accounts do not add up|Operator: rating halts; run fsck.
rating.credit_differs|500|A credit note differs from the log|Operator: stop; run gpuaas-verify on the bundle.
rating.hold_unknown|503|A hold of no runtime|Operator: rating halts; run fsck.
rating.invoice_differs|503|An invoice differs from its charges|Operator: rating halts; compare both.
rating.invoice_order|503|Invoiced twice or too early|Operator: rating halts; find the writer.
rating.no_meter|503|Readings of a meter that nobody registered|Operator: rating halts; run fsck.
rating.no_period|503|No period books a charge|Operator: open the account's next period.
rating.no_price|503|Nothing prices a charge|Operator: publish a price for it.
rating.overflow|503|A sum leaves 10^38|Operator: rating halts; find the quantity.
rating.period_order|503|Periods out of order|Operator: rating halts; find the writer.
rating.tax|500|No tax can be told|Operator: stop; run gpuaas-verify on the bundle.
rating.unknown_runtime|503|A runtime that nobody requested|Operator: rating halts; run fsck.
reading.conflict|409|Another reading has this key|Send new readings under new numbers; what is sealed stands.
reading.epoch_over|409|An earlier epoch takes nothing new|Go on in the latest epoch, or begin a higher one.
reading.gap|409|Numbers are missing|Send from the expected number on.
reading.in_future|409|It has not happened yet|Send it again when its time is over; check the clock.
reading.incomplete|409|Not all of it is sealed|Send the readings first, then name the last number of a batch and its chain.
reading.invalid|400|Not a reading of its meter|Send what the meter counts, with exactly its dimensions.
reading.malformed|400|Not a batch of readings|Send canonical JSON of contracts/usage.py, at most 64 KiB.
reading.no_meter|409|No such meter for this source|Register the meter, and the source for it.
reading.no_period|409|No period of the account holds it|Send only what was used since the account was opened.
reading.no_price|409|Nothing prices this reading|Operator: publish a price of its meter and model, state `read`.
reading.no_resource|409|Not the source's resource|Report the source's own project or its runtimes.
reading.unsigned|401|Not signed by its source|Sign the chain of these readings with the registered key.
seller.exists|409|The seller exists|Read it, or choose another prefix.
seller.not_possible|409|Not possible for this seller|Read its state and send what it allows.
seller.prefix_taken|409|The prefix is taken|Choose another prefix.
seller.unknown|404|No such seller|Check the id.
source.exists|409|The source exists|Register another key for another source.
source.invalid|400|Not a source|Send a key of 64 hex digits and the meters it may report, each once.
source.revoked|409|The source was revoked|Register a new one.
source.unknown|404|No such source may report|Check its id and whether it was revoked.
suspense.invalid|400|Not money to put aside|Send an amount above 0 in a currency of ISO 4217.
suspense.line_reused|409|Another line has this number|Send the bank's own number of the line.
suspense.resolved|409|It was resolved before|Read what became of it.
suspense.unknown|404|No such money|Check the id.
tax.first_rate|409|Its first rate holds for all meters since ever|Set that one first: meter `*`, without `effective_from`.
tax.mixed|409|In and out of the scope of tax|Set all rates of that treatment and country to `O`, or none.
tax.no_rate|409|No rate for such a buyer|Set the seller's rate for that treatment and country first.
tax.party_erased|410|Their names are erased|Nothing: the numbers stand in the sealed file.
tax.rate_exists|409|Another rate begins then|Choose another instant: a rate never changes.
tax.rate_invalid|400|Not a rate|Send S with a rate, Z, E, AE or O with 0; E, AE and O with a reason.
tax.vat_id_missing|400|No VAT id|Send the buyer's VAT id, or choose another treatment.
wallet.arrears|409|Something is in arrears|Pay what chargebacks left owing first.
wallet.frozen|409|The wallet is frozen|Operator: its books do not add up; read its transfers.
wallet.grant_invalid|400|Not a credit|Send an amount above 0 in the account's currency that expires later, or never.
wallet.hold_not_over|409|The hold is not over|Wait until its instant has passed.
wallet.insufficient|402|The credit does not cover it|Top up, or stop something; the facts say what is available and what is needed.
wallet.not_returnable|409|Not so much of it can go back|Send at most what the facts say is left.
wallet.payment_unknown|404|No such payment|Send the reference under which the credit was granted as paid.
wallet.reference_reused|409|The reference was used|Send the same amount, bucket and expiry, or another reference.
"""
