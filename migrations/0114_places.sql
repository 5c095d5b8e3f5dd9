-- Where in its organization's tree what an entry says lies, for readers who may know parts of it only
-- (ADR 64): {scope, resource}; the scope is a department or a project, empty: the organization itself;
-- the resource a runtime, volume or network, empty: none.

CREATE FUNCTION log.first_fact(of text) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT convert_from(entry, 'UTF8')::jsonb -> 'fact' FROM log.entry
  WHERE stream = of AND version = 1
$$;

-- What a fact itself says of it.
CREATE FUNCTION log.said_scope(fact jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE
    WHEN fact ->> 'project' LIKE 'project-%' THEN fact ->> 'project'
    WHEN fact ->> 'scope' LIKE 'project-%' OR fact ->> 'scope' LIKE 'department-%'
      THEN fact ->> 'scope' END
$$;

-- One of the resources that may be the scope of a binding.
CREATE FUNCTION log.said_resource(fact jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE
    WHEN fact ->> 'runtime' LIKE 'runtime-%' THEN fact ->> 'runtime'
    WHEN fact ? 'resource' AND fact ->> 'resource' ~ '^(runtime|volume|network)-'
      THEN fact ->> 'resource'
    WHEN fact ->> 'scope' ~ '^(runtime|volume|network)-' THEN fact ->> 'scope' END
$$;

-- What the entry says itself comes first; then what its stream began with, but where the stream is
-- about a whole organization.
CREATE FUNCTION log.place(at bigint) RETURNS text[] LANGUAGE sql STABLE AS $$
  WITH entry AS (
    SELECT stream, convert_from(entry, 'UTF8')::jsonb AS said FROM log.entry WHERE position = at),
  own AS (
    SELECT stream, split_part(stream, '-', 1) AS kind, said -> 'fact' AS fact,
      CASE WHEN split_part(stream, '-', 1) NOT IN ('quota', 'budget')
          AND stream <> replace(said ->> 'org', 'organization-', 'access-')
        THEN log.first_fact(stream) END AS first
    FROM entry),
  known AS (
    SELECT own.*, CASE WHEN kind IN ('runtime', 'volume', 'network') THEN stream
        ELSE coalesce(log.said_resource(fact), log.said_resource(first)) END AS resource
    FROM own)
  SELECT ARRAY[
    coalesce(
      CASE WHEN kind IN ('department', 'project') THEN stream END,
      log.said_scope(fact), log.said_scope(first), log.said_scope(log.first_fact(resource)), ''),
    coalesce(resource, '')]
  FROM known
$$;
