"""Photographs on several machines, or several processes of one, through Ray. See `tinct.cluster.runs.run`."""
