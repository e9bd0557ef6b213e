"""Names that a table or a column cannot have."""

from kscope.declare import envelope

# Columns that every stored row has, whatever its category.
STORED_COLUMNS = frozenset({"hostname", "time", "seq"})

# The key words that SQLite, MySQL and MariaDB reserve, from their manuals.
_SQL = """
accessible add admin after all alter always analyze and any array as asc asensitive attach
autoincrement before begin between bigint binary blob body both by call cascade case cast change
char character check collate column commit condition conflict constraint continue convert create
cross cube cume_dist current_date current_role current_time current_timestamp current_user cursor
database databases day_hour day_microsecond day_minute day_second dec decimal declare default
deferrable deferred delayed delete dense_rank desc describe detach deterministic distinct
distinctrow div do_domain_ids double drop dual each else elseif elsif empty enclosed end escape
escaped except exclusive exists exit explain fail false fetch first_value float float4 float8 for
force foreign from full fulltext function general generated get get_master_public_key glob goto
grant group grouping groups having high_priority history hour_microsecond hour_minute hour_second
if ignore ignore_domain_ids ignore_server_ids immediate in index indexed infile initially inner
inout insensitive insert instead int int1 int2 int3 int4 int8 integer intersect interval into
io_after_gtids io_before_gtids is isnull iterate join json_table key keys kill lag last_value
lateral lead leading leave left like limit linear lines load localtime localtimestamp lock long
longblob longtext loop low_priority master_bind master_heartbeat_period
master_ssl_verify_server_cert match maxvalue mediumblob mediumint mediumtext member middleint
minute_microsecond minute_second mod modifies natural no_write_to_binlog not notnull nth_value
ntile null numeric of offset on optimize optimizer_costs option optionally or order others out
outer outfile over package page_checksum parallel parse_gcol_expr parse_vcol_expr partition
percent_rank period persist persist_only plan position pragma precision primary procedure purge
qualify query raise range rank read read_write reads real recursive ref_system_id references
regexp reindex release rename repeat replace require resignal restrict return returning revoke
right rlike role rollback row row_number rows rowtype schema schemas second_microsecond select
sensitive separator set show signal slow smallint spatial specific sql sql_after_gtids
sql_before_gtids sql_big_result sql_calc_found_rows sql_small_result sqlexception sqlstate
sqlwarning ssl starting stats_auto_recalc stats_persistent stats_sample_pages stored straight_join
system system_time table temp temporary terminated then tinyblob tinyint tinytext to trailing
transaction trigger true undo union unique unlock unsigned update usage use using utc_date
utc_time utc_timestamp vacuum values varbinary varchar varcharacter varying versioning view
virtual when where while window with within without write xor year_month zerofill
"""

SQL = frozenset(_SQL.split())


def table_problem(name: str) -> str:
    """Say why a table cannot be called that; empty when it can."""
    if name in envelope.NAMES:
        return f"'{name}' is part of every request: choose another name"
    return _problem(name)


def column_problem(name: str) -> str:
    if name in STORED_COLUMNS:
        return f"'{name}' is a column of every table already: leave it out, or choose another name"
    return _problem(name)


def _problem(name: str) -> str:
    if name.startswith(("kscope_", "sqlite_")):
        return f"names that begin with {name.split('_', 1)[0]}_ are reserved"
    if name in SQL:
        return f"'{name}' is a reserved word of SQL: choose another, such as '{name}_name'"
    return ""
