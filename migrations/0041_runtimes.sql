-- What runs in a runtime, where it answers, and the images that launches may name: views, written by
-- projections/runtimes.py only.
CREATE TABLE views.runtime_config (
  runtime text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  version bigint NOT NULL, image text NOT NULL, digest text NOT NULL,
  cpu_milli numeric(38,0) NOT NULL, memory_bytes numeric(38,0) NOT NULL,
  pids numeric(38,0) NOT NULL, restarts numeric(38,0) NOT NULL,
  PRIMARY KEY (runtime, from_position));
CREATE TABLE views.runtime_route (
  runtime text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  version bigint NOT NULL, address text NOT NULL, port numeric(38,0) NOT NULL,
  host_key text NOT NULL,
  PRIMARY KEY (runtime, from_position));
CREATE TABLE views.image (
  reference text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  image text NOT NULL, digest text NOT NULL, registered_us numeric(38,0) NOT NULL,
  PRIMARY KEY (from_position));
CREATE INDEX ON views.image (hashtextextended(reference, 0)) WHERE to_position IS NULL;

GRANT SELECT, INSERT, UPDATE ON views.runtime_config, views.runtime_route, views.image
  TO gpuaas_app;
