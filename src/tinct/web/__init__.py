"""The web face: jobs in a bounded queue, a REST API over them, and what starts and stops the server."""
