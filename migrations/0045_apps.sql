-- Browsers that entered an app of a runtime: a row is one cookie, by SHA-256, and its grant.
-- Written by api/gateway/web/cookies.py only; what a grant still allows is the log's to say.
CREATE TABLE api.app_cookie (
  hash bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
  access text COLLATE "C" NOT NULL,
  expires_us bigint NOT NULL
);
CREATE INDEX ON api.app_cookie (expires_us);

GRANT SELECT, INSERT, UPDATE, DELETE ON api.app_cookie TO gpuaas_app;
