"""plg beside each job framework's own client: how fast either fills the framework's queue."""
