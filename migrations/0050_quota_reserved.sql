-- What reservations have of a quota, and which runtimes draw on them (0010_views.sql says how rows
-- hold): views, written by projections/tenancy.py only.
CREATE TABLE views.quota_reservation (
  reservation text NOT NULL, from_position bigint PRIMARY KEY, to_position bigint,
  organization text NOT NULL, department text NOT NULL, project text NOT NULL,
  model text NOT NULL, gpu_milli numeric(38,0) NOT NULL, decided_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.quota_reservation (hashtextextended(reservation, 0))
  WHERE to_position IS NULL;
CREATE TABLE views.quota_draw (
  runtime text NOT NULL, from_position bigint PRIMARY KEY, to_position bigint,
  organization text NOT NULL, reservation text NOT NULL, decided_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.quota_draw (hashtextextended(runtime, 0)) WHERE to_position IS NULL;
GRANT SELECT, INSERT, UPDATE ON views.quota_reservation, views.quota_draw TO gpuaas_app;
