-- Views: everything downstream of the log, disposable. Every row holds on [from_position,
-- to_position); null = still current. Numbers that come from facts are numeric(38,0), because a
-- fact may carry any |n| < 10^38; texts that come from facts are never B-tree keys themselves,
-- because a fact may carry more than an index entry holds: their 64-bit hash is.
CREATE SCHEMA views;
GRANT USAGE ON SCHEMA views TO gpuaas_app;

-- How many entries the views have applied: the next position to apply.
CREATE TABLE views.applied (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  position bigint NOT NULL
);
INSERT INTO views.applied (position) VALUES (0);

-- tenancy ------------------------------------------------------------------------------------
CREATE TABLE views.organization (
  organization text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  name text NOT NULL, created_us numeric(38,0) NOT NULL,
  PRIMARY KEY (organization, from_position));
CREATE TABLE views.organization_standing (
  organization text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  state text NOT NULL, reason text NOT NULL, since_us numeric(38,0) NOT NULL,
  PRIMARY KEY (organization, from_position));
CREATE TABLE views.department (
  department text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  organization text NOT NULL, name text NOT NULL, created_us numeric(38,0) NOT NULL,
  PRIMARY KEY (department, from_position));
CREATE TABLE views.project (
  project text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  organization text NOT NULL, department text NOT NULL, account text NOT NULL,
  name text NOT NULL, created_us numeric(38,0) NOT NULL,
  PRIMARY KEY (project, from_position));
