-- When nodes said that something of theirs happened, and when the platform holds that it did
-- (0010_views.sql says how rows hold): a view, written by projections/attestations.py only.
CREATE TABLE views.attested_instant (
  from_position bigint PRIMARY KEY, to_position bigint, node text NOT NULL, subject text NOT NULL,
  what text NOT NULL, boottime_us numeric(38,0) NOT NULL,
  held_us numeric(38,0) NOT NULL, decided_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.attested_instant (hashtextextended(node, 0), from_position);
GRANT SELECT, INSERT, UPDATE ON views.attested_instant TO gpuaas_app;
