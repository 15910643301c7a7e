"""What people see of a command: text, tables, progress, and one line for a failure."""
