"""Connections: sources, stages, warehouses, and the ledger."""
