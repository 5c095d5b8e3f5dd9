-- In which state a cost centre is and was, at which version of its stream, under which name, and the
-- version of an attribution (0010_views.sql says how rows hold): written by projections/cost_centres.py only.
CREATE TABLE views.cost_centre_state (
  cost_centre text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  version bigint NOT NULL, state text NOT NULL, PRIMARY KEY (cost_centre, from_position));
CREATE TABLE views.cost_centre_name (
  cost_centre text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  name text NOT NULL, PRIMARY KEY (cost_centre, from_position));
GRANT SELECT, INSERT, UPDATE ON views.cost_centre_state, views.cost_centre_name TO gpuaas_app;

-- Of those that there were before: nothing had happened to them yet, and each row was one fact.
INSERT INTO views.cost_centre_state
  SELECT cost_centre, from_position, to_position, 1, 'open' FROM views.cost_centre;
INSERT INTO views.cost_centre_name
  SELECT cost_centre, from_position, to_position, name FROM views.cost_centre;

ALTER TABLE views.attribution ADD COLUMN version bigint;
UPDATE views.attribution t SET version = n.version
FROM (SELECT from_position, row_number() OVER (PARTITION BY project ORDER BY from_position) AS version
  FROM views.attribution) n
WHERE n.from_position = t.from_position;
ALTER TABLE views.attribution ALTER COLUMN version SET NOT NULL;
CREATE INDEX ON views.attribution (cost_centre) WHERE to_position IS NULL;
