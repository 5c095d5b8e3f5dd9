-- Networks and their policies, who is in them, what left (0010_views.sql says how rows hold):
-- views, written by projections/networks.py only.
CREATE TABLE views.network (
  network text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  organization text NOT NULL, project text NOT NULL, name text NOT NULL,
  created_us numeric(38,0) NOT NULL,
  PRIMARY KEY (network, from_position));
CREATE INDEX ON views.network (from_position);
CREATE TABLE views.network_policy (
  network text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  version bigint NOT NULL, state text NOT NULL, internal boolean NOT NULL, egress jsonb NOT NULL,
  changed_us numeric(38,0) NOT NULL,
  PRIMARY KEY (network, from_position));
CREATE TABLE views.runtime_network (
  runtime text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  version bigint NOT NULL, network text NOT NULL,
  PRIMARY KEY (runtime, from_position));
CREATE TABLE views.runtime_egress (
  runtime text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  version bigint NOT NULL, sent_bytes numeric(38,0) NOT NULL,
  received_bytes numeric(38,0) NOT NULL, decided_us numeric(38,0) NOT NULL,
  PRIMARY KEY (runtime, from_position));
GRANT SELECT, INSERT, UPDATE ON views.network, views.network_policy, views.runtime_network,
  views.runtime_egress TO gpuaas_app;
