"""The store's parts: folders, numbers, logs, locks, repair, migration."""
