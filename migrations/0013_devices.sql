-- What nodes say of their devices (0010_views.sql says how rows hold).
CREATE TABLE views.device_health (
  node text NOT NULL, device numeric(38,0) NOT NULL, from_position bigint NOT NULL,
  to_position bigint, uuid text NOT NULL, state text NOT NULL, cause text NOT NULL,
  xid numeric(38,0) NOT NULL, ecc_uncorrected numeric(38,0), boottime_us numeric(38,0) NOT NULL,
  since_us numeric(38,0) NOT NULL,
  PRIMARY KEY (node, device, from_position));
CREATE TABLE views.device_xid (
  node text NOT NULL, uuid text NOT NULL, xid numeric(38,0) NOT NULL,
  from_position bigint PRIMARY KEY, to_position bigint, count numeric(38,0) NOT NULL,
  boottime_us numeric(38,0) NOT NULL, decided_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.device_xid (hashtextextended(node, 0)) WHERE to_position IS NULL;
CREATE TABLE views.device_test (
  from_position bigint PRIMARY KEY, to_position bigint, node text NOT NULL,
  device numeric(38,0) NOT NULL, command numeric(38,0) NOT NULL, passed boolean NOT NULL,
  method text NOT NULL, cause text NOT NULL, duration_us numeric(38,0) NOT NULL,
  decided_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.device_test (node, from_position);
CREATE TABLE views.device_hardware (
  node text NOT NULL, device numeric(38,0) NOT NULL, from_position bigint NOT NULL,
  to_position bigint, uuid text NOT NULL, product text NOT NULL,
  memory_bytes numeric(38,0) NOT NULL, serial text NOT NULL, driver text NOT NULL,
  library text NOT NULL, decided_us numeric(38,0) NOT NULL,
  PRIMARY KEY (node, device, from_position));
GRANT SELECT, INSERT, UPDATE ON views.device_health, views.device_xid, views.device_test,
  views.device_hardware TO gpuaas_app;
