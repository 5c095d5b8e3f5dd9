-- Runtimes that were asked for in a region (0010_views.sql says how rows hold): a view, written by
-- projections/runtimes.py only.
CREATE TABLE views.runtime_region (
  runtime text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  version bigint NOT NULL, region text NOT NULL, PRIMARY KEY (runtime, from_position));
GRANT SELECT, INSERT, UPDATE ON views.runtime_region TO gpuaas_app;
