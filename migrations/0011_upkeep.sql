-- What operators and health do to nodes and devices (0010_views.sql says how rows hold).
CREATE TABLE views.node_drain (
  node text NOT NULL, owner text NOT NULL, reason text NOT NULL, from_position bigint PRIMARY KEY,
  to_position bigint, decided_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.node_drain (hashtextextended(node, 0)) WHERE to_position IS NULL;
CREATE TABLE views.node_quarantine (
  node text NOT NULL, device numeric(38,0) NOT NULL, from_position bigint NOT NULL,
  to_position bigint, reason text NOT NULL, decided_us numeric(38,0) NOT NULL,
  PRIMARY KEY (node, device, from_position));
CREATE TABLE views.node_owes (
  node text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  decided_us numeric(38,0) NOT NULL,
  PRIMARY KEY (node, from_position));
CREATE TABLE views.node_receipt (
  from_position bigint PRIMARY KEY, to_position bigint, node text NOT NULL, devices jsonb NOT NULL,
  method text NOT NULL, bytes_covered numeric(38,0) NOT NULL, duration_us numeric(38,0) NOT NULL,
  driver text NOT NULL, ecc_uncorrected numeric(38,0), residual_processes numeric(38,0) NOT NULL,
  boottime_us numeric(38,0) NOT NULL, decided_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.node_receipt (node, from_position);
CREATE TABLE views.node_retired (
  node text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  reason text NOT NULL, decided_us numeric(38,0) NOT NULL,
  PRIMARY KEY (node, from_position));
GRANT SELECT, INSERT, UPDATE ON views.node_drain, views.node_quarantine, views.node_owes,
  views.node_receipt, views.node_retired TO gpuaas_app;
-- What ran on a node, for its timeline.
CREATE INDEX ON views.allocation (hashtextextended(node, 0), from_position);
