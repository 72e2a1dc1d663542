"""Random input for all that strangers can send: ``make fuzz`` runs it for long, the tests for a moment."""
