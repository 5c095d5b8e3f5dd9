-- Webhooks that said that they are gone (0010_views.sql says how rows hold): written by
-- projections/webhooks.py only. A row ends with the next replay.
CREATE TABLE views.webhook_disabled (
  webhook text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  version bigint NOT NULL, reason text NOT NULL, decided_us numeric(38,0) NOT NULL,
  PRIMARY KEY (webhook, from_position));
GRANT SELECT, INSERT, UPDATE ON views.webhook_disabled TO gpuaas_app;
