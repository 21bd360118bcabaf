"""How systems are spoken to: one module per system, with its spec, its profile and its delivery promise."""
