-- Reservations, blocks and topology (0010_views.sql says how rows hold).
CREATE TABLE views.node_topology (
  node text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  zone text NOT NULL, "group" numeric(38,0) NOT NULL, decided_us numeric(38,0) NOT NULL,
  PRIMARY KEY (node, from_position));
CREATE TABLE views.node_claim (
  node text NOT NULL, device numeric(38,0) NOT NULL, from_position bigint NOT NULL,
  to_position bigint, reservation text NOT NULL, organization text NOT NULL,
  until_us numeric(38,0) NOT NULL,
  PRIMARY KEY (node, device, from_position));
CREATE TABLE views.reservation (
  reservation text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  organization text NOT NULL, project text NOT NULL, model text NOT NULL,
  devices numeric(38,0) NOT NULL, nodes jsonb NOT NULL, until_us numeric(38,0) NOT NULL,
  decided_us numeric(38,0) NOT NULL,
  PRIMARY KEY (reservation, from_position));
CREATE INDEX ON views.reservation (from_position);
CREATE TABLE views.reservation_end (
  reservation text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  reason text NOT NULL, decided_us numeric(38,0) NOT NULL,
  PRIMARY KEY (reservation, from_position));
CREATE TABLE views.block (
  from_position bigint PRIMARY KEY, to_position bigint, block text NOT NULL,
  organization text NOT NULL, project text NOT NULL, policy text NOT NULL,
  runtimes jsonb NOT NULL, decided_us numeric(38,0) NOT NULL);
GRANT SELECT, INSERT, UPDATE ON views.node_topology, views.node_claim, views.reservation,
  views.reservation_end, views.block TO gpuaas_app;
