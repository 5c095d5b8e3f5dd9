-- When an API key was last used, within some seconds: no fact, for each request would be one.
-- Written by api/authorization/use.py only.
CREATE TABLE api.key_used (
  key text COLLATE "C" PRIMARY KEY,
  used_us bigint NOT NULL
);

GRANT SELECT, INSERT, UPDATE ON api.key_used TO gpuaas_app;
