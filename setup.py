"""Compiles what is written in C, where there is a compiler; all else about the project is in pyproject.toml."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        # Loaded with ctypes, so it needs no headers of Python. Without it rows are read as CSV, which is slower.
        Extension(
            "migration_assets.resources.sources._copy_binary",
            ["migration_assets/resources/sources/copy_binary.c"],
            extra_compile_args=["-O3"],
            optional=True,
        )
    ]
)
