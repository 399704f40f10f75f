# What tests read of another writer: python3 columns.py columns.parquet, with pyarrow 25. A column a type, a missing value in each
# but the last, row groups of two rows, and texts that repeat in a dictionary.
import datetime as dt
import decimal
import sys

import pyarrow as pa
import pyarrow.parquet as pq

moment = dt.datetime(1969, 12, 31, 23, 59, 59, 123456)
columns = {
    "double": pa.array([1 / 3, None, float("nan")]),
    "float": pa.array([0.1, None, 2], pa.float32()),
    "int": pa.array([-2, None, 3], pa.int32()),
    "long": pa.array([2**60 + 1, None, -1], pa.int64()),
    "unsigned": pa.array([2**63 + 1, None, 0], pa.uint64()),
    "flag": pa.array([True, None, False]),
    "text": pa.array(['ä "1"\n', None, ""]),
    "factor": pa.array(["a", None, "a"]).dictionary_encode(),
    "day": pa.array([dt.date(1960, 2, 29), None, dt.date(2026, 1, 1)]),
    "local": pa.array([moment, None, moment], pa.timestamp("us")),
    "moment": pa.array([moment, None, moment], pa.timestamp("ms", tz="UTC")),
    "decimal": pa.array([decimal.Decimal("10.05"), None, decimal.Decimal("-1.10")], pa.decimal128(9, 2)),
    "list": pa.array([[1, None], None, []]),
    "record": pa.array([{"a": 1, "b": "x"}, None, {"a": None, "b": None}]),
    "none": pa.nulls(3),
    "infinite": pa.array([1.0, 2.0, float("inf")]),
}
pq.write_table(pa.table(columns), sys.argv[1], row_group_size=2, data_page_version="2.0", compression="zstd")
