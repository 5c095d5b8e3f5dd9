-- The log says first what becomes of a factor, and its row follows: `made` and `recovered` are the
-- versions in its stream of the facts that its secret and its recovery codes are of (null: of before
-- this column). `taken` names the commands that last used a code up, each with that code, as a
-- SHA-256: the repeat of one that a crash cut off is let through, and another command is refused.
ALTER TABLE api.factor
  ADD COLUMN made bigint,
  ADD COLUMN recovered bigint,
  ADD COLUMN taken bytea[] NOT NULL DEFAULT '{}';
