-- A reader of the serving views locks this table (ACCESS SHARE) before it takes its snapshot and
-- keeps it to the end of its question. The swap takes it alone, so it waits for questions under
-- way, and whoever comes meanwhile takes a snapshot that sees all of the new tables. Without it
-- a question could meet a new table by name with a snapshot to which its rows are not there yet.
CREATE TABLE live.serving (sole boolean PRIMARY KEY DEFAULT true CHECK (sole));
GRANT SELECT ON live.serving TO gpuaas_app;

-- The copy takes the place of the serving views at once; nothing is moved but names. The caller
-- holds both `applied` rows and has brought the copy to the same position.
CREATE OR REPLACE FUNCTION live.views_swap() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE a bigint; b bigint;
BEGIN
  LOCK TABLE live.serving IN ACCESS EXCLUSIVE MODE;
  SELECT position INTO STRICT a FROM views.applied FOR UPDATE;
  SELECT position INTO STRICT b FROM views_next.applied FOR UPDATE;
  IF a <> b THEN
    RAISE EXCEPTION 'the copy stands at %, the serving views at %', b, a;
  END IF;
  ALTER SCHEMA views RENAME TO views_old;
  ALTER SCHEMA views_next RENAME TO views;
END $$;
