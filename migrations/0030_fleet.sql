-- What ingest must remember beside the log: numbered words of agents that became no fact, and how
-- often what was refused. Written by api/fleet/records.py only.
CREATE SCHEMA fleet;
REVOKE ALL ON SCHEMA fleet FROM PUBLIC;
GRANT USAGE ON SCHEMA fleet TO gpuaas_app;

-- A signed event that holds but changes nothing (a refusal of a command, a word that came too
-- late). Its number counts as used, and a repeat gets the same receipt.
CREATE TABLE fleet.unlogged_event (
  node text COLLATE "C" NOT NULL,
  boot text COLLATE "C" NOT NULL,
  seq bigint NOT NULL CHECK (seq > 0),
  code text NOT NULL,
  message bytea NOT NULL,
  received_us bigint NOT NULL,
  PRIMARY KEY (node, boot, seq)
);

-- Messages whose author is not proved: nothing of them is kept but their number.
CREATE TABLE fleet.refused_message (
  node text COLLATE "C" NOT NULL,
  code text COLLATE "C" NOT NULL,
  times bigint NOT NULL CHECK (times > 0),
  last_us bigint NOT NULL,
  PRIMARY KEY (node, code)
);

GRANT SELECT, INSERT ON fleet.unlogged_event TO gpuaas_app;
GRANT SELECT, INSERT, UPDATE ON fleet.refused_message TO gpuaas_app;
