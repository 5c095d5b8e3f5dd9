-- Budgets and what was told of them (0010_views.sql says how rows hold): views, written by
-- projections/budgets.py only; `what` is 50, 80, 100 or forecast. live.budget is not of the log:
-- what the worker saw last (projections/budgeting.py only).
CREATE TABLE views.budget (
  scope text NOT NULL, from_position bigint PRIMARY KEY, to_position bigint,
  organization text NOT NULL, account text NOT NULL, currency text NOT NULL,
  amount_pico numeric(38,0) NOT NULL, mode text NOT NULL, decided_us numeric(38,0) NOT NULL);
CREATE INDEX ON views.budget (hashtextextended(scope, 0)) WHERE to_position IS NULL;
CREATE TABLE views.budget_alert (
  scope text NOT NULL, what text NOT NULL, from_position bigint, to_position bigint,
  organization text NOT NULL, period text NOT NULL, until_us numeric(38,0) NOT NULL,
  amount_pico numeric(38,0) NOT NULL, decided_us numeric(38,0) NOT NULL,
  PRIMARY KEY (from_position, what));
CREATE INDEX ON views.budget_alert (hashtextextended(scope, 0)) WHERE to_position IS NULL;
CREATE TABLE live.budget (
  scope text PRIMARY KEY, period text NOT NULL, until_us numeric(38,0) NOT NULL,
  spent_pico numeric(38,0) NOT NULL, forecast_pico numeric(38,0) NOT NULL,
  seen_us numeric(38,0) NOT NULL);
GRANT SELECT, INSERT, UPDATE ON views.budget, views.budget_alert, live.budget TO gpuaas_app;
