"""The archives that a closed log can be handed to, one module each, and the port that they share."""
