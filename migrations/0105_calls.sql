-- Counted calls (0010_views.sql says how rows hold): written by projections/calls.py only. A row a sealed
-- row of the bulk table `call`; it never ends.
CREATE TABLE views.call (
  number bigint PRIMARY KEY, from_position bigint NOT NULL, to_position bigint, place integer NOT NULL,
  organization text NOT NULL, principal text NOT NULL, credential text NOT NULL, action text NOT NULL,
  outcome text NOT NULL, reason text NOT NULL, authority jsonb NOT NULL,
  calls numeric(38,0) NOT NULL, first_us numeric(38,0) NOT NULL, last_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.call (from_position, place);
CREATE INDEX ON views.call (hashtextextended(organization, 0), from_position);
CREATE INDEX ON views.call (hashtextextended(principal, 0), from_position);
GRANT SELECT, INSERT, UPDATE ON views.call TO gpuaas_app;
