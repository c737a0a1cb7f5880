"""A run is an order, and whoever runs it is a launcher: this process, a child of it, or a worker elsewhere."""
