-- What scopes are guaranteed, lend, claim and take back (0010_views.sql says how rows hold): views,
-- written by projections/lending.py only.
CREATE TABLE views.quota_share (
  scope text NOT NULL, model text NOT NULL, from_position bigint PRIMARY KEY,
  to_position bigint, organization text NOT NULL, parent text NOT NULL,
  guaranteed_milli numeric(38,0) NOT NULL, lendable_milli numeric(38,0) NOT NULL,
  limit_milli numeric(38,0) NOT NULL, decided_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.quota_share (hashtextextended(scope, 0)) WHERE to_position IS NULL;
CREATE TABLE views.quota_claim (
  scope text NOT NULL, model text NOT NULL, from_position bigint PRIMARY KEY,
  to_position bigint, organization text NOT NULL, gpu_milli numeric(38,0) NOT NULL,
  stop_us numeric(38,0) NOT NULL, until_us numeric(38,0) NOT NULL,
  decided_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.quota_claim (hashtextextended(scope, 0)) WHERE to_position IS NULL;
CREATE TABLE views.quota_reclaim (
  from_position bigint PRIMARY KEY, to_position bigint, organization text NOT NULL,
  scope text NOT NULL, model text NOT NULL, runtimes jsonb NOT NULL,
  stop_us numeric(38,0) NOT NULL, decided_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.quota_reclaim (organization, from_position);
GRANT SELECT, INSERT, UPDATE ON views.quota_share, views.quota_claim, views.quota_reclaim
  TO gpuaas_app;
