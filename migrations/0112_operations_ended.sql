-- How long the last of a kind took (projections/operations_read.py).
CREATE INDEX ON views.operation_mark (kind, from_position) WHERE ends = 'succeeded';
