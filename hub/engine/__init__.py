"""When and where work runs. The rows in the store are the work; an engine only carries their ids to workers."""
