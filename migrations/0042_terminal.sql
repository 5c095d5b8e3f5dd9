-- Tickets that open a terminal's WebSocket: a row is one unspent ticket, by SHA-256; spending
-- deletes it. Written by api/terminal/tickets.py only.
CREATE TABLE api.ticket (
  hash bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
  session text COLLATE "C" NOT NULL,
  actor text COLLATE "C" NOT NULL,
  expires_us bigint NOT NULL
);

GRANT SELECT, INSERT, UPDATE, DELETE ON api.ticket TO gpuaas_app;
