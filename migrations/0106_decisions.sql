-- What let whoever did it (0010_views.sql says how rows hold): written by projections/audit.py only. A row an entry
-- that an `access.decided` of its append is about; it never ends.
CREATE TABLE views.decision (
  number bigint NOT NULL, from_position bigint NOT NULL, to_position bigint,
  action text NOT NULL, scope text NOT NULL, authority jsonb NOT NULL,
  PRIMARY KEY (number, from_position));
GRANT SELECT, INSERT, UPDATE ON views.decision TO gpuaas_app;
