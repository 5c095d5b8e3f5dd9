"""EN 16931 documents of a seller's invoices and credit notes, in UBL 2.1 and in CII."""
