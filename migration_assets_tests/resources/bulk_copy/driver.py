"""Exports with Microsoft's ODBC driver as bcp does: by the driver's functions for bulk copy."""

from __future__ import annotations

import ctypes

from migration_assets.resources.sources.sqlserver_drivers import find_driver, wheel_driver

_ENVIRONMENT, _CONNECTION = 1, 2
_ODBC_VERSION, _ODBC_3 = 200, 3
_BULK_COPY, _ON, _IS_UINTEGER = 1219, 1, -5
_OUT = 2
_QUERY = 11
_WIDE_CHARACTERS = 2

Message = tuple[str, int, str]


def export(connection: str, query: str, path: str, field_end: str, row_end: str) -> tuple[int | None, list[Message]]:
    """Writes a query's rows as `bcp -w` does.

    Args:
        connection: an ODBC connection string without the driver.

    Returns:
        The rows that were written, None when it failed; and the driver's messages.
    """
    file = wheel_driver()
    assert file is not None
    manager, bulk = ctypes.CDLL("libodbc.so.2"), ctypes.CDLL(str(file))
    environment, handle = ctypes.c_void_p(), ctypes.c_void_p()
    manager.SQLAllocHandle(ctypes.c_short(_ENVIRONMENT), None, ctypes.byref(environment))
    manager.SQLSetEnvAttr(environment, _ODBC_VERSION, ctypes.c_void_p(_ODBC_3), 0)
    manager.SQLAllocHandle(ctypes.c_short(_CONNECTION), environment, ctypes.byref(handle))
    manager.SQLSetConnectAttrW(handle, _BULK_COPY, ctypes.c_void_p(_ON), _IS_UINTEGER)
    text = _wide(f"Driver={find_driver(str(file)).name};{connection}")
    connected = manager.SQLDriverConnectW(
        handle, None, text, ctypes.c_short(-3), None, ctypes.c_short(0), None, ctypes.c_ushort(0)
    )
    if connected not in (0, 1):
        return None, _messages(manager, handle)
    ends = [end.encode("utf-16-le") for end in (field_end, row_end)]
    rows = ctypes.c_int(-1)
    done = (
        bulk.bcp_initW(handle, None, _wide(path), None, _OUT)
        and bulk.bcp_setbulkmode(handle, _WIDE_CHARACTERS, ends[0], len(ends[0]), ends[1], len(ends[1]))
        and bulk.bcp_control(handle, _QUERY, _wide(query))
        and bulk.bcp_exec(handle, ctypes.byref(rows))
    )
    return rows.value if done else None, _messages(manager, handle)


def _wide(text: str) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(text.encode("utf-16-le") + b"\0\0")


def _messages(manager: ctypes.CDLL, handle: ctypes.c_void_p) -> list[Message]:
    found: list[Message] = []
    while True:
        state, text = ctypes.create_string_buffer(12), ctypes.create_string_buffer(4096)
        number, length = ctypes.c_int(), ctypes.c_short()
        answered = manager.SQLGetDiagRecW(
            ctypes.c_short(_CONNECTION),
            handle,
            ctypes.c_short(len(found) + 1),
            state,
            ctypes.byref(number),
            text,
            ctypes.c_short(2000),
            ctypes.byref(length),
        )
        if answered not in (0, 1):
            return found
        found.append(
            (state.raw[:10].decode("utf-16-le"), number.value, text.raw[: 2 * length.value].decode("utf-16-le"))
        )
