-- Where each project is and was (0010_views.sql says how rows hold): a view, written by
-- projections/moves.py only. From `since_us` on it is there; its first place holds for all time before.
CREATE TABLE views.project_place (
  project text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  organization text NOT NULL, department text NOT NULL, account text NOT NULL,
  since_us numeric(38,0) NOT NULL, version bigint NOT NULL,
  PRIMARY KEY (project, from_position));
CREATE INDEX ON views.project_place (organization);
INSERT INTO views.project_place
SELECT project, from_position, NULL, organization, department, account, -62135596800000000, 1
FROM views.project WHERE to_position IS NULL;
GRANT SELECT, INSERT, UPDATE ON views.project_place TO gpuaas_app;
