-- Who did what (0010_views.sql says how rows hold): written by projections/audit.py only. One row an
-- entry of a person or a service account; it never ends. `authority`: the ids of the policies that
-- decided, where the fact names them.
CREATE TABLE views.act (
  stream text NOT NULL, from_position bigint PRIMARY KEY, to_position bigint,
  tag text NOT NULL, actor text NOT NULL, organization text NOT NULL,
  at_us numeric(38,0) NOT NULL, authority jsonb NOT NULL);
CREATE INDEX ON views.act (hashtextextended(organization, 0), from_position);
CREATE INDEX ON views.act (hashtextextended(actor, 0), from_position);
CREATE INDEX ON views.act (hashtextextended(stream, 0), from_position);
GRANT SELECT, INSERT, UPDATE ON views.act TO gpuaas_app;
