"""MySQL and MariaDB: one DDL file and one spelling for both."""

from sqlalchemy.dialects import mysql

from kscope.generate.dialects.base import Dialect

# Text is compared without regard to case by default; a name from a kernel is its bytes.
_COLLATION = "utf8mb4_bin"
# Cut to 64 bits first, so that the database need not warn of it.
_TOTAL = "COALESCE(CAST(LEAST(SUM(CAST({{0}} AS DOUBLE)){0}, 9223372036854775807) AS SIGNED), 0)"
MYSQL = Dialect(
    name="mysql",
    functions={
        # FROM_UNIXTIME would use the session's zone.
        "readable_time": "TIMESTAMP'1970-01-01 00:00:00.000000' + INTERVAL ({0}) MICROSECOND",
        # A comparison of text ignores spaces at the end.
        "exact": "CAST({0} AS BINARY)",
        # `/` rounds to four decimals, and CAST to whole numbers.
        "whole_divide": "(({0}) DIV ({1}))",
        "whole_mean": "(({0}) DIV nullif({1}, 0))",
        "whole": "CAST(FLOOR({0}) AS SIGNED)",
        "has_slot": "(INSTR(CONCAT(',', {0}), ',{1}:') > 0)",
        "newest": "MAX(CONCAT(LPAD({0}, 20, '0'), {1}))",
        "listed": (
            "(SELECT listed.id FROM JSON_TABLE({0}, '$[*]' COLUMNS (id BIGINT PATH '$')) AS listed)"
        ),
        "listed_texts": (
            "(SELECT CAST(listed.text AS BINARY)"
            " FROM JSON_TABLE({0}, '$[*]'"
            " COLUMNS (text LONGTEXT CHARACTER SET utf8mb4 PATH '$')) AS listed)"
        ),
        "listed_pairs": (
            "JSON_TABLE({0}, '$[*]' COLUMNS (first BIGINT PATH '$[0]', second BIGINT PATH '$[1]'))"
        ),
        "slots_of": (
            "JSON_TABLE(CONCAT('[[', REPLACE(REPLACE({0}, ',', '],['), ':', ','), ']]'),"
            " '$[*]' COLUMNS (`key` BIGINT PATH '$[0]', value BIGINT PATH '$[1]'))"
        ),
        "total": _TOTAL.format(""),
        "grand_total": _TOTAL.format(" OVER ()"),
    },
    updates={
        "max": "GREATEST({0}, {1})",
        "total": "CAST(LEAST({0} + 0e0 + {1}, 9223372036854775807) AS SIGNED)",
        "join": "TRIM(BOTH ',' FROM CONCAT({0}, ',', {1}))",
    },
    upsert="ON DUPLICATE KEY UPDATE",
    new_value="VALUES({0})",
    types={
        "text": mysql.MEDIUMTEXT(collation=_COLLATION),
        "name": mysql.VARCHAR(128, collation=_COLLATION),
        "key": mysql.BINARY(16),
        "blob": mysql.MEDIUMBLOB(),
    },
    table_options={"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"},
    # MariaDB has CREATE INDEX IF NOT EXISTS, MySQL 8 does not.
    indexes_in_table=True,
    transactional=False,
    # The default of a TEXT column must be in parentheses.
    default="({0})",
)
DIALECTS = (MYSQL,)
