-- What let whoever did it: a row an `access.decided`, of the entries from `number` up to its own, as they stand together
-- in their append; not a row an entry any more.
DELETE FROM views.decision d USING views.decision o
  WHERE o.from_position = d.from_position AND o.number < d.number;
CREATE UNIQUE INDEX ON views.decision (from_position);
