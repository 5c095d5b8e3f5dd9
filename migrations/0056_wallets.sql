-- What stands in prepaid wallets (0010_views.sql says how rows hold): a view, written by
-- projections/wallets.py only. The tripwire: a wallet is never below zero and never holds more
-- than it has; one that says so is frozen, and readiness is red until an operator has looked.
CREATE TABLE views.wallet (
  wallet text NOT NULL, from_position bigint PRIMARY KEY, to_position bigint,
  organization text NOT NULL, account text NOT NULL,
  balance_pico numeric(38,0) NOT NULL, held_pico numeric(38,0) NOT NULL,
  frozen boolean NOT NULL, decided_us numeric(38,0) NOT NULL,
  CONSTRAINT wallet_not_below_zero CHECK (
    frozen OR (balance_pico >= 0 AND held_pico >= 0 AND held_pico <= balance_pico)));
CREATE INDEX ON views.wallet (wallet, from_position);
CREATE INDEX ON views.wallet (wallet) WHERE to_position IS NULL AND frozen;
GRANT SELECT, INSERT, UPDATE ON views.wallet TO gpuaas_app;
