-- Volumes: what they are, how large, who writes them, their snapshots and receipts; views, written by
-- projections/volumes.py only.
CREATE TABLE views.volume (
  volume text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  organization text NOT NULL, department text NOT NULL, project text NOT NULL,
  account text NOT NULL, node text NOT NULL, name text NOT NULL, created_us numeric(38,0) NOT NULL,
  PRIMARY KEY (volume, from_position));
CREATE INDEX ON views.volume (from_position);
CREATE TABLE views.volume_size (
  volume text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  size_mib numeric(38,0) NOT NULL,
  PRIMARY KEY (volume, from_position));
CREATE TABLE views.volume_state (
  volume text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  version bigint NOT NULL, state text NOT NULL, since_us numeric(38,0) NOT NULL, why text NOT NULL,
  PRIMARY KEY (volume, from_position));
CREATE TABLE views.volume_method (
  volume text NOT NULL, from_position bigint NOT NULL, to_position bigint, method text NOT NULL,
  PRIMARY KEY (volume, from_position));
CREATE TABLE views.volume_attachment (
  volume text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  version bigint NOT NULL, runtime text NOT NULL, allocation text NOT NULL,
  epoch numeric(38,0) NOT NULL, path text NOT NULL, attached_us numeric(38,0) NOT NULL,
  PRIMARY KEY (volume, from_position));
CREATE TABLE views.volume_detachment (
  volume text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  version bigint NOT NULL,
  PRIMARY KEY (volume, from_position));
CREATE TABLE views.volume_snapshot (
  from_position bigint PRIMARY KEY, to_position bigint, volume text NOT NULL,
  snapshot text NOT NULL, bytes numeric(38,0) NOT NULL, frozen_us numeric(38,0) NOT NULL,
  decided_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.volume_snapshot (volume, from_position);
CREATE TABLE views.volume_receipt (
  from_position bigint PRIMARY KEY, to_position bigint, volume text NOT NULL,
  method text NOT NULL, bytes_covered numeric(38,0) NOT NULL, duration_us numeric(38,0) NOT NULL,
  wiped_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.volume_receipt (volume, from_position);
GRANT SELECT, INSERT, UPDATE ON views.volume, views.volume_size, views.volume_state,
  views.volume_method, views.volume_attachment, views.volume_detachment, views.volume_snapshot,
  views.volume_receipt TO gpuaas_app;
