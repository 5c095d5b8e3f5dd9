-- The tripwire behind rating (projections/tripwire.py only): time of closed periods that is charged,
-- net of what was taken back. Not of the log: made again at every close. What is charged once does
-- not overlap; what is not is frozen, and readiness is red until an operator has looked.
CREATE EXTENSION IF NOT EXISTS btree_gist;
CREATE TABLE live.charged_span (
  resource text NOT NULL, meter text NOT NULL, span int8range NOT NULL, account text NOT NULL,
  times numeric(38,0) NOT NULL, frozen boolean NOT NULL, told boolean NOT NULL DEFAULT false,
  CONSTRAINT charged_span_not_empty CHECK (NOT isempty(span)),
  CONSTRAINT charged_once_or_frozen CHECK (frozen OR times = 1),
  -- Far smaller in the index than two texts; two that share one would have to overlap as well.
  of bigint NOT NULL GENERATED ALWAYS AS (hashtextextended(resource || ' ' || meter, 0)) STORED,
  CONSTRAINT charged_once EXCLUDE USING gist (of WITH =, span WITH &&) WHERE (NOT frozen));
CREATE INDEX ON live.charged_span (resource);
CREATE INDEX ON live.charged_span (account) WHERE frozen;
CREATE TABLE live.period_checked (period text PRIMARY KEY);
GRANT SELECT, INSERT, UPDATE, DELETE ON live.charged_span TO gpuaas_app;
GRANT SELECT, INSERT ON live.period_checked TO gpuaas_app;
