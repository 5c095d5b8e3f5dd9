-- How many of an organization's private values were erased: whoever wrote names down can see that
-- they may be others now (api/exports.py). The log itself says nothing of it.
CREATE TABLE log.erasure (org text COLLATE "C" PRIMARY KEY, count bigint NOT NULL);
CREATE OR REPLACE FUNCTION log.erase_private(digests bytea[]) RETURNS bigint
  LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  WITH gone AS (DELETE FROM log.private_value WHERE digest = ANY (digests) RETURNING org),
  counted AS (
    INSERT INTO log.erasure AS e (org, count) SELECT org, count(*) FROM gone GROUP BY org
    ON CONFLICT (org) DO UPDATE SET count = e.count + excluded.count)
  SELECT count(*) FROM gone
$$;
GRANT SELECT ON log.erasure TO gpuaas_app;
