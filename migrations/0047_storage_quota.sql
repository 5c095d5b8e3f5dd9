-- Quota of storage: limits and what volumes have of it; views, written by projections/tenancy.py only.
CREATE TABLE views.storage_limit (
  scope text NOT NULL, model text NOT NULL, from_position bigint PRIMARY KEY,
  to_position bigint, quota text NOT NULL, organization text NOT NULL,
  limit_mib numeric(38,0) NOT NULL, decided_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.storage_limit (hashtextextended(scope, 0)) WHERE to_position IS NULL;
CREATE TABLE views.storage_commitment (
  volume text NOT NULL, from_position bigint PRIMARY KEY, to_position bigint,
  organization text NOT NULL, department text NOT NULL, project text NOT NULL,
  model text NOT NULL, size_mib numeric(38,0) NOT NULL, decided_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.storage_commitment (hashtextextended(volume, 0)) WHERE to_position IS NULL;
GRANT SELECT, INSERT, UPDATE ON views.storage_limit, views.storage_commitment TO gpuaas_app;
