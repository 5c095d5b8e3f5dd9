-- In which state an operation was (0010_views.sql says how rows hold): written by projections/operations.py
-- only. `began`: the position that names it; its project is that of its resource. Lists of a state, a
-- project and a resource page by page, however many there are.
CREATE TABLE views.operation_state (
  began bigint NOT NULL, from_position bigint NOT NULL, to_position bigint,
  organization text NOT NULL, project text NOT NULL, kind text NOT NULL, resource text NOT NULL,
  state text NOT NULL, PRIMARY KEY (began, from_position));
GRANT SELECT, INSERT, UPDATE ON views.operation_state TO gpuaas_app;

-- Those that began before: as projections/operations.py says it.
INSERT INTO views.operation_state
SELECT b.from_position, t.at, t.until, b.organization, coalesce(q.project, ''), b.kind, b.resource,
  t.state
FROM views.operation_mark b
LEFT JOIN LATERAL (SELECT p.project FROM views.operation_mark p
  WHERE hashtextextended(p.resource, 0) = hashtextextended(b.resource, 0)
    AND p.resource = b.resource AND p.project <> '' AND p.from_position <= b.from_position
  ORDER BY p.from_position LIMIT 1) q ON true
LEFT JOIN LATERAL (SELECT min(m.from_position) AS next,
    min(m.from_position) FILTER (WHERE m.ends <> '') AS last
  FROM views.operation_mark m
  WHERE hashtextextended(m.resource, 0) = hashtextextended(b.resource, 0)
    AND m.resource = b.resource AND m.kind = b.kind AND m.from_position > b.from_position) n ON true
LEFT JOIN views.operation_mark e
  ON e.from_position = n.last AND e.resource = b.resource AND e.kind = b.kind
CROSS JOIN LATERAL (VALUES (b.from_position, n.next, 'pending'), (n.next, n.last, 'running'),
  (n.last, NULL, e.ends)) t (at, until, state)
WHERE b.begins AND t.at IS NOT NULL AND NOT (t.state = 'running' AND n.next IS NOT DISTINCT FROM n.last);

CREATE INDEX ON views.operation_state (began) WHERE to_position IS NULL;
CREATE INDEX ON views.operation_state (state, began) WHERE to_position IS NULL;
CREATE INDEX ON views.operation_state (organization, began) WHERE to_position IS NULL;
CREATE INDEX ON views.operation_state (organization, state, began) WHERE to_position IS NULL;
CREATE INDEX ON views.operation_state (hashtextextended(project, 0), began)
  WHERE to_position IS NULL;
CREATE INDEX ON views.operation_state (hashtextextended(project, 0), state, began)
  WHERE to_position IS NULL;
CREATE INDEX ON views.operation_state (hashtextextended(resource, 0), began)
  WHERE to_position IS NULL;
