-- Who nodes may say they are (projections/identities.py). Rows hold on [from_position,
-- to_position); null = still current.
CREATE TABLE views.node_standing (
  node text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  barred text NOT NULL, why text NOT NULL, since_us numeric(38,0) NOT NULL,
  PRIMARY KEY (node, from_position));
CREATE TABLE views.node_invitation (
  node text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  expires_us numeric(38,0) NOT NULL, invited_us numeric(38,0) NOT NULL,
  PRIMARY KEY (node, from_position));
CREATE TABLE views.node_certificate (
  node text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  nkey text NOT NULL, public_sha256 text NOT NULL, certificate_sha256 text NOT NULL,
  not_before_us numeric(38,0) NOT NULL, not_after_us numeric(38,0) NOT NULL,
  PRIMARY KEY (node, from_position));
CREATE TABLE views.node_expected (
  node text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  fingerprint text NOT NULL, decided_us numeric(38,0) NOT NULL,
  PRIMARY KEY (node, from_position));
CREATE TABLE views.node_hardware (
  node text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  product text NOT NULL, serial text NOT NULL, machine text NOT NULL, fingerprint text NOT NULL,
  stated_us numeric(38,0) NOT NULL,
  PRIMARY KEY (node, from_position));
-- `what` is text of a fact: by its hash, because an index entry holds less than a fact may carry.
CREATE TABLE views.node_discrepancy (
  node text NOT NULL, what text NOT NULL, from_position bigint PRIMARY KEY, to_position bigint,
  before text NOT NULL, stated text NOT NULL, decided_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.node_discrepancy (hashtextextended(node, 0)) WHERE to_position IS NULL;

GRANT SELECT, INSERT, UPDATE ON
  views.node_standing, views.node_invitation, views.node_certificate, views.node_expected,
  views.node_hardware, views.node_discrepancy TO gpuaas_app;
