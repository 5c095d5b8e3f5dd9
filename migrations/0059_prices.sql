-- Prices of more than one number, editions of books, commitments, re-ratings (0010_views.sql says
-- how rows hold): views, written by projections/billing.py and projections/price_books.py only.
-- `kind`: entry, or commitment. `tiers`: JSON; empty for one price whatever the quantity.
ALTER TABLE views.price
  ADD COLUMN kind text NOT NULL DEFAULT 'entry', ADD COLUMN named text NOT NULL DEFAULT '-',
  ADD COLUMN edition numeric(38,0) NOT NULL DEFAULT 0,
  ADD COLUMN free numeric(38,0) NOT NULL DEFAULT 0, ADD COLUMN tiers text NOT NULL DEFAULT '',
  ADD COLUMN minimum_pico numeric(38,0) NOT NULL DEFAULT 0;
CREATE TABLE views.price_book (
  from_position bigint PRIMARY KEY, to_position bigint,
  name text NOT NULL, edition numeric(38,0) NOT NULL, entries numeric(38,0) NOT NULL,
  published_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.price_book (hashtextextended(name, 0));
CREATE TABLE views.commitment (
  from_position bigint PRIMARY KEY, to_position bigint,
  account text NOT NULL, meter text NOT NULL, model text NOT NULL, region text NOT NULL,
  state text NOT NULL, currency text NOT NULL, from_us numeric(38,0) NOT NULL,
  until_us numeric(38,0) NOT NULL, quantity numeric(38,0) NOT NULL,
  price_pico numeric(38,0) NOT NULL, divisor numeric(38,0) NOT NULL,
  decided_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.commitment (hashtextextended(account, 0));
CREATE TABLE views.rerating (
  from_position bigint PRIMARY KEY, to_position bigint,
  account text NOT NULL, book text NOT NULL, edition numeric(38,0) NOT NULL,
  from_us numeric(38,0) NOT NULL, until_us numeric(38,0) NOT NULL,
  decided_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.rerating (hashtextextended(account, 0));
GRANT SELECT, INSERT, UPDATE ON views.price_book, views.commitment, views.rerating TO gpuaas_app;
