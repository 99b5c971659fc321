"""Engines that run on this machine, each in child processes of the job."""
