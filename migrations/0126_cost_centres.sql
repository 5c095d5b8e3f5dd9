-- Cost centres, and what projects are and were attributed to (0010_views.sql says how rows hold):
-- views, written by projections/cost_centres.py only. An empty `cost_centre`: none from `since_us` on.
CREATE TABLE views.cost_centre (
  cost_centre text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  organization text NOT NULL, department text NOT NULL, name text NOT NULL,
  created_us numeric(38,0) NOT NULL,
  PRIMARY KEY (cost_centre, from_position));
CREATE INDEX ON views.cost_centre (organization);
CREATE TABLE views.attribution (
  project text NOT NULL, from_position bigint PRIMARY KEY, to_position bigint,
  organization text NOT NULL, cost_centre text NOT NULL, since_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.attribution (hashtextextended(project, 0)) WHERE to_position IS NULL;
CREATE INDEX ON views.attribution (organization);
GRANT SELECT, INSERT, UPDATE ON views.cost_centre, views.attribution TO gpuaas_app;
