"""Lets tools that look for a setup.py find the project; its metadata is in pyproject.toml."""

from setuptools import setup

setup()
