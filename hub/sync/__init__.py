"""What happens to a record on its way: pull, admit, merge, route, deliver, archive. One step a module."""
