"""Every promise of the specification, with the test that shows it and what was measured: docs/evidence.md."""
