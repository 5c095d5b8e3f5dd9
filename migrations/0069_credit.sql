-- Money put aside from bank statements (0010_views.sql says how rows hold): views, written by
-- projections/aside.py only. `about` empty: given back.
CREATE TABLE views.suspense (
  suspense text NOT NULL, from_position bigint PRIMARY KEY, to_position bigint,
  currency text NOT NULL, amount_pico numeric(38,0) NOT NULL, line text NOT NULL,
  words text NOT NULL, why text NOT NULL, decided_us numeric(38,0) NOT NULL);
CREATE TABLE views.suspense_end (
  suspense text NOT NULL, from_position bigint PRIMARY KEY, to_position bigint,
  how text NOT NULL, about text NOT NULL, decided_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.suspense_end (suspense);
GRANT SELECT, INSERT, UPDATE ON views.suspense, views.suspense_end TO gpuaas_app;
