-- Dates of organizations that are being closed (0010_views.sql says how rows hold): a view, written
-- by projections/tenancy.py only.
CREATE TABLE views.organization_closing (
  organization text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  stop_us numeric(38,0) NOT NULL, wipe_us numeric(38,0) NOT NULL,
  decided_us numeric(38,0) NOT NULL,
  PRIMARY KEY (organization, from_position));
GRANT SELECT, INSERT, UPDATE ON views.organization_closing TO gpuaas_app;
