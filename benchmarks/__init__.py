"""Measurements beside what they are measured against; run by hand, never as tests."""
