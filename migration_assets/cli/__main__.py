"""`python -m migration_assets.cli` is the command `migrate`."""

from migration_assets.cli.main import main

if __name__ == "__main__":
    main(prog_name="migrate")
