"""Where leases are kept: in Redis, or in files of this host. What they are: pipelines/lease.py."""
