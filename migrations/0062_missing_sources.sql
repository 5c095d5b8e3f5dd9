-- Who had not spoken when a period was closed (0010_views.sql says how rows hold): a view, written by
-- projections/billing.py only. `sources`: a JSON list of node ids.
CREATE TABLE views.period_missing (
  period text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  sources text NOT NULL, decided_us numeric(38,0) NOT NULL,
  PRIMARY KEY (period, from_position));
GRANT SELECT, INSERT, UPDATE ON views.period_missing TO gpuaas_app;
