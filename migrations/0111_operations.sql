-- Long work (0010_views.sql says how rows hold): written by projections/operations.py only. One row for
-- each thing that a fact says of an operation; it never ends. `begins`: the operation is named by this
-- position. `ends`: how the work of this kind on this resource ended, empty for a step.
CREATE TABLE views.operation_mark (
  from_position bigint NOT NULL, number smallint NOT NULL, to_position bigint,
  organization text NOT NULL, kind text NOT NULL, resource text NOT NULL, project text NOT NULL,
  what text NOT NULL, at_us numeric(38,0) NOT NULL, begins boolean NOT NULL, ends text NOT NULL,
  code text NOT NULL,
  PRIMARY KEY (from_position, number));
CREATE INDEX ON views.operation_mark (hashtextextended(resource, 0), from_position);
CREATE INDEX ON views.operation_mark (from_position) WHERE begins;
CREATE INDEX ON views.operation_mark (hashtextextended(organization, 0), from_position)
  WHERE begins;
GRANT SELECT, INSERT, UPDATE ON views.operation_mark TO gpuaas_app;
