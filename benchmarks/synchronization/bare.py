"""Runs one statement on the source in libpq's variables, with as many processes as a run of this program."""

from __future__ import annotations

import sys
from contextlib import closing

import psycopg2

with closing(psycopg2.connect("")) as connection, connection.cursor() as cursor:
    cursor.execute("SET max_parallel_workers_per_gather = 1")
    cursor.execute(sys.argv[1])
    print(cursor.fetchone())