CREATE TABLE views.quota_limit (
  scope text NOT NULL, model text NOT NULL, from_position bigint PRIMARY KEY,
  to_position bigint, quota text NOT NULL, organization text NOT NULL,
  limit_milli numeric(38,0) NOT NULL, decided_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.quota_limit (hashtextextended(scope, 0)) WHERE to_position IS NULL;
CREATE TABLE views.quota_commitment (
  runtime text NOT NULL, from_position bigint PRIMARY KEY, to_position bigint,
  organization text NOT NULL, department text NOT NULL, project text NOT NULL,
  model text NOT NULL, gpu_milli numeric(38,0) NOT NULL, decided_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.quota_commitment (hashtextextended(runtime, 0)) WHERE to_position IS NULL;
CREATE TABLE views.access_token (
  stream text NOT NULL, from_position bigint PRIMARY KEY, to_position bigint,
  principal text NOT NULL, role text NOT NULL, expires_us numeric(38,0) NOT NULL,
  issued_by text NOT NULL);

-- inventory ----------------------------------------------------------------------------------
CREATE TABLE views.node (
  node text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  name text NOT NULL, expected_model text NOT NULL, expires_us numeric(38,0) NOT NULL,
  invited_us numeric(38,0) NOT NULL,
  PRIMARY KEY (node, from_position));
CREATE TABLE views.node_identity (
  node text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  key text NOT NULL, model text NOT NULL, simulated boolean NOT NULL, serial text NOT NULL,
  gpus jsonb NOT NULL, enrolled_us numeric(38,0) NOT NULL,
  PRIMARY KEY (node, from_position));
CREATE TABLE views.node_anchor (
  node text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  boot text NOT NULL, boottime_us numeric(38,0) NOT NULL, anchor_us numeric(38,0) NOT NULL,
  PRIMARY KEY (node, from_position));
CREATE TABLE views.node_lease (
  node text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  runtimes integer NOT NULL, boottime_us numeric(38,0) NOT NULL,
  renewed_us numeric(38,0) NOT NULL, until_us numeric(38,0) NOT NULL,
  PRIMARY KEY (node, from_position));
CREATE TABLE views.node_reach (
  node text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  reachable boolean NOT NULL, since_us numeric(38,0) NOT NULL,
  PRIMARY KEY (node, from_position));
CREATE TABLE views.node_cordon (
  node text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  cordoned boolean NOT NULL, decided_us numeric(38,0) NOT NULL,
  PRIMARY KEY (node, from_position));
CREATE TABLE views.allocation (
  allocation text NOT NULL, from_position bigint PRIMARY KEY, to_position bigint,
  node text NOT NULL, runtime text NOT NULL, organization text NOT NULL,
  devices jsonb NOT NULL, gpu_milli numeric NOT NULL, epoch numeric(38,0) NOT NULL,
  decided_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.allocation (hashtextextended(allocation, 0)) WHERE to_position IS NULL;

-- runtimes -----------------------------------------------------------------------------------
CREATE TABLE views.runtime (
  runtime text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  organization text NOT NULL, department text NOT NULL, project text NOT NULL,
  account text NOT NULL, name text NOT NULL, devices numeric(38,0) NOT NULL,
  gpu_milli numeric(38,0) NOT NULL, models jsonb NOT NULL, requested_us numeric(38,0) NOT NULL,
  actor text NOT NULL,
  PRIMARY KEY (runtime, from_position));
CREATE INDEX ON views.runtime (from_position);
CREATE INDEX ON views.runtime (organization, from_position);
CREATE TABLE views.runtime_place (
  runtime text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  allocation text NOT NULL, node text NOT NULL, model text NOT NULL, devices jsonb NOT NULL,
  epoch numeric(38,0) NOT NULL, allocated_us numeric(38,0) NOT NULL,
  PRIMARY KEY (runtime, from_position));
CREATE TABLE views.runtime_state (
  runtime text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  version bigint NOT NULL, state text NOT NULL, since_us numeric(38,0) NOT NULL,
  why text NOT NULL, actor text NOT NULL,
  PRIMARY KEY (runtime, from_position)) WITH (fillfactor = 85);

-- billing ------------------------------------------------------------------------------------
CREATE TABLE views.meter (
  stream text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  meter text NOT NULL, unit text NOT NULL, source text NOT NULL, aggregation text NOT NULL,
  registered_us numeric(38,0) NOT NULL,
  PRIMARY KEY (stream, from_position));
CREATE TABLE views.price (
  from_position bigint PRIMARY KEY, to_position bigint, book text NOT NULL,
  account text NOT NULL, meter text NOT NULL, model text NOT NULL, region text NOT NULL,
  state text NOT NULL, currency text NOT NULL, effective_from_us numeric(38,0) NOT NULL,
  published_us numeric(38,0) NOT NULL, price_pico numeric(38,0) NOT NULL,
  divisor numeric(38,0) NOT NULL);
CREATE TABLE views.account (
  account text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  organization text NOT NULL, currency text NOT NULL, minor_digits numeric(38,0) NOT NULL,
  zone text NOT NULL, tzdata text NOT NULL, opened_us numeric(38,0) NOT NULL,
  PRIMARY KEY (account, from_position));
CREATE TABLE views.period (
  period text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  account text NOT NULL, sequence numeric(38,0) NOT NULL, start_us numeric(38,0) NOT NULL,
  end_us numeric(38,0) NOT NULL, zone text NOT NULL, tzdata text NOT NULL,
  opened_us numeric(38,0) NOT NULL,
  PRIMARY KEY (period, from_position));
CREATE TABLE views.period_close (
  period text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  closed_us numeric(38,0) NOT NULL,
  PRIMARY KEY (period, from_position));
CREATE TABLE views.invoice (
  invoice text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  organization text NOT NULL, number text NOT NULL, account text NOT NULL,
  period text NOT NULL, currency text NOT NULL, minor_digits numeric(38,0) NOT NULL,
  total_pico numeric(38,0) NOT NULL, total_minor numeric(38,0) NOT NULL,
  line_count numeric(38,0) NOT NULL, file text NOT NULL, sha256 text NOT NULL,
  closed numeric(38,0) NOT NULL, finalized_us numeric(38,0) NOT NULL,
  PRIMARY KEY (invoice, from_position));
CREATE TABLE views.invoice_state (
  invoice text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  state text NOT NULL, since_us numeric(38,0) NOT NULL,
  PRIMARY KEY (invoice, from_position));
CREATE TABLE views.invoice_number (
  account text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  invoice text NOT NULL, sequence numeric(38,0) NOT NULL,
  PRIMARY KEY (account, from_position));
-- Sealed rows: `row` is contiguous per table, from_position is the position of the seal.
CREATE TABLE views.rated_interval (
  "row" bigint PRIMARY KEY, from_position bigint NOT NULL, to_position bigint,
  cause bigint NOT NULL, resource text NOT NULL, meter text NOT NULL, price bigint NOT NULL,
  period text NOT NULL, booked text NOT NULL, start_us numeric(38,0) NOT NULL,
  end_us numeric(38,0) NOT NULL, sign smallint NOT NULL, quantity numeric(38,0) NOT NULL,
  line_quantity numeric(38,0) NOT NULL, line_amount_pico numeric(38,0) NOT NULL);
CREATE INDEX ON views.rated_interval (resource);
CREATE INDEX ON views.rated_interval (booked);
CREATE TABLE views.charge_line (
  resource text NOT NULL, meter text NOT NULL, price bigint NOT NULL, period text NOT NULL,
  from_position bigint NOT NULL, to_position bigint,
  quantity numeric(38,0) NOT NULL, amount_pico numeric(38,0) NOT NULL,
  PRIMARY KEY (resource, meter, price, period, from_position));
CREATE INDEX ON views.charge_line (period);
CREATE TABLE views.transfer (
  "row" bigint PRIMARY KEY, from_position bigint NOT NULL, to_position bigint,
  id text NOT NULL, cause bigint NOT NULL, kind text NOT NULL, account text NOT NULL,
  debit text NOT NULL, credit text NOT NULL, currency text NOT NULL,
  amount_pico numeric(38,0) NOT NULL, resource text NOT NULL, meter text NOT NULL,
  price bigint, period text NOT NULL, booked text NOT NULL,
  debit_seq bigint NOT NULL, debit_balance_pico numeric(38,0) NOT NULL,
  credit_seq bigint NOT NULL, credit_balance_pico numeric(38,0) NOT NULL);
CREATE INDEX ON views.transfer (account, "row");
CREATE INDEX ON views.transfer (booked);
CREATE TABLE views.balance (
  account text NOT NULL, ledger text NOT NULL, from_position bigint NOT NULL,
  to_position bigint, currency text NOT NULL, seq bigint NOT NULL,
  balance_pico numeric(38,0) NOT NULL,
  PRIMARY KEY (account, ledger, from_position));

-- evidence -----------------------------------------------------------------------------------
CREATE TABLE views.log_opened (
  stream text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  format text NOT NULL, origin text NOT NULL, vkey text NOT NULL, continues text,
  PRIMARY KEY (stream, from_position));
CREATE TABLE views.heartbeat (
  stream text NOT NULL, from_position bigint NOT NULL, to_position bigint, at_us bigint NOT NULL,
  PRIMARY KEY (stream, from_position));
CREATE TABLE views.seal (
  stream text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  "table" text NOT NULL, first_row bigint NOT NULL, count bigint NOT NULL, root text NOT NULL,
  prev_seal numeric(38,0), through numeric(38,0) NOT NULL, total numeric(38,0) NOT NULL,
  PRIMARY KEY (stream, from_position));
CREATE TABLE views.sealed_file (
  file numeric(38,0) NOT NULL, from_position bigint NOT NULL, to_position bigint,
  name text NOT NULL, sha256 text NOT NULL, bytes numeric(38,0) NOT NULL,
  as_of_size numeric(38,0) NOT NULL, supersedes numeric(38,0), actor text NOT NULL,
  PRIMARY KEY (file, from_position));
CREATE INDEX ON views.sealed_file (hashtextextended(name, 0));
CREATE TABLE views.download (
  stream text NOT NULL, from_position bigint PRIMARY KEY, to_position bigint,
  what text NOT NULL, size numeric(38,0) NOT NULL, "index" numeric(38,0), actor text NOT NULL);

GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA views TO gpuaas_app;

-- What is not in the log and not rebuilt: what processes last said of themselves, and how far
-- each reaction that keeps a place has come.
CREATE SCHEMA live;
GRANT USAGE ON SCHEMA live TO gpuaas_app;
CREATE TABLE live.component (
  name text PRIMARY KEY, ok boolean NOT NULL, detail text NOT NULL, reported_us bigint NOT NULL,
  changed_us bigint NOT NULL);
CREATE TABLE live.refusal (
  name text PRIMARY KEY, count bigint NOT NULL, detail text NOT NULL, last_us bigint NOT NULL);
CREATE TABLE live.reaction (name text PRIMARY KEY, position bigint NOT NULL);
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA live TO gpuaas_app;

-- An empty copy of every view beside the serving ones; whatever an earlier rebuild left is gone.
CREATE FUNCTION live.views_shadow() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE t text;
BEGIN
  DROP SCHEMA IF EXISTS views_old CASCADE;
  DROP SCHEMA IF EXISTS views_next CASCADE;
  CREATE SCHEMA views_next;
  GRANT USAGE ON SCHEMA views_next TO gpuaas_app;
  FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'views' ORDER BY 1 LOOP
    EXECUTE format('CREATE TABLE views_next.%I (LIKE views.%I INCLUDING ALL)', t, t);
  END LOOP;
  INSERT INTO views_next.applied (position) VALUES (0);
  GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA views_next TO gpuaas_app;
END $$;

-- The copy takes the place of the serving views at once; nothing is moved but names. The caller
-- holds both `applied` rows and has brought the copy to the same position.
CREATE FUNCTION live.views_swap() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE a bigint; b bigint;
BEGIN
  SELECT position INTO STRICT a FROM views.applied FOR UPDATE;
  SELECT position INTO STRICT b FROM views_next.applied FOR UPDATE;
  IF a <> b THEN
    RAISE EXCEPTION 'the copy stands at %, the serving views at %', b, a;
  END IF;
  ALTER SCHEMA views RENAME TO views_old;
  ALTER SCHEMA views_next RENAME TO views;
END $$;

-- Frees the replaced views; waits for readers that still hold them.
CREATE FUNCTION live.views_drop_old() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  DROP SCHEMA IF EXISTS views_old CASCADE;
END $$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA live FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA live TO gpuaas_app;
