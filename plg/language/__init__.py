"""The scenario language: text to document and back, validation, and the way from a document to a `Scenario`."""
