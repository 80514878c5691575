"""Command-line tools of this project: arguments, messages, exit statuses and console output.

Every command starts through `command.run_command`, so that a mistake ends with status 2 and at most three lines. May
import `support/*.py`.
"""
