-- Regions of nodes (0010_views.sql says how rows hold): a view, written by projections/placing.py
-- only. Its key finds the region that a node stood in at a position.
CREATE TABLE views.node_region (
  node text NOT NULL, from_position bigint NOT NULL, to_position bigint,
  region text NOT NULL, decided_us numeric(38,0) NOT NULL, PRIMARY KEY (node, from_position));
GRANT SELECT, INSERT, UPDATE ON views.node_region TO gpuaas_app;
