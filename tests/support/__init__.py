"""What the tests share: servers, workers, clocks and connections of their own, and documents to try."""
