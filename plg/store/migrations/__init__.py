"""The forms that the database has had, in order; Alembic goes from one to the next."""
