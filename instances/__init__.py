"""Connections, accounts, instances, brands and their health."""
