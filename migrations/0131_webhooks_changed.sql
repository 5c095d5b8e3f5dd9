-- What a webhook was changed to, and whether it is paused (0010_views.sql says how rows hold):
-- written by projections/webhooks.py only. Without a row it is as it was registered, and not paused.
CREATE TABLE views.webhook_change (
  webhook text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  version bigint NOT NULL, url text NOT NULL, tags jsonb NOT NULL,
  decided_us numeric(38,0) NOT NULL,
  PRIMARY KEY (webhook, from_position));
CREATE TABLE views.webhook_pause (
  webhook text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  version bigint NOT NULL, paused boolean NOT NULL, decided_us numeric(38,0) NOT NULL,
  PRIMARY KEY (webhook, from_position));
GRANT SELECT, INSERT, UPDATE ON views.webhook_change, views.webhook_pause TO gpuaas_app;

-- Position of the last change after which what waited was tried at once.
ALTER TABLE api.webhook_place ADD COLUMN changed bigint NOT NULL DEFAULT -1;
