"""SQL that each engine spells its own way: functions, operators, filter clauses."""
