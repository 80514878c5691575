"""Providers: the vendors, servers that speak their protocol, and the offline ones."""
