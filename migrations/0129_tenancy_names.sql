-- What organizations, departments and projects are and were called, and at which version of their stream
-- (0010_views.sql says how rows hold): written by projections/tenancy.py only.
CREATE TABLE views.tenancy_name (
  stream text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  name text NOT NULL, version bigint NOT NULL, PRIMARY KEY (stream, from_position));
GRANT SELECT, INSERT, UPDATE ON views.tenancy_name TO gpuaas_app;

-- Of those that there were before: each was made under the name that it has.
INSERT INTO views.tenancy_name
  SELECT organization, from_position, to_position, name, 1 FROM views.organization
  UNION ALL SELECT department, from_position, to_position, name, 1 FROM views.department
  UNION ALL SELECT project, from_position, to_position, name, 1 FROM views.project;
