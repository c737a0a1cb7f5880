"""What Alembic runs: the steps, on the connection and in the transaction of whoever asks for them."""

from alembic import context

from plg.store.tables import META

context.configure(connection=context.config.attributes["connection"], target_metadata=META, render_as_batch=True)
context.run_migrations()
