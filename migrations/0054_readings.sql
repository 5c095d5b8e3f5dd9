-- Sources of readings and how far each has come (0010_views.sql says how rows hold): views, written
-- by projections/readings.py only. A run is one signed batch: readings `first` to `last` of an
-- epoch, side by side from `first_row` on, `chain` the head behind the last. The readings
-- themselves are bulk rows; nothing else keeps them.
CREATE TABLE views.source (
  source text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  organization text NOT NULL, project text NOT NULL, key text NOT NULL, meters jsonb NOT NULL,
  registered_us numeric(38,0) NOT NULL,
  PRIMARY KEY (source, from_position));
CREATE TABLE views.source_revocation (
  source text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  reason text NOT NULL, decided_us numeric(38,0) NOT NULL,
  PRIMARY KEY (source, from_position));
CREATE TABLE views.reading_run (
  first_row bigint PRIMARY KEY, from_position bigint NOT NULL, to_position bigint,
  source text NOT NULL, epoch numeric(38,0) NOT NULL, first numeric(38,0) NOT NULL,
  last numeric(38,0) NOT NULL, chain text NOT NULL);
CREATE INDEX ON views.reading_run (hashtextextended(source, 0), epoch, last);
CREATE TABLE views.reading_quarantined (
  from_position bigint PRIMARY KEY, to_position bigint, source text NOT NULL,
  epoch numeric(38,0) NOT NULL, sequence numeric(38,0) NOT NULL, kept text NOT NULL,
  refused text NOT NULL, reading text NOT NULL, decided_us numeric(38,0) NOT NULL);
-- A meter of readings says what its prices are quoted in, and its dimensions.
ALTER TABLE views.meter ADD COLUMN divisor numeric(38,0) NOT NULL DEFAULT 1;
ALTER TABLE views.meter ADD COLUMN dimensions jsonb NOT NULL DEFAULT '["model"]';
GRANT SELECT, INSERT, UPDATE ON views.source, views.source_revocation, views.reading_run,
  views.reading_quarantined TO gpuaas_app;
