"""Where everything the hub knows lies: tables, transactions, sealing, the event log and the leases of work."""
