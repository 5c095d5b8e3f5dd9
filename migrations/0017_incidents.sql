-- Incidents and what is proposed for them (0010_views.sql says how rows hold).
CREATE TABLE views.incident (
  incident text NOT NULL, from_position bigint NOT NULL, to_position bigint, what text NOT NULL,
  subject text NOT NULL, title text NOT NULL, opened_us numeric(38,0) NOT NULL,
  PRIMARY KEY (incident, from_position));
CREATE INDEX ON views.incident (from_position);
CREATE TABLE views.incident_end (
  incident text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  decided_us numeric(38,0) NOT NULL,
  PRIMARY KEY (incident, from_position));
CREATE TABLE views.incident_tie (
  from_position bigint PRIMARY KEY, to_position bigint, incident text NOT NULL,
  at numeric(38,0) NOT NULL, decided_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.incident_tie (incident, from_position);
CREATE TABLE views.incident_note (
  from_position bigint PRIMARY KEY, to_position bigint, incident text NOT NULL,
  note text NOT NULL, actor text NOT NULL, noted_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.incident_note (incident, from_position);
CREATE TABLE views.credit_proposal (
  from_position bigint PRIMARY KEY, to_position bigint, incident text NOT NULL,
  runtime text NOT NULL, account text NOT NULL, quantity numeric(38,0) NOT NULL,
  from_us numeric(38,0) NOT NULL, to_us numeric(38,0) NOT NULL, reason text NOT NULL,
  decided_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.credit_proposal (incident, from_position);
GRANT SELECT, INSERT, UPDATE ON views.incident, views.incident_end, views.incident_tie,
  views.incident_note, views.credit_proposal TO gpuaas_app;
