-- Whether the token that a ticket was asked for with gave the right by itself; for everybody else a
-- binding must, from the first look on.
ALTER TABLE api.ticket ADD COLUMN implied boolean NOT NULL DEFAULT false;
