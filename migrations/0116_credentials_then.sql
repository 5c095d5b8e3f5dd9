-- Keys, sessions and issuers of one organization as of a position are found without reading those
-- of all the others (`api/authorization/loading.py`, `credentials_at`).
CREATE INDEX entry_credentials ON log.entry (log.org_of(entry), position)
  WHERE stream >= 'token-' AND stream < 'token.';
