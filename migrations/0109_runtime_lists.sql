-- Lists of runtimes page by page, however many there are: those of a project, and those that are in
-- a state now, the last to come into it first. A state names its organization, as its entry does.
ALTER TABLE views.runtime_state ADD COLUMN organization text;
UPDATE views.runtime_state s SET organization = r.organization
FROM views.runtime r WHERE r.runtime = s.runtime;
ALTER TABLE views.runtime_state ALTER COLUMN organization SET NOT NULL;
CREATE INDEX ON views.runtime_state (organization, state, from_position) WHERE to_position IS NULL;
CREATE INDEX ON views.runtime (project, organization, from_position);
