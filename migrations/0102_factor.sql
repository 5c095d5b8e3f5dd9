-- Second factors at the embedded issuer: `sealed` is the TOTP secret, encrypted with a key that is
-- not in the database; `last_step` the last time step whose code was used; `recovery` SHA-256 of the
-- codes that are left. Written by api/factors/store.py only.
CREATE TABLE api.factor (
  organization text COLLATE "C" NOT NULL,
  principal text COLLATE "C" NOT NULL,
  sealed bytea NOT NULL,
  confirmed boolean NOT NULL DEFAULT false,
  last_step bigint NOT NULL DEFAULT 0,
  failures int NOT NULL DEFAULT 0,
  locked_until_us bigint NOT NULL DEFAULT 0,
  recovery bytea[] NOT NULL DEFAULT '{}',
  PRIMARY KEY (organization, principal)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON api.factor TO gpuaas_app;
