"""Who may do what, and what was done: tokens, roles and the audit log."""
