"""Who may do what: actions and roles as a table, policies and schema in Cedar."""
