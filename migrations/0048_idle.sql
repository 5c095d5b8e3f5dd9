-- What nodes say of runtimes that nobody uses (0010_views.sql says how rows hold): views, written by
-- projections/idleness.py only. idle_us null: it is busy.
CREATE TABLE views.runtime_idle (
  runtime text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  version bigint NOT NULL, idle_us numeric(38,0), decided_us numeric(38,0) NOT NULL,
  PRIMARY KEY (runtime, from_position));
CREATE TABLE views.runtime_idle_limit (
  runtime text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  version bigint NOT NULL, stop_after_us numeric(38,0) NOT NULL,
  PRIMARY KEY (runtime, from_position));
GRANT SELECT, INSERT, UPDATE ON views.runtime_idle, views.runtime_idle_limit TO gpuaas_app;
