-- What an act is about, and where (0010_views.sql says how rows hold): written by projections/audit.py
-- only. A row an id that the entry names (`number`: in the order in which a person reads them);
-- `begins`: the entry begins that thing. `via`: the id is named by the earlier entry that began what
-- this one ends, `ends` of it. An act without a row of places lies in its organization, nowhere below.
ALTER TABLE views.act ADD COLUMN ends text NOT NULL DEFAULT '';
CREATE TABLE views.act_about (
  from_position bigint NOT NULL, number integer NOT NULL, to_position bigint,
  about text NOT NULL, begins boolean NOT NULL, via bigint);
CREATE TABLE views.act_place (
  from_position bigint NOT NULL, to_position bigint, scope text NOT NULL, resource text NOT NULL);
GRANT SELECT, INSERT, UPDATE ON views.act_about, views.act_place TO gpuaas_app;

-- Where in its organization's tree what an entry says lies, for readers who may know parts of it only
-- (ADR 64), of many at once: the scope is a department or a project, empty: the organization itself;
-- the resource a runtime, volume or network, empty: none. What the entry says itself comes first;
-- then what its stream began with, but where the stream is about a whole organization.
CREATE FUNCTION log.places(positions bigint[]) RETURNS TABLE (at bigint, scope text, resource text)
LANGUAGE sql STABLE AS $$
  SELECT k.position, coalesce(CASE WHEN k.kind IN ('department', 'project') THEN k.stream END,
      k.scope, log.said_scope(convert_from(r.entry, 'UTF8')::jsonb -> 'fact'), ''),
    coalesce(k.resource, '')
  FROM (
    SELECT e.position, e.stream, e.kind,
      coalesce(log.said_scope(e.fact), log.said_scope(f.fact)) AS scope,
      CASE WHEN e.kind IN ('runtime', 'volume', 'network') THEN e.stream
        ELSE coalesce(log.said_resource(e.fact), log.said_resource(f.fact)) END AS resource
    FROM (
      SELECT l.position, l.stream, split_part(l.stream, '-', 1) AS kind, s.said -> 'fact' AS fact,
        CASE WHEN l.version > 1 AND split_part(l.stream, '-', 1) NOT IN ('quota', 'budget', 'node')
          AND l.stream <> replace(s.said ->> 'org', 'organization-', 'access-') THEN l.stream
          END AS began
      FROM log.entry l, LATERAL (SELECT convert_from(l.entry, 'UTF8')::jsonb AS said OFFSET 0) s
      WHERE l.position = ANY (positions) OFFSET 0) e
    LEFT JOIN log.entry o ON o.stream = e.began AND o.version = 1
    CROSS JOIN LATERAL (SELECT convert_from(o.entry, 'UTF8')::jsonb -> 'fact' AS fact OFFSET 0) f
    OFFSET 0) k
  LEFT JOIN log.entry r ON r.version = 1 AND r.stream = CASE WHEN k.scope IS NULL THEN k.resource END
$$;
DROP FUNCTION log.place(bigint);

-- The entries of before: as projections/about.py says it.
CREATE TEMPORARY TABLE named ON COMMIT DROP AS
WITH kinds (tag, begins, fields) AS (VALUES
  ('access.binding_granted', true, '{binding}'::text[]),
  ('access.break_glass_requested', true, '{grant}'), ('access.granted', true, '{stream}'),
  ('access.group_created', true, '{group}'), ('access.group_joined', true, '{group,principal}'),
  ('access.guardrail_set', true, '{guardrail}'), ('access.invited', true, '{invitation}'),
  ('access.member_added', true, '{stream,principal}'),
  ('access.service_account_created', true, '{account}'), ('access.sso_required', true, '{stream}'),
  ('budget.set', true, '{stream,scope}'), ('network.created', true, '{stream}'),
  ('quota.claimed', true, '{stream,scope,model}'), ('reservation.made', true, '{stream}'),
  ('runtime.requested', true, '{stream}'), ('source.registered', true, '{stream}'),
  ('token.issuer_trusted', true, '{stream}'), ('token.key_created', true, '{stream}'),
  ('token.session_opened', true, '{stream}'), ('volume.created', true, '{stream}'),
  ('webhook.registered', true, '{stream}'),
  ('access.binding_revoked', false, '{binding}'),
  ('access.break_glass_approved', false, '{grant}'), ('access.break_glass_ended', false, '{grant}'),
  ('access.break_glass_refused', false, '{grant}'), ('access.break_glass_used', false, '{grant}'),
  ('access.group_deleted', false, '{group}'), ('access.group_left', false, '{group,principal}'),
  ('access.guardrail_lifted', false, '{guardrail}'),
  ('access.invitation_withdrawn', false, '{invitation}'),
  ('access.member_removed', false, '{stream,principal}'), ('access.revoked', false, '{stream}'),
  ('access.service_account_deleted', false, '{account}'), ('access.sso_lifted', false, '{stream}'),
  ('budget.cleared', false, '{stream,scope}'), ('network.deleted', false, '{stream}'),
  ('quota.unclaimed', false, '{stream,scope,model}'), ('reservation.ended', false, '{stream}'),
  ('runtime.stopping', false, '{stream}'), ('source.revoked', false, '{stream}'),
  ('token.issuer_distrusted', false, '{stream}'), ('token.key_revoked', false, '{stream}'),
  ('token.session_ended', false, '{stream}'), ('volume.wipe_requested', false, '{stream}'),
  ('webhook.deleted', false, '{stream}'))
