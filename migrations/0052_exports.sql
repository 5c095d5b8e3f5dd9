-- Exports walk the charges of a period resource by resource (projections/exporting/lines.py).
CREATE INDEX ON views.rated_interval (booked, resource);
CREATE INDEX ON views.transfer (booked, resource);
