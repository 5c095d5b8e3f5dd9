-- What the front door keeps beside the log: which request holds which Idempotency-Key.

CREATE SCHEMA api;

-- One row per key in use. `command` = SHA-256 of (organization, principal, route, key), the command
-- id in the log; `fingerprint` = SHA-256 of the body. Written before the append, so a repeat with
-- another body is caught after any crash; a refusal deletes it. `holder` is the number of an
-- advisory lock that the claiming process holds while it lives. `answer` is kept only for an act
-- that appended nothing: every other answer is made again from the log.
CREATE TABLE api.claim (
  command bytea PRIMARY KEY CHECK (octet_length(command) = 32),
  fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
  holder bigint NOT NULL,
  claimed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  answer bytea
);

GRANT USAGE ON SCHEMA api TO gpuaas_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON api.claim TO gpuaas_app;
