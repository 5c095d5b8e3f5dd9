-- The API key that a ticket was asked for with: what was entered with it ends with the key.
ALTER TABLE api.ticket ADD COLUMN key text COLLATE "C" NOT NULL DEFAULT '';
