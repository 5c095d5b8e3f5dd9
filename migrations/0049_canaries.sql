-- How fast a device's memory is, and canaries looked for, as nodes say it (0010_views.sql says how rows
-- hold): views, written by projections/devices.py and projections/upkeep.py only.
CREATE TABLE views.device_probe (
  node text NOT NULL, device numeric(38,0) NOT NULL, from_position bigint NOT NULL,
  to_position bigint, uuid text NOT NULL, method text NOT NULL, bytes numeric(38,0) NOT NULL,
  duration_us numeric(38,0) NOT NULL, decided_us numeric(38,0) NOT NULL,
  PRIMARY KEY (node, device, from_position));
CREATE TABLE views.node_canary (
  from_position bigint PRIMARY KEY, to_position bigint, node text NOT NULL,
  devices jsonb NOT NULL, command numeric(38,0) NOT NULL, method text NOT NULL,
  planted numeric(38,0) NOT NULL, looked numeric(38,0) NOT NULL, found numeric(38,0) NOT NULL,
  duration_us numeric(38,0) NOT NULL, decided_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.node_canary (node, from_position);
GRANT SELECT, INSERT, UPDATE ON views.device_probe, views.node_canary TO gpuaas_app;
