"""The catalog becomes DDL, schemas, dashboards and reference pages; pure functions."""