SELECT e.position, e.stream, e.org, e.said, e.tag, k.begins, a.from_position IS NOT NULL AS acted,
  CASE WHEN k.tag IS NOT NULL THEN (SELECT string_agg(CASE f.name WHEN 'stream' THEN e.stream
      ELSE (e.said::jsonb) ->> f.name END, ' ' ORDER BY f.number)
    FROM unnest(k.fields) WITH ORDINALITY f (name, number)) END AS thing
FROM (SELECT l.position, l.stream, split_part(s.said, '"', 26) AS org,
    split_part(s.said, '"', 22) AS tag,
    substr(s.said, strpos(s.said, ',"fact":') + 8, length(s.said) - strpos(s.said, ',"fact":') - 8)
      AS said
  FROM log.entry l, LATERAL (SELECT convert_from(l.entry, 'UTF8') AS said OFFSET 0) s
  WHERE l.position < (SELECT position FROM views.applied)) e
LEFT JOIN kinds k ON e.tag = 'gpuaas.' || k.tag || '.v1'
LEFT JOIN views.act a ON a.from_position = e.position
WHERE a.from_position IS NOT NULL OR k.begins;

UPDATE views.act a SET ends = n.thing FROM named n
WHERE a.from_position = n.position AND NOT n.begins AND n.thing <> '';
DELETE FROM named WHERE NOT acted AND thing = '';

INSERT INTO views.act_about (from_position, number, about, begins)
SELECT n.position, row_number() OVER (PARTITION BY n.position ORDER BY min(i.number)) - 1, i.id,
  coalesce(n.begins AND n.thing = i.id, false)
FROM named n
CROSS JOIN LATERAL (SELECT split_part(n.stream, '-', 1) AS kind, substr(n.stream,
    strpos(n.stream, '-') + 1) AS own,
  n.stream = 'access-' || CASE n.org WHEN '-' THEN '00000000-0000-7000-8000-000000000000'
    ELSE substr(n.org, 14) END AS whole) s
CROSS JOIN LATERAL (SELECT
  CASE WHEN s.kind IN ('quota', 'budget') THEN ARRAY['organization-' || s.own, n.stream]
    WHEN s.kind = 'wallet' THEN ARRAY['account-' || s.own, n.stream]
    WHEN s.whole THEN array_remove(ARRAY[nullif(n.org, '-'), n.stream], NULL)
    WHEN s.kind = 'pricebook' OR n.tag = 'gpuaas.access.denied.v1' THEN ARRAY[n.stream]
    END AS last) t
CROSS JOIN LATERAL (
  SELECT id, number FROM unnest(
    CASE WHEN t.last IS NULL THEN ARRAY[n.stream] ELSE '{}' END
    || ARRAY(SELECT m.found[1] FROM regexp_matches(CASE WHEN strpos(n.said, '"policies":') = 0
          THEN n.said ELSE regexp_replace(n.said, '"policies":\[[^]]*\]', '', 'g') END,
        '"([a-z_]+-[A-Za-z0-9_.-]+)"', 'g') WITH ORDINALITY m (found, number)
      WHERE m.found[1] ~ ('^([a-z_]{1,20}-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|'
        '(user|service)-[A-Za-z0-9_.-]{1,92})$')
      ORDER BY m.number)
    || coalesce(t.last, '{}')
    || CASE WHEN n.begins AND n.thing <> '' THEN ARRAY[n.thing] ELSE '{}' END) WITH ORDINALITY x (id, number)) i
GROUP BY n.position, i.id, n.begins, n.thing;

ALTER TABLE views.act_about ADD PRIMARY KEY (from_position, number);
CREATE INDEX ON views.act_about (hashtextextended(about, 0), from_position);
ALTER TABLE views.act_place ADD PRIMARY KEY (from_position);
ANALYZE views.act_about;

INSERT INTO views.act_about (from_position, number, about, begins, via)
SELECT a.from_position, 65536 + g.number, g.about, false, g.from_position
FROM views.act a
CROSS JOIN LATERAL (SELECT t.from_position FROM views.act_about t
  WHERE hashtextextended(t.about, 0) = hashtextextended(a.ends, 0) AND t.about = a.ends
    AND t.begins AND t.from_position < a.from_position
  ORDER BY hashtextextended(t.about, 0) DESC, t.from_position DESC LIMIT 1) b
JOIN views.act_about g ON g.from_position = b.from_position AND g.via IS NULL
WHERE a.ends <> '' AND NOT EXISTS (SELECT FROM views.act_about o
  WHERE o.from_position = a.from_position AND o.about = g.about AND o.via IS NULL OFFSET 0);

INSERT INTO views.act_place (from_position, scope, resource)
SELECT p.at, p.scope, p.resource
FROM log.places(ARRAY(SELECT from_position FROM views.act)) p
WHERE p.scope <> '' OR p.resource <> '';

-- Found by `act_about` from here on.
DO $$ BEGIN
  EXECUTE (SELECT format('DROP INDEX views.%I', indexname) FROM pg_indexes
    WHERE schemaname = 'views' AND tablename = 'act' AND indexdef LIKE '%hashtextextended(stream%');
END $$;
