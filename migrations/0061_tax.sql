-- Sellers, how they tax whom, and what credit notes took back (0010_views.sql says how rows hold):
-- views, written by projections/taxes.py only.
CREATE TABLE views.seller (
  seller text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  party text NOT NULL, country text NOT NULL, prefix text NOT NULL,
  terms_days numeric(38,0) NOT NULL, registered_us numeric(38,0) NOT NULL,
  PRIMARY KEY (seller, from_position));
CREATE TABLE views.tax_rate (
  from_position bigint PRIMARY KEY, to_position bigint, seller text NOT NULL,
  treatment text NOT NULL, country text NOT NULL, meter text NOT NULL, category text NOT NULL,
  rate_bp numeric(38,0) NOT NULL, reason text NOT NULL, effective_from_us numeric(38,0) NOT NULL,
  decided_us numeric(38,0) NOT NULL);
CREATE TABLE views.account_tax (
  account text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  seller text NOT NULL, party text NOT NULL, country text NOT NULL, treatment text NOT NULL,
  decided_us numeric(38,0) NOT NULL,
  PRIMARY KEY (account, from_position));
CREATE TABLE views.invoice_tax (
  invoice text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  seller text NOT NULL, net_minor numeric(38,0) NOT NULL, tax_minor numeric(38,0) NOT NULL,
  PRIMARY KEY (invoice, from_position));
CREATE TABLE views.credit_note (
  credit_note text NOT NULL, from_position bigint PRIMARY KEY, to_position bigint,
  invoice text NOT NULL, organization text NOT NULL, account text NOT NULL, seller text NOT NULL,
  number text NOT NULL, why text NOT NULL, net_minor numeric(38,0) NOT NULL,
  tax_minor numeric(38,0) NOT NULL, total_minor numeric(38,0) NOT NULL, file text NOT NULL,
  sha256 text NOT NULL, issued_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.credit_note (hashtextextended(credit_note, 0));
CREATE INDEX ON views.credit_note (invoice);
GRANT SELECT, INSERT, UPDATE ON views.seller, views.tax_rate, views.account_tax, views.invoice_tax,
  views.credit_note TO gpuaas_app;
