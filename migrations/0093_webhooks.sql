-- Webhooks (0010_views.sql says how rows hold): views, written by projections/webhooks.py only.
-- `url` and `secret`: digests of private values. A row of webhook_secret ends with the next one.
CREATE TABLE views.webhook (
  webhook text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  organization text NOT NULL, url text NOT NULL, tags jsonb NOT NULL,
  registered_us numeric(38,0) NOT NULL,
  PRIMARY KEY (webhook, from_position));
CREATE TABLE views.webhook_secret (
  webhook text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  version bigint NOT NULL, secret text NOT NULL, decided_us numeric(38,0) NOT NULL,
  PRIMARY KEY (webhook, from_position));
CREATE TABLE views.webhook_replay (
  webhook text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  version bigint NOT NULL, first numeric(38,0) NOT NULL, decided_us numeric(38,0) NOT NULL,
  PRIMARY KEY (webhook, from_position));
CREATE TABLE views.webhook_end (
  webhook text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  version bigint NOT NULL, decided_us numeric(38,0) NOT NULL,
  PRIMARY KEY (webhook, from_position));
GRANT SELECT, INSERT, UPDATE ON views.webhook, views.webhook_secret, views.webhook_replay,
  views.webhook_end TO gpuaas_app;

-- How far each webhook has come: written by api/webhooks/places.py only, and no view: it is lost
-- with a restore, which sends again from where each was registered. `replayed`: position of the
-- last replay that was begun; `failing`: attempts in a row that failed.
CREATE TABLE api.webhook_place (
  webhook text PRIMARY KEY, position bigint NOT NULL, replayed bigint NOT NULL,
  failing integer NOT NULL);
-- What was not taken: tried again from `next_us` on; `dead`: given up.
CREATE TABLE api.webhook_delivery (
  webhook text NOT NULL, position bigint NOT NULL, attempts integer NOT NULL,
  next_us bigint NOT NULL, dead boolean NOT NULL, status integer, detail text NOT NULL,
  PRIMARY KEY (webhook, position));
GRANT SELECT, INSERT, UPDATE, DELETE ON api.webhook_place, api.webhook_delivery TO gpuaas_app;
