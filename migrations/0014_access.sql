-- Views of access: grants, the sessions they were used for, and how both ended.
CREATE TABLE views.access_grant (
  access text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  organization text NOT NULL, runtime text NOT NULL, project text NOT NULL, user_id text NOT NULL,
  way text NOT NULL, until_us numeric(38,0) NOT NULL, granted_us numeric(38,0) NOT NULL,
  PRIMARY KEY (access, from_position));
CREATE INDEX ON views.access_grant (organization, from_position);
CREATE INDEX ON views.access_grant (hashtextextended(runtime, 0));
CREATE TABLE views.access_revocation (
  access text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  reason text NOT NULL, decided_us numeric(38,0) NOT NULL, actor text NOT NULL,
  PRIMARY KEY (access, from_position));
CREATE TABLE views.access_certificate (
  access text NOT NULL, from_position bigint PRIMARY KEY, to_position bigint,
  host_of text NOT NULL, serial numeric(38,0) NOT NULL, principal text NOT NULL,
  key_sha256 text NOT NULL, after_us numeric(38,0) NOT NULL, before_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.access_certificate (access);
CREATE TABLE views.access_session (
  session text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  access text NOT NULL, runtime text NOT NULL, way text NOT NULL, gateway text NOT NULL,
  source text NOT NULL, opened_us numeric(38,0) NOT NULL,
  PRIMARY KEY (session, from_position));
CREATE INDEX ON views.access_session (hashtextextended(access, 0));
CREATE TABLE views.access_session_end (
  session text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  reason text NOT NULL, bytes_up numeric(38,0), bytes_down numeric(38,0),
  closed_us numeric(38,0) NOT NULL,
  PRIMARY KEY (session, from_position));
GRANT SELECT, INSERT, UPDATE ON views.access_grant, views.access_revocation,
  views.access_certificate, views.access_session, views.access_session_end TO gpuaas_app;
