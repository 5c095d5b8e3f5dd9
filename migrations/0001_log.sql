-- The log (EVIDENCE.md sections 1, 3 and 5). The application role may INSERT, SELECT and call the
-- functions below; no role but the owner can change or delete what was written.
CREATE SCHEMA log;
REVOKE ALL ON SCHEMA log FROM PUBLIC;
GRANT USAGE ON SCHEMA log TO gpuaas_app;

-- One row: where the next entry goes and what it must name as its past.
CREATE TABLE log.head (
  sole boolean PRIMARY KEY DEFAULT true CHECK (sole),
  next_position bigint NOT NULL CHECK (next_position >= 0),
  at_us bigint NOT NULL,
  leaf bytea NOT NULL CHECK (octet_length(leaf) = 32)
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);
INSERT INTO log.head (next_position, at_us, leaf)
  VALUES (0, 0, decode(repeat('00', 32), 'hex'));

-- The columns beside `entry` repeat what it says, for indexes only; readers decode the bytes and
-- the integrator compares. `command` and `span` stand on the last entry of a command's append:
-- an outcome is found by them. `span` is the number of entries of that append.
CREATE TABLE log.entry (
  position bigint PRIMARY KEY CHECK (position >= 0),
  version integer NOT NULL CHECK (version > 0),
  span integer NOT NULL,
  stream text COLLATE "C" NOT NULL,
  command bytea,
  entry bytea NOT NULL CHECK (octet_length(entry) BETWEEN 1 AND 65535)
) WITH (toast_tuple_target = 8160);
-- Entries are mostly hashes and ids: compressing them would cost more than it saves.
ALTER TABLE log.entry ALTER COLUMN entry SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX entry_stream_version ON log.entry (stream, version);
CREATE UNIQUE INDEX entry_command ON log.entry (command) WHERE command IS NOT NULL;

CREATE TABLE log.bulk_row (
  bulk_table text COLLATE "C" NOT NULL,
  row_number bigint NOT NULL CHECK (row_number >= 0),
  row_bytes bytea NOT NULL CHECK (octet_length(row_bytes) BETWEEN 1 AND 65535),
  PRIMARY KEY (bulk_table, row_number)
);
ALTER TABLE log.bulk_row ALTER COLUMN row_bytes SET STORAGE EXTERNAL;

-- People's words: digest = SHA-256(salt || text). The only rows of the log that may be erased.
CREATE TABLE log.private_value (
  digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
  org text COLLATE "C" NOT NULL,
  salt bytea NOT NULL CHECK (octet_length(salt) = 32),
  words text NOT NULL
);
CREATE INDEX private_value_org ON log.private_value (org);

GRANT SELECT ON log.head TO gpuaas_app;
GRANT SELECT, INSERT ON log.entry, log.bulk_row, log.private_value TO gpuaas_app;

-- The head, locked until the transaction ends, and the database's clock once it was locked.
CREATE FUNCTION log.lock_head(
  OUT next_position bigint, OUT leaf bytea, OUT at_us bigint, OUT clock_us bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  SELECT h.next_position, h.leaf, h.at_us INTO STRICT next_position, leaf, at_us
    FROM log.head h FOR UPDATE;
  clock_us := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
END $$;

-- Moves the head over `entries` new entries. Refuses (GL001) unless the first of them stands
-- where the head is and names its leaf as its past, and time does not run backwards; refuses
-- (GL002) when the writer's clock and the database's are more than two seconds apart.
CREATE FUNCTION log.advance(
  first bigint, prev bytea, entries integer, last_leaf bytea, last_at_us bigint, clock_us bigint
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE log.head h SET next_position = first + entries, leaf = last_leaf, at_us = last_at_us
    WHERE h.next_position = first AND h.leaf = prev AND h.at_us <= last_at_us AND entries > 0;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the head is elsewhere' USING ERRCODE = 'GL001';
  END IF;
  IF abs(extract(epoch FROM clock_timestamp()) * 1000000 - clock_us) > 2000000 THEN
    RAISE EXCEPTION 'the clocks disagree' USING ERRCODE = 'GL002';
  END IF;
END $$;

-- The organization an entry names: what follows the 25th quotation mark. LATIN1 takes any
-- byte, and everything before `org` is ASCII, so a letter cut in half at the end does no harm.
CREATE FUNCTION log.org_of(entry bytea) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
  SET search_path = pg_catalog, pg_temp
  RETURN split_part(convert_from(substring(entry FROM 1 FOR 600), 'LATIN1'), '"', 26);

-- Refuses (GL003) unless every stream is at its expected version in its organization. Where
-- `exact` is false the version after it is left to the unique index.
CREATE FUNCTION log.require_versions(
  streams text[], versions integer[], orgs text[], exact boolean[]
) RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM FROM unnest(streams, versions, orgs, exact) AS s(stream, version, org, exact)
    WHERE (s.version > 0 AND NOT EXISTS (
        SELECT FROM log.entry e WHERE e.stream = s.stream AND e.version = s.version
          AND (s.org = '' OR log.org_of(e.entry) = s.org)))
      OR (s.exact AND EXISTS (
        SELECT FROM log.entry e WHERE e.stream = s.stream AND e.version = s.version + 1));
  IF FOUND THEN
    RAISE EXCEPTION 'a stream is elsewhere' USING ERRCODE = 'GL003';
  END IF;
END $$;

-- Erases people's words by digest; entries keep the digest only. Returns how many there were.
CREATE FUNCTION log.erase_private(digests bytea[]) RETURNS bigint
  LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  WITH gone AS (DELETE FROM log.private_value WHERE digest = ANY (digests) RETURNING 1)
  SELECT count(*) FROM gone
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA log FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA log TO gpuaas_app;
