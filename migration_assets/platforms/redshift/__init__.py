"""Amazon Redshift: its SQL for fingerprints."""

from migration_assets.platforms.redshift.canonical import RedshiftSQL

__all__ = ["RedshiftSQL"]
