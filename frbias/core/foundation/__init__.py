"""What everything stands on: errors, files, progress, memory, devices, the identity of work."""
